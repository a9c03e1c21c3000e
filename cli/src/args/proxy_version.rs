//! The version of the PROXY header that a client sends.

use clap::builder::PossibleValue;
use countersign_load::ProxyVersion;

use super::choice::NamedValueParser;

/// Reads a version of the PROXY protocol.
pub(crate) fn versions() -> NamedValueParser<ProxyVersion> {
    NamedValueParser(|| {
        let value = |version, help| (version, PossibleValue::new(name(version)).help(help));
        vec![
            value(ProxyVersion::V1, "A line of text; HAProxy's send-proxy"),
            value(ProxyVersion::V2, "Binary; HAProxy's send-proxy-v2"),
        ]
    })
}

/// The name that is typed.
pub(crate) fn name(version: ProxyVersion) -> &'static str {
    if version == ProxyVersion::V1 { "v1" } else { "v2" }
}
