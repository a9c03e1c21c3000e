//! The keys that a file may have: the long names of the options of `serve`.

use std::str::FromStr as _;

use clap::builder::EnumValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Args as _, Command};
use countersign::Networks;
use countersign_serve::Faults;

use super::value::{Value, ValueTexts};
use crate::args::choice::NamedValueParser;
use crate::args::faults::fault_seed;
use crate::args::limits::{self, LimitArgs, buffered_max, connections, failures, presets};
use crate::args::listener::{ListenerArgs, keepalive, name, user_timeout};
use crate::args::process::{ConfigArgs, ProcessArgs, workers};
use crate::args::protocol::{
    ProtocolArgs, audience, framings, handshakes, mac, message_max, protections,
};
use crate::args::service::ServiceParser;
use crate::units::{any_time, some_time, some_time_or_never};

/// The keys that are the process's. All others are a listener's.
pub(super) const PROCESS: [&str; 9] = [
    "admin",
    "admin-exposed",
    "admin-unix-mode",
    "busy-poll",
    "close-revoked",
    "fault-seed",
    "log-format",
    "log-level",
    "workers",
];

/// The keys that a reload can change, beside the limits.
const RELOADED: [&str; 7] =
    ["allow", "busy-poll", "close-revoked", "deny", "fault", "keys", "log-level"];

/// Where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// In front of all tables, and there are tables of listeners.
    Above,
    /// The same, and there are none: the file has one listener.
    Alone,
    /// In the table of a listener.
    Within,
}

/// Sets an option by its key; the value is parsed by the parser of the option. Returns none if
/// there is no such key.
pub(super) fn set(args: &mut ConfigArgs, key: &str, value: &Value<'_>) -> Option<ValueTexts> {
    let ConfigArgs { process, listener } = args;
    set_process(process, key, value).or_else(|| set_listener(listener, key, value))
}

fn set_process(args: &mut ProcessArgs, key: &str, value: &Value<'_>) -> Option<ValueTexts> {
    let ProcessArgs { admin, logging, .. } = args;
    Some(match key {
        "admin" => value.address(&mut admin.admin),
        "admin-exposed" => value.switch(&mut admin.admin_exposed),
        "admin-unix-mode" => value.mode(&mut admin.admin_unix_mode),
        "busy-poll" => value.one(any_time, &mut args.busy_poll),
        "close-revoked" => value.boolean(&mut args.close_revoked),
        "fault-seed" => value.one(fault_seed, &mut args.fault_seed),
        "log-format" => value.one(EnumValueParser::new(), &mut logging.format),
        "log-level" => value.one(EnumValueParser::new(), &mut logging.level),
        "workers" => value.one(workers, &mut args.workers),
        _ => return None,
    })
}

fn set_listener(args: &mut ListenerArgs, key: &str, value: &Value<'_>) -> Option<ValueTexts> {
    let ListenerArgs { access, protocol, limits, .. } = args;
    Some(match key {
        "name" => value.one(name, &mut args.name),
        "bind" => value.addresses(&mut args.bind),
        "unix-mode" => value.mode(&mut args.unix_mode),
        "service" => value.one(ServiceParser, &mut args.service),
        "utc" => value.switch(&mut args.utc),
        "tcp-keepalive" => value.one(keepalive, &mut args.tcp_keepalive),
        "tcp-user-timeout" => value.one(user_timeout, &mut args.tcp_user_timeout),
        "allow" => value.many(Networks::from_str, &mut access.allow),
        "deny" => value.many(Networks::from_str, &mut access.deny),
        "fault" => value.one(Faults::from_str, &mut args.faults.fault),
        "proxy-from" => value.many(Networks::from_str, &mut access.proxy_from),
        _ => {
            let protocol = set_protocol(protocol, key, value);
            return protocol.or_else(|| set_limit(limits, key, value));
        }
    })
}

fn set_protocol(args: &mut ProtocolArgs, key: &str, value: &Value<'_>) -> Option<ValueTexts> {
    Some(match key {
        "dialect" => value.one(NamedValueParser(handshakes), &mut args.handshake),
        "records" => value.one(NamedValueParser(protections), &mut args.records),
        "audience" => value.many(audience, &mut args.audience),
        "framing" => value.one(NamedValueParser(framings), &mut args.framing),
        "mac" => value.one(mac, &mut args.mac),
        "rhel" => value.switch(&mut args.rhel),
        "once" => value.switch(&mut args.once),
        "verify-only" => value.switch(&mut args.verify_only),
        "message-max" => value.one(message_max, &mut args.message_max),
        "keys" => value.path(&mut args.keys),
        _ => return None,
    })
}

fn set_limit(args: &mut LimitArgs, key: &str, value: &Value<'_>) -> Option<ValueTexts> {
    let throttle = &mut args.failures;
    Some(match key {
        "limits" => value.one(NamedValueParser(presets), &mut args.preset),
        "max-connections" => value.one(connections, &mut args.max_connections),
        "max-unauthenticated" => value.one(connections, &mut args.max_unauthenticated),
        "max-per-address" => value.one(connections, &mut args.max_per_address),
        "handshake-timeout" => value.one(some_time, &mut args.handshake_timeout),
        "idle-timeout" => value.one(some_time_or_never, &mut args.idle_timeout),
        "message-timeout" => value.one(some_time_or_never, &mut args.message_timeout),
        "write-timeout" => value.one(some_time, &mut args.write_timeout),
        "session-max-age" => value.one(some_time_or_never, &mut args.session_max_age),
        "drain-timeout" => value.one(any_time, &mut args.drain_timeout),
        "buffered-max" => value.one(buffered_max, &mut args.buffered_max),
        "failure-burst" => value.one(failures, &mut throttle.failure_burst),
        "failure-limit" => value.one(failures, &mut throttle.failure_limit),
        "failure-delay" => value.one(any_time, &mut throttle.failure_delay),
        "failure-decay" => value.one(any_time, &mut throttle.failure_decay),
        _ => return None,
    })
}

/// Whether a reload can change it.
pub(super) fn is_reloaded(key: &str) -> bool {
    RELOADED.contains(&key) || limits::is_reloaded(key)
}

/// Why a key can't stand there, if it can't anywhere or not there.
pub(super) fn misplaced(key: &str, position: Position) -> Option<String> {
    match position {
        Position::Within if PROCESS.contains(&key) => Some(format!(
            "{key:?} applies to the whole process; move it to the top of the file, before any \
             [[listener]]"
        )),
        Position::Above if key == "name" => {
            Some("\"name\" belongs to one listener; move it into its [[listener]]".to_owned())
        }
        _ => None,
    }
}

/// The error for an unknown key.
pub(super) fn unknown(key: &str) -> String {
    match key {
        "config" => {
            return "a configuration file can't name another one; remove \"config\"".to_owned();
        }
        "help" | "version" => return format!("{key:?} can't be set in a file; remove it"),
        _ => {}
    }
    let similar = similar(key).map(|name| format!("; did you mean {name:?}?"));
    let remedy = || "; `countersign serve --help` lists the keys".to_owned();
    format!("unknown key {key:?}{}", similar.unwrap_or_else(remedy))
}

/// The key that is most like this one, as clap finds it for an option.
fn similar(key: &str) -> Option<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if key.is_empty() || !key.chars().all(is_word) {
        return None;
    }
    let all = Command::new("all").disable_help_flag(true).disable_version_flag(true);
    let all = ConfigArgs::augment_args(all);
    let error = all.try_get_matches_from(["all".to_owned(), format!("--{key}")]).err()?;
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(name) => Some(name.trim_start_matches('-').to_owned()),
        _ => None,
    }
}
