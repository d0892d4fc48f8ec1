//! The addresses this server answers on, and what counts as "myself".

use std::net::SocketAddr;

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
