//! The addresses this server answers on, and what counts as "myself".

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use message::Transport;

/// One `listen=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Transport.
    pub transport: Transport,
    /// Bound address.
    pub address: SocketAddr,
    /// `advertise host:port`: what goes into Via and Record-Route instead.
    pub advertise: Option<(String, u16)>,
    /// `name "..."`.
    pub name: Option<String>,
}

impl Listener {
    /// Host for Via, Record-Route and `$Ri`-like text: advertised or bound; IPv6 in brackets.
    pub fn via_host(&self) -> String {
        match &self.advertise {
            Some((host, _)) => host.clone(),
            None => match self.address.ip() {
                std::net::IpAddr::V4(a) => a.to_string(),
                std::net::IpAddr::V6(a) => format!("[{a}]"),
            },
        }
    }
    /// Port for Via and Record-Route.
    pub fn via_port(&self) -> u16 {
        self.advertise.as_ref().map_or(self.address.port(), |(_, port)| *port)
    }
}

type IsLocal = dyn Fn(&[u8]) -> bool + Send + Sync;

/// A module's list of hosts that count as this server (`domain` with `register_myself`). Set once, when modules are set up.
#[derive(Clone, Default)]
pub struct LocalHosts(Arc<OnceLock<Box<IsLocal>>>);

impl LocalHosts {
    /// From now on this is asked, too. It must be quick and take no lock that is held for long. False when another module was first.
    pub fn register(&self, is_local: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> bool {
        self.0.set(Box::new(is_local)).is_ok()
    }
    /// Whether a module says that the host is ours.
    pub fn contains(&self, host: &[u8]) -> bool {
        self.0.get().is_some_and(|is_local| is_local(host))
    }
}

impl std::fmt::Debug for LocalHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.get().is_some() { "LocalHosts(a module's)" } else { "LocalHosts(none)" })
    }
}
