//! What holds for the options of all verbs, and for the pages that are made of them.

mod man;
mod numbers;

use std::ffi::OsString;

/// A verb of a command line is built without the others.
#[test]
fn a_verb_alone_has_the_options_that_it_has_beside_the_others() {
    let all = crate::command();
    assert!(all.get_subcommands().count() > 5);
    for verb in all.get_subcommands() {
        let name = verb.get_name();
        let argv = ["countersign", name].map(OsString::from);
        let mut alone = crate::command_of(&argv);
        assert_eq!(alone.get_subcommands().count(), 1, "{name}");
        let mut all = all.clone();
        let [alone, beside] = [&mut alone, &mut all].map(|command| {
            command.build();
            command.find_subcommand_mut(name).unwrap().render_long_help().to_string()
        });
        assert_eq!(alone, beside);
    }
}
