//! What is spoken on a connection.

use std::ffi::c_char;

use countersign::config::ConfigBuilder;
use countersign::{
    ClientConfig, Dialect, Exchange, Framing, KeyRing, Mac, Protection, ServerConfig,
};

use crate::keys::cs_keys;
use crate::option_names;
use crate::pointers::{make, push, release, set, shared, text};
use crate::status::{CallError, cs_failure, cs_status, run};

/// What is spoken on a connection, and with which keys: for a listener, a client or a connection of
/// yours. What takes one copies it, so you may change it or free it afterwards.
pub struct cs_session_config {
    dialect: Dialect,
    keys: Option<KeyRing>,
    framing: Option<Framing>,
    records: Option<Protection>,
    mac: Option<Mac>,
    exchange: Exchange,
    message_max: Option<usize>,
    audiences: Vec<String>,
    key: Option<String>,
    has_raw: bool,
    has_rhel: bool,
}

impl cs_session_config {
    fn new() -> Self {
        Self {
            dialect: Dialect::Countersign,
            keys: None,
            framing: None,
            records: None,
            mac: None,
            exchange: Exchange::Many,
            message_max: None,
            audiences: Vec::new(),
            key: None,
            has_raw: false,
            has_rhel: false,
        }
    }

    /// What both ends have.
    fn apply<C>(&self, builder: ConfigBuilder<C>) -> ConfigBuilder<C> {
        let mut builder = builder.with_exchange(self.exchange);
        if let Some(keys) = &self.keys {
            builder = builder.with_keys(keys.clone());
        }
        if let Some(framing) = self.framing {
            builder = builder.with_framing(framing);
        }
        if let Some(records) = self.records {
            builder = builder.with_records(records);
        }
        if let Some(mac) = self.mac {
            builder = builder.with_mac(mac);
        }
        if let Some(bytes) = self.message_max {
            builder = builder.with_message_max(bytes);
        }
        if self.has_rhel { builder.with_rhel() } else { builder }
    }

    pub(crate) fn server(&self) -> Result<ServerConfig, CallError> {
        if self.key.is_some() {
            return Err(of_other_end("only a client chooses a key"));
        }
        let mut builder = self.apply(ServerConfig::builder(self.dialect));
        for audience in &self.audiences {
            builder = builder.with_audience(audience);
        }
        Ok(if self.has_raw { builder.with_raw() } else { builder }.build()?)
    }

    pub(crate) fn client(&self) -> Result<ClientConfig, CallError> {
        if self.has_raw || self.audiences.len() > 1 {
            return Err(of_other_end("only a server serves raw too, or several audiences"));
        }
        let mut builder = self.apply(ClientConfig::builder(self.dialect));
        for audience in &self.audiences {
            builder = builder.with_audience(audience);
        }
        if let Some(id) = &self.key {
            builder = builder.with_key(id);
        }
        Ok(builder.build()?)
    }
}

fn of_other_end(text: &str) -> CallError {
    CallError::new(cs_status::CS_ERR_CONFIG, text)
}

/// Makes a configuration for the dialect countersign/1, in which records are required, messages
/// are of at most 64 KiB, and a connection carries any number of them. Set its keys.
///
/// On success, *config is yours to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_new(
    config: *mut *mut cs_session_config,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, both are places to write to.
    unsafe { run(why, || make(config, || Ok(cs_session_config::new()))) }
}

/// Sets the dialect: "countersign/1", "raw", "hex", "multiprocessing", or "open" for one without
/// authentication.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_dialect(
    config: *mut cs_session_config,
    dialect: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, the dialect a
    // text, and `why` a place to write to.
    unsafe {
        set(config, why, |config| &mut config.dialect, || option_names::dialect(text(dialect)?))
    }
}

/// Sets the keys, which are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_keys(
    config: *mut cs_session_config,
    keys: *const cs_keys,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration and the ring are of ours and nobody else uses them,
    // and `why` is a place to write to.
    unsafe { set(config, why, |config| &mut config.keys, || Ok(Some(shared(keys)?.0.clone()))) }
}

/// Sets how messages are delimited where there are no records: "lines", "chunks" or "length".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_framing(
    config: *mut cs_session_config,
    framing: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, the framing a
    // text, and `why` a place to write to.
    unsafe {
        set(
            config,
            why,
            |config| &mut config.framing,
            || Ok(Some(option_names::framing(text(framing)?)?)),
        )
    }
}

/// Sets when messages of countersign/1 are protected: "sealed" (and encrypted), "required",
/// "allowed" or "off".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_records(
    config: *mut cs_session_config,
    records: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, the choice a
    // text, and `why` a place to write to.
    unsafe {
        set(
            config,
            why,
            |config| &mut config.records,
            || Ok(Some(option_names::records(text(records)?)?)),
        )
    }
}

/// Sets the hash of the HMAC in "raw" and "hex": "sha256", or, if it was built in, "md5".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_mac(
    config: *mut cs_session_config,
    mac: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, the MAC a
    // text, and `why` a place to write to.
    unsafe {
        set(config, why, |config| &mut config.mac, || Ok(Some(option_names::mac(text(mac)?)?)))
    }
}

/// Sets how many messages a connection is for: "many", "once" or "verify-only".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_exchange(
    config: *mut cs_session_config,
    exchange: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, the exchange a
    // text, and `why` a place to write to.
    unsafe {
        set(config, why, |config| &mut config.exchange, || option_names::exchange(text(exchange)?))
    }
}

/// Sets the longest message, in bytes, without its frame: 1 byte to 1 GiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_message_max(
    config: *mut cs_session_config,
    bytes: usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, and `why` a
    // place to write to.
    unsafe { set(config, why, |config| &mut config.message_max, || Ok(Some(bytes))) }
}

/// Adds an audience, a name of at most 64 bytes, in countersign/1. A server serves clients that ask
/// for one of its audiences. A client asks for one; without it, for that of its key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_add_audience(
    config: *mut cs_session_config,
    audience: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, the audience a
    // text, and `why` a place to write to.
    unsafe { push(config, why, |config| &mut config.audiences, || Ok(text(audience)?.to_owned())) }
}

/// At a client, sets the id of the key to sign with. The default is the first that can be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_key(
    config: *mut cs_session_config,
    id: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, the id a text,
    // and `why` a place to write to.
    unsafe { set(config, why, |config| &mut config.key, || Ok(Some(text(id)?.to_owned()))) }
}

/// At a server of countersign/1, sets whether clients of "raw" are served too, at the same port.
/// Give them keys of their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_raw(
    config: *mut cs_session_config,
    serves_raw: bool,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, and `why` a
    // place to write to.
    unsafe { set(config, why, |config| &mut config.has_raw, || Ok(serves_raw)) }
}

/// In "multiprocessing", sets whether the Pythons up to 3.11 of Red Hat's systems are served too,
/// which use SHA-256 without saying so where MD5 is forbidden.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_set_rhel(
    config: *mut cs_session_config,
    serves_rhel: bool,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody else uses, and `why` a
    // place to write to.
    unsafe { set(config, why, |config| &mut config.has_rhel, || Ok(serves_rhel)) }
}

/// Frees a configuration. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_session_config_free(config: *mut cs_session_config) {
    // SAFETY: by the header, it is one of ours that nobody uses any more, or null.
    unsafe { release(config) };
}
