//! The program `countersign`: see `countersign --help`.
//!
//! A package of its own, because a program is linked with the optimization of its package. With
//! that of the [verbs](countersign_verbs), which are compiled for size, the linker would not
//! inline what a message runs through.

use std::process::ExitCode;

fn main() -> ExitCode {
    countersign_verbs::main()
}
