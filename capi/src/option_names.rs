//! The words of options, which are those of the command line.

use countersign::{Dialect, Exchange, Framing, Mac, Protection};

use crate::status::CallError;

/// The one of these that has this name.
fn named<T: Copy>(
    what: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    given: &str,
) -> Result<T, CallError> {
    all.iter().copied().find(|each| name(*each) == given).ok_or_else(|| {
        let names: Vec<_> = all.iter().copied().map(name).collect();
        CallError::argument(format!("{given} is not a {what}: {}", names.join(", ")))
    })
}

pub(crate) fn dialect(given: &str) -> Result<Dialect, CallError> {
    named("dialect", Dialect::ALL, Dialect::name, given)
}

pub(crate) fn framing(given: &str) -> Result<Framing, CallError> {
    named("framing", Framing::ALL, Framing::name, given)
}

pub(crate) fn records(given: &str) -> Result<Protection, CallError> {
    named("choice of records", Protection::ALL, Protection::name, given)
}

pub(crate) fn mac(given: &str) -> Result<Mac, CallError> {
    let all = [
        Mac::Sha256,
        #[cfg(feature = "legacy-md5")]
        Mac::Md5,
    ];
    named("MAC", &all, Mac::name, given)
}

pub(crate) fn exchange(given: &str) -> Result<Exchange, CallError> {
    let name = |exchange| match exchange {
        Exchange::Once => "once",
        Exchange::VerifyOnly => "verify-only",
        _ => "many",
    };
    named("exchange", &[Exchange::Many, Exchange::Once, Exchange::VerifyOnly], name, given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_command_line() {
        assert!(matches!(dialect("countersign/1"), Ok(Dialect::Countersign)));
        assert!(matches!(framing("length"), Ok(Framing::Length)));
        assert!(matches!(records("off"), Ok(Protection::Off)));
        assert!(matches!(mac("sha256"), Ok(Mac::Sha256)));
        assert!(matches!(exchange("verify-only"), Ok(Exchange::VerifyOnly)));
        assert!(exchange("twice").is_err() && dialect("").is_err());
    }
}
