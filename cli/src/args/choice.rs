//! An option that takes one of a few names.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command};

/// Reads one of a few names, each of which the help text explains.
#[derive(Debug)]
pub(crate) struct NamedValueParser<T: 'static>(pub(crate) fn() -> Vec<(T, PossibleValue)>);

impl<T> Clone for NamedValueParser<T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<T: Clone + Send + Sync> TypedValueParser for NamedValueParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let names = PossibleValuesParser::new(self.0().into_iter().map(|(_, name)| name));
        let name = names.parse_ref(command, arg, value)?;
        let chosen = self.0().into_iter().find(|(_, each)| each.matches(&name, false));
        chosen
            .map(|(value, _)| value)
            .ok_or_else(|| clap::Error::new(clap::error::ErrorKind::InvalidValue))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0().into_iter().map(|(_, name)| name)))
    }
}
