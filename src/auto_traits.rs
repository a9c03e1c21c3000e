//! Which public types may move to another thread, and which may be shared. The compiler derives
//! it from private fields, so it could change without being noticed; here it is asserted.

use countersign_proto::{
    ClientConfig, ConfigBuilder, ConfigError, Event, Exporter, Key, KeyError, KeyRing, Message,
    NoUsableKeyError, Opened, Refusal, RingSecrets, SealError, SendError, ServerConfig, Session,
    SessionConfig, SessionCore, Step,
};

use crate::address::{Address, AddressError};
use crate::client::{Client, ClientError};
use crate::contract::access::Access;
use crate::contract::close::CloseReason;
use crate::contract::limits::{Limits, Memory};
use crate::contract::listener_id::{ListenerId, TooManyListenersError, UnknownListenerError};
use crate::contract::messages::{Messages, Processed};
use crate::contract::networks::{NetworkError, Networks};
use crate::contract::peer::{Peer, PeerAddress, PeerId};
use crate::contract::reply::Reply;
use crate::dial::Dial;
use crate::faults::{Distribution, FaultKind, Faults, FaultsError, Faulty, Injector};
use crate::files::{FileError, FileRules};
use crate::key_file::error::{KeyFileError, KeyRingError};
use crate::loopback::{Loopback, LoopbackBuilder};
use crate::server::bind_error::BindError;
use crate::server::builder::ServerBuilder;
use crate::server::driver::Server;
use crate::server::engine::TellError;
use crate::server::handle::Handle;
use crate::server::listener::Listener;
use crate::server::listener::config::ListenerConfig;
use crate::services::{Discard, Echo, Timestamp};
use crate::stats::{Counters, KeyInfo, ListenerInfo, ListenerStats, LoopTimes, Stats};

const fn is_send_and_sync<T: Send + Sync>() {}

/// An error that may leave the thread, as `Box<dyn Error + Send + Sync>` and anyhow require.
const fn is_error<T: std::error::Error + Send + Sync + 'static>() {}

const _: () = {
    is_send_and_sync::<Server<Timestamp>>();
    is_send_and_sync::<ServerBuilder>();
    is_send_and_sync::<ListenerConfig>();
    is_send_and_sync::<Listener>();
    is_send_and_sync::<ListenerId>();
    is_send_and_sync::<Handle>();
    is_send_and_sync::<Reply<'_>>();
    is_send_and_sync::<Messages<'_>>();
    is_send_and_sync::<Processed>();
    is_send_and_sync::<Peer<'_>>();
    is_send_and_sync::<PeerId>();
    is_send_and_sync::<PeerAddress>();
    is_send_and_sync::<CloseReason>();
    is_send_and_sync::<Limits>();
    is_send_and_sync::<Memory>();
    is_send_and_sync::<Access>();
    is_send_and_sync::<Networks>();
};

const _: () = {
    is_send_and_sync::<Client>();
    is_send_and_sync::<Dial>();
    is_send_and_sync::<Address>();
    is_send_and_sync::<Loopback<Echo>>();
    is_send_and_sync::<LoopbackBuilder>();
    is_send_and_sync::<FileRules>();
    is_send_and_sync::<(Echo, Discard, Timestamp)>();
    is_send_and_sync::<(Faults, Distribution, FaultKind, Faulty<Echo>, Injector)>();
    is_send_and_sync::<(Stats, ListenerStats, ListenerInfo, KeyInfo, Counters, LoopTimes)>();
};

const _: () = {
    is_send_and_sync::<(SessionConfig, ServerConfig, ClientConfig)>();
    is_send_and_sync::<(ConfigBuilder<ServerConfig>, ConfigBuilder<ClientConfig>)>();
    is_send_and_sync::<Session>();
    is_send_and_sync::<SessionCore>();
    is_send_and_sync::<(Event<'_>, Message<'_>, Step<()>)>();
    is_send_and_sync::<Opened<'_>>();
    is_send_and_sync::<Exporter>();
    is_send_and_sync::<Key>();
    is_send_and_sync::<KeyRing>();
    is_send_and_sync::<RingSecrets>();
};

const _: () = {
    is_error::<BindError>();
    is_error::<UnknownListenerError>();
    is_error::<TooManyListenersError>();
    is_error::<TellError>();
    is_error::<ClientError>();
    is_error::<AddressError>();
    is_error::<ConfigError>();
    is_error::<NoUsableKeyError>();
    is_error::<KeyError>();
    is_error::<Refusal>();
    is_error::<SendError>();
    is_error::<SealError>();
    is_error::<NetworkError>();
    is_error::<FaultsError>();
    is_error::<FileError>();
    is_error::<KeyFileError>();
    is_error::<KeyRingError>();
};
