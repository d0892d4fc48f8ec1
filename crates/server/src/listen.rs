//! `listen=` and `-l`: addresses, interfaces and names become bound sockets.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use cfg::{Config, Diagnostic, Listen, Severity};
use message::Transport;
use script::Listener;
use transport::udp::{Options, Socket};

use crate::cli::RunArgs;
use crate::settings::command_line;

/// A listener as configured, not bound yet.
pub struct Wanted {
    /// What scripts see; a port 0 is replaced when it is bound.
    pub listener: Listener,
    /// UDP workers for it.
    pub workers: usize,
    free_bind: bool,
    /// Where it was asked for; none for the command line and for default listeners.
    place: Option<cfg::Span>,
}

/// Turns the configuration's listens and then the command line's into addresses, in Kamailio's order.
pub fn wanted(config: &Config, args: &RunArgs, children: usize, found: &mut Vec<Diagnostic>) -> Vec<Wanted> {
    let mut rows: Vec<(Listen, bool)> = config.listen.iter().map(|l| (l.clone(), false)).collect();
    for text in &args.listen {
        match cfg::parse_listen_argument(text) {
            Ok(list) => rows.extend(list.into_iter().map(|l| (l, true))),
            Err(e) => found.push(command_line(format!("-l {text}: {e}"))),
        }
    }
    let mut all: Vec<Wanted> = Vec::new();
    if rows.is_empty() && args.listen.is_empty() {
        // As Kamailio without a `listen`: every address of every interface.
        for ip in interface_addresses(None) {
            all.push(one(ip, config.port(), None, children, false, None));
        }
        return all;
    }
    for (row, from_command_line) in &rows {
        let place = (!from_command_line).then_some(row.span);
        let report = |message: String| match place {
            Some(span) => config.diagnostic(Severity::Error, span, message),
            None => command_line(format!("-l: {message}")),
        };
        match row.proto {
            None | Some(cfg::Proto::Udp) => {}
            Some(other) => {
                let message = format!("{other} is not available yet: this socket is not opened, UDP only");
                let mut d = report(message);
                d.severity = Severity::Warning;
                found.push(d);
                continue;
            }
        }
        let addresses = match resolve(&row.host) {
            Ok(list) => list,
            Err(e) => {
                found.push(report(e));
                continue;
            }
        };
        let first = row.port.unwrap_or_else(|| config.port());
        for ip in addresses {
            for port in first..=row.last_port.unwrap_or(first).max(first) {
                let workers = row.workers.map_or(children, |n| (n as usize).clamp(1, 1024));
                let w = one(ip, port, Some(row), workers, row.virtual_address, place);
                let same = |o: &Wanted| o.listener.address == w.listener.address && port != 0;
                if !all.iter().any(same) {
                    all.push(w);
                }
            }
        }
    }
    all
}

fn one(
    ip: IpAddr,
    port: u16,
    row: Option<&Listen>,
    workers: usize,
    virtual_address: bool,
    place: Option<cfg::Span>,
) -> Wanted {
    let advertise = row.and_then(|r| r.advertise.as_ref()).map(|a| {
        let host = if a.host.contains(':') { format!("[{}]", a.host) } else { a.host.clone() };
        (host, a.port.unwrap_or(port))
    });
    Wanted {
        listener: Listener {
            transport: Transport::Udp,
            address: SocketAddr::new(ip, port),
            advertise,
            name: row.and_then(|r| r.name.clone()),
        },
        workers,
        free_bind: virtual_address,
        place,
    }
}

