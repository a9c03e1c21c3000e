//! The services that the program has.

use clap::builder::PossibleValue;

/// A service, by the name that is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltinService {
    Timestamp,
    Echo,
    Discard,
}

impl BuiltinService {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Echo => "echo",
            Self::Discard => "discard",
        }
    }
}

pub(crate) fn builtin_services() -> Vec<(BuiltinService, PossibleValue)> {
    let value =
        |service: BuiltinService, help| (service, PossibleValue::new(service.name()).help(help));
    vec![
        value(BuiltinService::Timestamp, "returns each message with the time in front"),
        value(BuiltinService::Echo, "returns each message"),
        value(BuiltinService::Discard, "drops each message"),
    ]
}
