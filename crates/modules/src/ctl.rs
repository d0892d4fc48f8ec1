//! BINRPC, the protocol of `kamcmd`: where to listen and who is there. The server opens the sockets and keeps the book up to date.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use script::module::joined;
use script::{ModParam, ModParams, Module, ParamType, ParamValue, RpcCommand, RpcError, Setup, SetupError};
use serde_json::{Value as Json, json};

/// Port of an address without one.
pub const PORT: u16 = 2049;
/// Name of the default socket in the runtime directory.
pub const SOCKET: &str = "kamailio_ctl";

/// Module `ctl`.
#[derive(Debug, Default)]
pub struct Ctl {
    settings: Settings,
    addresses: Vec<Address>,
    /// Who is connected, for `ctl.who`.
    pub book: Book,
}

/// Parameters of `ctl` that are given once.
#[derive(Debug, ModParams)]
struct Settings {
    /// Access mode of Unix sockets. Default 0600.
    mode: u32,
    /// User that owns Unix sockets, by name or number. Default: the user the server runs as.
    user: Option<String>,
    /// Group that owns Unix sockets, by name or number.
    group: Option<String>,
    /// 1: numbers and texts are converted to what a command wants. Taken; that is always so.
    autoconversion: i64,
    /// Bytes of the buffer for a request. Taken; it grows as needed, up to 1 MiB.
    binrpc_buffer_size: i64,
    /// Kilobytes of an answer. Taken; it grows as needed.
    binrpc_max_body_size: i64,
    /// Kilobytes of a structure in an answer. Taken; it grows as needed.
    binrpc_struct_max_body_size: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            mode: 0o600,
            user: None,
            group: None,
            autoconversion: 0,
            binrpc_buffer_size: 0,
            binrpc_max_body_size: 4,
            binrpc_struct_max_body_size: 3,
        }
    }
}

const LISTS: [ModParam; 2] = [
    ModParam {
        name: "binrpc",
        kind: ParamType::Str,
        doc: "Address to listen on, several times: `unix:/path` or `unixs:/path` (stream), `unixd:/path` (datagram), `tcp:host:port`, \
              `udp:host:port`; without a protocol a path is a Unix stream and anything else UDP. Port 2049 and every address (`*`) when \
              left out. A path that is not absolute is in the working directory. Default `unix:kamailio_ctl` in the runtime directory \
              (`-Y`, else /run/kamailio), where `kamcmd` looks.",
    },
    ModParam {
        name: "fifo",
        kind: ParamType::Str,
        doc: "Path of a FIFO of Kamailio's oldest protocol. Taken; the FIFO of `jsonrpcs` is what `kamctl` uses.",
    },
];

const PARAMS: &[ModParam] = &joined::<{ Settings::PARAMS.len() + LISTS.len() }>(Settings::PARAMS, &LISTS);

/// Kind of a BINRPC socket, in the words of `ctl.listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `unix_stream`
    UnixStream,
    /// `unix_dgram`
    UnixDatagram,
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
}

impl Kind {
    /// As `ctl.listen` and `ctl.who` print it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::UnixStream => "unix_stream",
            Kind::UnixDatagram => "unix_dgram",
            Kind::Tcp => "tcp",
            Kind::Udp => "udp",
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Kind of socket.
    pub kind: Kind,
    /// Path, or host: `*` is every address.
    pub name: String,
    /// Port of TCP and UDP, else 0.
    pub port: u16,
}

impl Address {
    /// Reads the value of `binrpc`.
    pub fn parse(text: &str) -> Result<Address, SetupError> {
        let (kind, rest) = match text.split_once(':') {
            Some(("unix" | "unixs", rest)) => (Kind::UnixStream, rest),
            Some(("unixd", rest)) => (Kind::UnixDatagram, rest),
            Some(("tcp", rest)) => (Kind::Tcp, rest),
            Some(("udp", rest)) => (Kind::Udp, rest),
            _ if text.contains('/') => (Kind::UnixStream, text),
            _ => (Kind::Udp, text),
        };
        let bad = |why: &str| SetupError(format!("binrpc address \"{text}\": {why}"));
        if matches!(kind, Kind::UnixStream | Kind::UnixDatagram) {
            // Linux has 108 bytes with the NUL at the end.
            return match rest.len() {
                0 => Err(bad("the path is missing")),
                1..=107 => Ok(Address { kind, name: rest.to_owned(), port: 0 }),
                _ => Err(bad("the path is longer than 107 bytes")),
            };
        }
        let port = |digits: &str| digits.parse::<u16>().ok().filter(|p| *p > 0);
        let (name, port) = match rest.rsplit_once(':') {
            Some((host, digits)) if !host.contains(':') || host.ends_with(']') => {
                (host, port(digits).ok_or_else(|| bad("a port from 1 to 65535 is expected"))?)
            }
            None if port(rest).is_some() => ("*", port(rest).unwrap_or(PORT)),
            _ => (rest, PORT),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        Ok(Address { kind, name: if name.is_empty() { "*" } else { name }.to_owned(), port })
    }
}

/// Who listens and who is connected.
#[derive(Debug, Default)]
pub struct Book {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    listening: Vec<Address>,
    next: u64,
    connected: BTreeMap<u64, (Address, String, String)>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(|e| e.into_inner())
    }
    /// A socket is open.
    pub fn listening(&self, address: Address) {
        self.pages().listening.push(address);
    }
    /// A client came to this socket from `peer` (host or path, port): the number to say [`Book::gone`] with.
    pub fn came(&self, at: &Address, peer: &str, port: &str) -> u64 {
        let mut pages = self.pages();
        pages.next += 1;
        let number = pages.next;
        pages.connected.insert(number, (at.clone(), peer.to_owned(), port.to_owned()));
        number
    }
    /// It has gone.
    pub fn gone(&self, number: u64) {
        self.pages().connected.remove(&number);
    }
}