/// Binds all of them; each failure is a finding beside its line.
pub fn bind(wanted: &mut [Wanted], config: &Config, found: &mut Vec<Diagnostic>) -> Vec<Arc<Socket>> {
    let mut sockets = Vec::with_capacity(wanted.len());
    for w in wanted {
        let options = Options {
            free_bind: w.free_bind || config.bool("ip_free_bind").unwrap_or(false),
            tos: config.int("tos").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            ..Options::default()
        };
        match Socket::bind(w.listener.address, &options) {
            Ok(s) => {
                w.listener.address = s.local();
                sockets.push(Arc::new(s));
            }
            Err(e) => found.push(match w.place {
                Some(span) => config.diagnostic(Severity::Error, span, e.to_string()),
                None => command_line(e.to_string()),
            }),
        }
    }
    sockets
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(ip) = host.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(vec![ip]);
    }
    if host == "*" {
        return Ok(interface_addresses(None));
    }
    let of_interface = interface_addresses(Some(host));
    if !of_interface.is_empty() {
        return Ok(of_interface);
    }
    match (host, 0).to_socket_addrs() {
        Ok(list) => {
            let mut ips: Vec<IpAddr> = list.map(|a| a.ip()).collect();
            ips.dedup();
            // As Kamailio: one address, IPv4 before IPv6.
            ips.sort_by_key(|ip| ip.is_ipv6());
            ips.truncate(1);
            Ok(ips)
        }
        Err(e) => Err(format!(
            "'{host}' is no address, no interface of this machine, and no name that resolves: {e}"
        )),
    }
}

/// Addresses of an interface, or of all; link-local IPv6 needs a scope and is left out.
fn interface_addresses(name: Option<&str>) -> Vec<IpAddr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let mut found: Vec<IpAddr> = Vec::new();
    for i in all.filter(|i| name.is_none_or(|n| n == i.interface_name)) {
        let Some(a) = i.address else { continue };
        let ip = match (a.as_sockaddr_in(), a.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (_, Some(v6)) if v6.ip().segments()[0] & 0xffc0 != 0xfe80 => IpAddr::V6(v6.ip()),
            _ => continue,
        };
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn listeners(text: &str, flags: &[&str]) -> (Vec<String>, Vec<Diagnostic>) {
        let config =
            cfg::load_str(Path::new("k.cfg"), text, &cfg::Options::default()).expect("configuration");
        let args = RunArgs { listen: flags.iter().map(|s| s.to_string()).collect(), ..RunArgs::default() };
        let mut found = Vec::new();
        let all = wanted(&config, &args, 3, &mut found)
            .iter()
            .map(|w| format!("{} {:?} x{}", w.listener.address, w.listener.advertise, w.workers))
            .collect();
        (all, found)
    }

    #[test]
    fn addresses_ports_and_advertised_names() {
        let (all, found) = listeners(
            "port=5070\nlisten=udp:127.0.0.1\nsocket_workers=1\nlisten=udp:[::1]:5062 advertise sip.example.com:5080\n",
            &[],
        );
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(all, ["127.0.0.1:5070 None x3", "[::1]:5062 Some((\"sip.example.com\", 5080)) x1"]);
    }

    #[test]
    fn the_command_line_adds_to_the_configuration() {
        let (all, _) = listeners("listen=udp:127.0.0.1:5060\n", &["udp:127.0.0.2:5090/192.0.2.1:5060"]);
        assert_eq!(all, ["127.0.0.1:5060 None x3", "127.0.0.2:5090 Some((\"192.0.2.1\", 5060)) x3"]);
    }

    #[test]
    fn interfaces_are_looked_up_and_unknown_names_said() {
        assert_eq!(
            listeners("listen=udp:lo:5060\n", &[]).0.first().map(String::as_str),
            Some("127.0.0.1:5060 None x3")
        );
        let (all, found) = listeners("listen=udp:nosuch.invalid:5060\n", &[]);
        assert!(all.is_empty());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].is_error()), (1, true));
    }

    #[test]
    fn other_transports_are_a_warning() {
        let (all, found) = listeners("listen=tcp:127.0.0.1:5060\nlisten=udp:127.0.0.1:5060\n", &[]);
        assert_eq!(all.len(), 1);
        assert_eq!((found.len(), found[0].is_error()), (1, false));
    }
}
