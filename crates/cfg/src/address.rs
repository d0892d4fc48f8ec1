//! Socket addresses: `listen`, `alias`, `advertise`, and `-l` of the command line.

use std::net::{IpAddr, Ipv6Addr};

use crate::source::Span;

/// A transport protocol as configurations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// SCTP.
    Sctp,
    /// WebSocket (aliases only).
    Ws,
    /// WebSocket over TLS (aliases only).
    Wss,
}

impl Proto {
    /// From its name in small or capital letters.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "udp" | "UDP" => Some(Proto::Udp),
            "tcp" | "TCP" => Some(Proto::Tcp),
            "tls" | "TLS" => Some(Proto::Tls),
            "sctp" | "SCTP" => Some(Proto::Sctp),
            "ws" | "WS" => Some(Proto::Ws),
            "wss" | "WSS" => Some(Proto::Wss),
            _ => None,
        }
    }

    /// The name in small letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Proto::Udp => "udp",
            Proto::Tcp => "tcp",
            Proto::Tls => "tls",
            Proto::Sctp => "sctp",
            Proto::Ws => "ws",
            Proto::Wss => "wss",
        }
    }
}

impl std::fmt::Display for Proto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The protocol; `None` stands for all that are enabled.
    pub proto: Option<Proto>,
    /// An address (IPv6 without brackets), a host name, an interface, or `*` for all addresses.
    pub host: String,
    /// The port; `None` stands for the parameter `port`.
    pub port: Option<u16>,
    /// The last port of a range `5060-5068`, inclusive.
    pub last_port: Option<u16>,
    /// What Via and Record-Route say instead of the socket's own address.
    pub advertise: Option<Advertise>,
    /// The socket's name, for `$fsn` and `;sn=`.
    pub name: Option<String>,
    /// `virtual`: the address may move between machines.
    pub virtual_address: bool,
    /// The `socket_workers` before this socket.
    pub workers: Option<u32>,
    /// `agname` of a `socket` block: the async group for its messages.
    pub async_group: Option<String>,
    /// `vrf` of a `socket` block: the VRF device.
    pub vrf: Option<String>,
    /// The place; of the command line for `-l`.
    pub span: Span,
}

impl Listen {
    pub(crate) fn new(address: Address, span: Span) -> Self {
        Self {
            proto: address.proto,
            host: address.host,
            port: address.port,
            last_port: address.last_port,
            advertise: None,
            name: None,
            virtual_address: false,
            workers: None,
            async_group: None,
            vrf: None,
            span,
        }
    }

    /// The address, if the host is one; interfaces and host names have to be looked up.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// The address of `advertise`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// A host name or an address, IPv6 without brackets.
    pub host: String,
    /// The port; `None` stands for the socket's own.
    pub port: Option<u16>,
}

/// A name that `myself` and `is_myself()` accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Only for this protocol.
    pub proto: Option<Proto>,
    /// The host name or address.
    pub host: String,
    /// Only for this port.
    pub port: Option<u16>,
    /// The place.
    pub span: Span,
}

/// `[proto:]host[:port[-port]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) proto: Option<Proto>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) last_port: Option<u16>,
}

impl Address {
    /// The message of an error says what is wrong and ends without a full stop.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (proto, rest) = match text.split_once(':') {
            Some((word, rest)) if Proto::parse(word).is_some() => (Proto::parse(word), rest),
            Some((word, rest)) if word.eq_ignore_ascii_case("any") => (None, rest),
            _ => (None, text),
        };
        let (host, port) = split_port(rest)?;
        if host.is_empty() {
            return Err("the host or address is missing".into());
        }
        if let Some(bad) = host.chars().find(|c| !(c.is_alphanumeric() || "._-:*%@".contains(*c))) {
            return Err(format!("'{bad}' cannot be part of a host or address"));
        }
        let (first, last) = match port.split_once('-') {
            Some((first, last)) => (parse_port(first)?, parse_port(last)?),
            None => (parse_port(port)?, None),
        };
        if last.is_some() && (first.is_none() || last < first) {
            return Err(format!("'{port}' is not a range of ports"));
        }
        Ok(Self { proto, host: host.to_owned(), port: first, last_port: last })
    }
}

/// Host and port of `host`, `host:port`, `[v6]`, `[v6]:port` and bare `v6`.
fn split_port(text: &str) -> Result<(&str, &str), String> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, behind) = inner.split_once(']').ok_or("this '[' is not closed")?;
        let plain = host.split('%').next().unwrap_or(host);
        if plain.parse::<Ipv6Addr>().is_err() {
            return Err(format!("'{host}' is not an IPv6 address"));
        }
        return match behind.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if behind.is_empty() => Ok((host, "")),
            None => Err(format!("':' and a port expected behind ']', not '{behind}'")),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, ""));
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => {
            Err(format!("'{text}' is not [protocol:]host[:port]; IPv6 addresses need '[' and ']'"))
        }
        Some((_, "")) => Err("the port is missing".into()),
        Some((host, port)) => {
            check_ipv4(host)?;
            Ok((host, port))
        }
        None => {
            check_ipv4(text)?;
            Ok((text, ""))
        }
    }
}

/// Refuses what looks like an IPv4 address and is none.
fn check_ipv4(host: &str) -> Result<(), String> {
    let numeric =
        !host.is_empty() && host.contains('.') && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match numeric && host.parse::<IpAddr>().is_err() {
        true => Err(format!("'{host}' is not an IPv4 address")),
        false => Ok(()),
    }
}

