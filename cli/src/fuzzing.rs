//! What the fuzz targets reach of this crate. Nobody else compiles it.

use std::path::Path;
use std::sync::LazyLock;

use clap::{Args as _, Command, FromArgMatches as _};
use countersign::Service;

use super::config::Config;
use crate::args::process::ConfigArgs;
use crate::exit::Failure;
use crate::{Origins, admin, http};

/// The lines of an error, as they are printed.
type Lines = Vec<String>;

/// Parses the text of the configuration file `path`. Returns how many listeners it has.
///
/// # Errors
///
/// The file is at fault.
pub fn config(path: &str, text: &[u8]) -> Result<usize, Lines> {
    static TYPED: LazyLock<Result<(ConfigArgs, Origins), clap::Error>> = LazyLock::new(|| {
        let command = ConfigArgs::augment_args(Command::new("serve"));
        let matches = command.clone().try_get_matches_from(["serve"])?;
        Ok((ConfigArgs::from_arg_matches(&matches)?, Origins::of(&command, &matches)))
    });
    let (typed, origins) = TYPED.as_ref().map_err(|error| vec![error.to_string()])?;
    let parsed = Config::new(None, typed.clone(), origins).parse(&Path::new(path).into(), text);
    let lines = |failure: Failure| failure.lines().map(str::to_owned).collect();
    parsed.map(|settings| settings.listeners.len()).map_err(lines)
}

/// The service of the admin listener, of a server that has not begun to serve.
pub fn admin(checks_host: bool) -> impl Service {
    admin::service(checks_host)
}

/// The page that `countersign status` finds in a response.
///
/// # Errors
///
/// It is not a page, or not whole.
pub fn page(response: &[u8]) -> Result<&[u8], String> {
    http::body(response)
}