impl Ctl {
    /// Addresses of the configuration; none: the default one.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }
    /// Access mode, user and group of Unix sockets.
    pub fn ownership(&self) -> (u32, Option<&str>, Option<&str>) {
        (self.settings.mode, self.settings.user.as_deref(), self.settings.group.as_deref())
    }
}

impl Module for Ctl {
    fn name(&self) -> &'static str {
        "ctl"
    }
    fn params(&self) -> &'static [ModParam] {
        PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        match (name, value) {
            ("binrpc", ParamValue::Str(text)) => self.addresses.push(Address::parse(&text)?),
            ("fifo", ParamValue::Str(path)) => {
                tracing::warn!(target: "ctl", %path, "parameter fifo: Kamailio's oldest protocol is not spoken here; use jsonrpcs");
            }
            (name, value) => self.settings.set(name, value)?,
        }
        Ok(())
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        RPC
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        if self.settings.mode > 0o777 {
            return Err(SetupError(format!("parameter mode: {:o} is no access mode", self.settings.mode)));
        }
        Ok(())
    }
}

fn ctl(module: &dyn Module) -> Result<&Ctl, RpcError> {
    (module as &dyn std::any::Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn port(address: &Address) -> String {
    if address.port == 0 { String::new() } else { address.port.to_string() }
}

const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "ctl.connections",
        doc: "Number of clients that are connected over BINRPC. No parameters.",
        call: |m, _, _, _| Ok(json!(ctl(m)?.book.pages().connected.len())),
    },
    RpcCommand {
        name: "ctl.listen",
        doc: "Sockets of BINRPC: protocol, kind, address and port of each, as one list. No parameters.",
        call: |m, _, _, _| {
            let pages = ctl(m)?.book.pages();
            let rows = pages.listening.iter();
            Ok(rows.flat_map(|a| ["binrpc".into(), a.kind.word().into(), a.name.clone(), port(a)]).collect())
        },
    },
    RpcCommand {
        name: "ctl.who",
        doc: "Clients over BINRPC: protocol, kind, address and port of theirs and of ours, as one list. No parameters.",
        call: |m, _, _, _| {
            let pages = ctl(m)?.book.pages();
            let rows = pages.connected.values();
            Ok(rows
                .flat_map(|(at, peer, peer_port)| {
                    let ours = [at.name.clone(), port(at)];
                    ["binrpc".to_owned(), at.kind.word().to_owned(), peer.clone(), peer_port.clone()]
                        .into_iter()
                        .chain(ours)
                })
                .map(Json::from)
                .collect())
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;

    #[test]
    fn addresses_as_kamailio_reads_them() {
        for (text, kind, name, port) in [
            ("unix:/run/c", Kind::UnixStream, "/run/c", 0),
            ("unixs:rel", Kind::UnixStream, "rel", 0),
            ("/run/c", Kind::UnixStream, "/run/c", 0),
            ("unixd:/run/d", Kind::UnixDatagram, "/run/d", 0),
            ("tcp:localhost:2046", Kind::Tcp, "localhost", 2046),
            ("tcp:3012", Kind::Tcp, "*", 3012),
            ("tcp:host", Kind::Tcp, "host", PORT),
            ("udp:*:3012", Kind::Udp, "*", 3012),
            ("127.0.0.1:5", Kind::Udp, "127.0.0.1", 5),
            ("tcp:[::1]:7", Kind::Tcp, "::1", 7),
            ("udp:[::1]", Kind::Udp, "::1", PORT),
        ] {
            let wanted = Address { kind, name: name.into(), port };
            assert_eq!(Address::parse(text), Ok(wanted), "{text}");
        }
        for text in ["unix:", "tcp:host:0", "udp:host:x", &format!("/{}", "x".repeat(200))] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
    #[test]
    fn the_book_says_who_is_there() {
        let bench = Bench::new(vec![Arc::new(Ctl::default())]);
        let book = &bench.core.registry.module::<Ctl>().unwrap().book;
        let unix = Address::parse("unix:/c").unwrap();
        book.listening(unix.clone());
        book.listening(Address::parse("tcp:127.0.0.1:9").unwrap());
        let first = book.came(&unix, "<anonymous unix socket>", "");
        let ask = |name: &str| script::rpc::call(&bench.core, bench.now, name, &[]).unwrap();
        assert_eq!(
            ask("ctl.listen"),
            json!(["binrpc", "unix_stream", "/c", "", "binrpc", "tcp", "127.0.0.1", "9"])
        );
        assert_eq!(ask("ctl.who"), json!(["binrpc", "unix_stream", "<anonymous unix socket>", "", "/c", ""]));
        book.gone(first);
        assert_eq!(ask("ctl.connections"), json!(0));
    }
}