fn parse_port(text: &str) -> Result<Option<u16>, String> {
    match text {
        // `*`: any port, for aliases.
        "" | "*" => Ok(None),
        _ => text
            .parse()
            .map(Some)
            .map_err(|_| format!("'{text}' is not a port: a number from 1 to 65535 is expected")),
    }
}

pub(crate) fn parse_advertise(text: &str) -> Result<Advertise, String> {
    let address = Address::parse(text)?;
    match address.proto {
        Some(proto) => Err(format!("'advertise' takes its protocol from the socket: leave '{proto}:' out")),
        None => Ok(Advertise { host: address.host, port: address.port }),
    }
}

/// Reads the argument of `-l`: `[proto:]host[:port][/[advertised][/name]]`, where host may be a list `(a, b)`.
pub fn parse_listen_argument(text: &str) -> Result<Vec<Listen>, String> {
    let mut parts = text.splitn(3, '/').map(str::trim);
    let address = parts.next().unwrap_or_default();
    let advertised = parts.next();
    let name = parts.next();
    let advertise = match advertised {
        // `udp:127.0.0.1:5060//local`: a name and no other address.
        None => None,
        Some("") if name.is_some() => None,
        Some(advertised) => Some(parse_advertise(advertised)?),
    };
    let name = match name {
        Some("") => return Err("the socket's name is missing behind the second '/'".into()),
        other => other.map(str::to_owned),
    };
    let mut sockets = Vec::new();
    for one in expand_list(address)? {
        let mut listen = Listen::new(Address::parse(&one)?, Span::default());
        listen.advertise.clone_from(&advertise);
        listen.name.clone_from(&name);
        sockets.push(listen);
    }
    Ok(sockets)
}

/// Reads the argument of `--alias`: `[proto:]host[:port]`.
pub fn parse_alias_argument(text: &str) -> Result<Alias, String> {
    let Address { proto, host, port, .. } = Address::parse(text.trim())?;
    Ok(Alias { proto, host, port, span: Span::default() })
}

/// `udp:(a,b):5060` is `udp:a:5060` and `udp:b:5060`.
pub(crate) fn expand_list(text: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = text.split_once('(') else { return Ok(vec![text.to_owned()]) };
    let (list, behind) = rest.split_once(')').ok_or("this '(' is not closed")?;
    Ok(list.split(',').map(|host| format!("{before}{}{behind}", host.trim())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Address::parse(text) {
            Ok(a) => format!("{:?} {} {:?} {:?}", a.proto.map(Proto::as_str), a.host, a.port, a.last_port),
            Err(e) => e,
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(shown("udp:127.0.0.1:5060"), "Some(\"udp\") 127.0.0.1 Some(5060) None");
        assert_eq!(shown("127.0.0.1"), "None 127.0.0.1 None None");
        assert_eq!(shown("TLS:[2a02:1850:1:1::18]:5061"), "Some(\"tls\") 2a02:1850:1:1::18 Some(5061) None");
        assert_eq!(shown("[::1]"), "None ::1 None None");
        assert_eq!(shown("::1"), "None ::1 None None");
        assert_eq!(shown("udp:eth0.100:5060"), "Some(\"udp\") eth0.100 Some(5060) None");
        assert_eq!(shown("tcp:a-b.c:*"), "Some(\"tcp\") a-b.c None None");
        assert_eq!(shown("udp:10.0.0.1:5060-5068"), "Some(\"udp\") 10.0.0.1 Some(5060) Some(5068)");
    }

    #[test]
    fn mistakes() {
        assert_eq!(
            shown("udp:127.0.0.1:99999"),
            "'99999' is not a port: a number from 1 to 65535 is expected"
        );
        assert_eq!(shown("udp:1.2.3.400:5060"), "'1.2.3.400' is not an IPv4 address");
        assert_eq!(shown("[::g]:1"), "'::g' is not an IPv6 address");
        assert_eq!(shown("[::1"), "this '[' is not closed");
        assert_eq!(shown("udp:"), "the host or address is missing");
        assert_eq!(
            shown("foo:bar:5060"),
            "'foo:bar:5060' is not [protocol:]host[:port]; IPv6 addresses need '[' and ']'"
        );
    }

    #[test]
    fn command_line_listen() {
        let hosts = |text| {
            parse_listen_argument(text)
                .map(|l| l.iter().map(|l| format!("{}:{:?}", l.host, l.port)).collect::<Vec<_>>())
        };
        assert_eq!(
            hosts("(eth0, 127.0.0.1):5065"),
            Ok(vec!["eth0:Some(5065)".into(), "127.0.0.1:Some(5065)".into()])
        );
        let advertised = parse_listen_argument("udp:127.0.0.1:5080/1.2.3.4:5060")
            .ok()
            .and_then(|mut l| l.pop()?.advertise);
        assert_eq!(advertised, Some(Advertise { host: "1.2.3.4".into(), port: Some(5060) }));
        let named = |text| {
            let one = parse_listen_argument(text)?.pop().ok_or("no socket")?;
            Ok::<_, String>((one.advertise.map(|a| a.host), one.name))
        };
        assert_eq!(named("udp:127.0.0.1:5080//local"), Ok((None, Some("local".into()))));
        assert_eq!(
            named("udp:127.0.0.1:5080/1.2.3.4:5060/local"),
            Ok((Some("1.2.3.4".into()), Some("local".into())))
        );
        assert!(named("udp:127.0.0.1:5080/").is_err() && named("udp:127.0.0.1:5080//").is_err());
    }
}
