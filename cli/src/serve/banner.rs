//! The banner: what is served, with which keys and how much memory, and how to connect.

use std::fmt::Write as _;

use countersign::{Address, Listener, Server};
use countersign_serve::ServedService;
use log::info;

use super::prepared::{self, PreparedListener};
use crate::admin::Admin;
use crate::escape::{Escaped, quoted};
use crate::version::{COMMIT, VERSION};

/// The content of the banner.
pub(super) struct Banner {
    listeners: Vec<ListenerBanner>,
    memory: String,
    /// Where the pages are.
    admin: Vec<String>,
}

/// The part about one listener.
struct ListenerBanner {
    /// Where there are several.
    name: Option<String>,
    serves: String,
    /// None where the dialect needs none.
    keys: Option<String>,
    /// From where peers may come; none if from everywhere.
    from: Option<String>,
    /// The command that connects, for each address.
    connect: Vec<String>,
}

impl Banner {
    /// The number of workers, of which this server is one.
    pub(super) fn new(
        listeners: &[PreparedListener],
        server: &Server<ServedService>,
        workers: usize,
        admin: Option<&Admin>,
    ) -> Self {
        let program = std::env::args().next().unwrap_or_else(|| "countersign".to_owned());
        let listener_banner = |(prepared, listener): (&PreparedListener, &Listener)| {
            let options = prepared.args.protocol.for_the_other_end();
            let connect = |address| format!("{program} connect {}{options}", typed(address));
            ListenerBanner {
                name: (listeners.len() > 1).then(|| listener.name().to_owned()),
                serves: prepared.serves.clone(),
                keys: prepared.keys.clone(),
                from: prepared.args.access.shown(),
                connect: listener.addresses().iter().map(connect).collect(),
            }
        };
        let pages = admin.map_or(0, Admin::memory_max);
        Self {
            listeners: listeners.iter().zip(server.listeners()).map(listener_banner).collect(),
            memory: prepared::bound(listeners, workers * server.memory_max().total + pages),
            admin: admin.map(Admin::addresses).unwrap_or_default().iter().map(page).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("countersign {VERSION}\n");
        let mut line = |name: &str, value: &str| {
            // Writing to a string succeeds.
            let _ = writeln!(text, "  {name:<9}{}", Escaped(value));
        };
        for ListenerBanner { name, serves, keys, from, connect } in &self.listeners {
            if let Some(name) = name {
                line("listener", name);
            }
            line("serves", serves);
            if let Some(keys) = keys {
                line("keys", keys);
            }
            if let Some(from) = from {
                line("from", from);
            }
            // The only one has its memory before the command that is copied.
            if name.is_none() {
                line("memory", &self.memory);
            }
            for connect in connect {
                line("connect", connect);
            }
        }
        if self.listeners.len() > 1 {
            line("memory", &self.memory);
        }
        for page in &self.admin {
            line("admin", page);
        }
        text
    }

    /// The same in lines of the log, for a stderr that is read by a program.
    pub(super) fn log(&self) {
        let (version, commit) = (VERSION, COMMIT);
        let memory = &self.memory;
        for ListenerBanner { name, serves, keys, from, connect } in &self.listeners {
            let (keys, connect) = (keys.as_deref(), connect.join("; "));
            let from = from.as_deref().unwrap_or("everywhere");
            match name {
                Some(listener) => info!(
                    version, commit, listener, serves, keys, from, memory, connect;
                    "serving"
                ),
                None => info!(
                    version, commit, serves, keys, from, memory, connect; "serving"
                ),
            }
        }
        for admin in &self.admin {
            info!(version, admin; "pages");
        }
    }
}

/// Where the pages are, as it is given to a browser or to curl.
fn page(address: &Address) -> String {
    match address {
        Address::Ip(address) => format!("http://{address}"),
        path => path.to_string(),
    }
}

/// An address as it is typed into a shell.
fn typed(address: &Address) -> String {
    let text = address.to_string();
    match text.strip_prefix("unix:") {
        Some(path) => format!("unix:{}", quoted(path)),
        None => text,
    }
}
