//! One listener of the server, made from its options.

use std::sync::Arc;

use countersign::{KeyRing, Limits, ListenerConfig, Protection, ServerConfig};
use countersign_serve::ListenerService;
use log::warn;

use crate::admin::Labels;
use crate::args::listener::ListenerArgs;
use crate::args::service::BuiltinService;
use crate::exit::Failure;
use crate::ring::{self, KeyOptions, RingRole};
use crate::{system, units};

/// What to do when the default key file does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingRing {
    /// Create it, with one fresh key.
    Create,
    /// Leave it: a server will create it.
    Leave,
    /// It was there before, so this is an error.
    Fail,
}

/// A key file that did not exist.
#[derive(Debug)]
pub(super) enum CreatedRing {
    /// It was created, with a key of this fingerprint.
    Now(String),
    /// It will be created.
    Later,
}

impl ListenerArgs {
    pub(super) fn served(&self) -> ListenerService {
        match self.service {
            _ if self.protocol.verify_only => ListenerService::Verdict,
            BuiltinService::Timestamp if self.utc => ListenerService::Utc,
            BuiltinService::Timestamp => ListenerService::Local,
            BuiltinService::Echo => ListenerService::Echo,
            BuiltinService::Discard => ListenerService::Discard,
            BuiltinService::Sink => ListenerService::Sink,
            BuiltinService::Size(bytes) => ListenerService::Size(bytes),
            BuiltinService::Source(rate) => ListenerService::Source(rate),
        }
    }

    /// A listener that speaks this, within these limits, and has no address yet.
    pub(super) fn listener(&self, config: Arc<ServerConfig>, limits: Limits) -> ListenerConfig {
        let mut listener = ListenerConfig::new(config)
            .with_limits(limits)
            .with_access(self.access.access())
            .with_proxies(self.access.proxies())
            .with_unix_mode(self.unix_mode)
            .with_keepalive(Some(self.tcp_keepalive).filter(|time| *time != units::NEVER));
        if let Some(timeout) = self.tcp_user_timeout {
            listener = listener.with_user_timeout(timeout);
        }
        match &self.name {
            Some(name) => listener.with_name(name),
            None => listener,
        }
    }

    /// Its labels on the pages.
    pub(super) fn labels(&self) -> Labels {
        Labels {
            dialect: self.protocol.handshake(),
            framing: match self.protocol.records() {
                // They have their own ends.
                Some(_) if self.protocol.records == Protection::Sealed => "sealed records",
                Some(_) if !self.protocol.may_be_plain() => "records",
                _ => self.protocol.framing().name(),
            },
            service: self.what(),
        }
    }

    /// Whether a message has an answer.
    pub(crate) fn answers(&self) -> bool {
        matches!(
            self.served(),
            ListenerService::Local
                | ListenerService::Utc
                | ListenerService::Echo
                | ListenerService::Size(_)
        )
    }

    /// The name of the service.
    pub(super) fn what(&self) -> &'static str {
        if self.protocol.verify_only { "verdicts" } else { self.service.name() }
    }

    /// The keys, and the key file that was created for them, if it was.
    pub(super) fn ring(
        &self,
        missing: MissingRing,
    ) -> Result<(KeyRing, Option<CreatedRing>), Failure> {
        let path = self.protocol.ring_path()?;
        let may_be_made = self.protocol.dialect().authenticates() && self.protocol.keys.is_none();
        if !may_be_made || path.exists() {
            return Ok((self.protocol.ring(RingRole::Server)?, None));
        }
        let options = KeyOptions::of(self.protocol.dialect());
        let made = match missing {
            MissingRing::Leave => {
                return Ok((ring::fresh("default", &options)?, Some(CreatedRing::Later)));
            }
            MissingRing::Create => match ring::add(&path, "default", &options) {
                // Another server has begun in the same moment, and made it.
                Err(_) if path.exists() => None,
                made => Some(CreatedRing::Now(made?.fingerprint())),
            },
            MissingRing::Fail => None,
        };
        Ok((self.protocol.ring(RingRole::Server)?, made))
    }

    /// The protocol with these keys, once one of them is known to be usable.
    pub(super) fn server_config(&self, ring: KeyRing) -> Result<ServerConfig, Failure> {
        let now = system::unix_time();
        let serving = self.protocol.dialects().flat_map(|dialect| ring.serving(dialect, now));
        for key in serving.filter(|key| key.is_short()) {
            let id = key.id();
            warn!(key:% = id; "the key has fewer than 16 bytes: anyone who sees a proof can guess \
                               it");
        }
        let config = self.protocol.server_config(ring)?;
        if self.protocol.may_be_plain() {
            warn!("without records, a relay of the handshake can take over the connection");
        }
        Ok(config)
    }
}

/// Says which listeners misbehave, in case somebody has forgotten it.
pub(super) fn warn_of_faults(listeners: &[ListenerArgs]) {
    for args in listeners {
        if let Some(faults) = args.faults.shown() {
            let listener = args.name.as_deref().unwrap_or(&args.bind[0]);
            warn!(listener, faults; "injecting faults on purpose: clients of this listener fail");
        }
    }
}
