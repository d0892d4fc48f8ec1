//! The Record-Route a script asked for, kept as parts until a branch knows which socket it leaves from (RFC 3261 §16.6 step 4).
//!
//! When the outgoing socket differs from the incoming one, two rows are written so that each side gets an address it can
//! reach (RFC 5658); which of the two cases holds is different for every branch, so the text cannot be made earlier.
//! Whoever prints a branch calls [`RecordRoute::write`] and puts the rows before the first header row.

use message::Transport;
use transaction::SocketId;

use crate::Listener;

/// What stands as host in the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Our sockets: the outgoing and the incoming one, advertised address first.
    Sockets,
    /// This address, whatever the socket (`record_route_advertised_address`).
    Advertised(Vec<u8>),
    /// This text (`record_route_preset`); with a second one, two rows: outbound, then inbound.
    Preset(Vec<u8>, Option<Vec<u8>>),
}

/// When two rows are written (`enable_double_rr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Double {
    /// Never.
    Never,
    /// When the outgoing socket is not the incoming one.
    WhenSocketsDiffer,
    /// Always, each with an explicit transport.
    Always,
}

/// A Record-Route to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRoute {
    /// `sip:` or `sips:`, with `user@` when wanted.
    pub prefix: Vec<u8>,
    /// Host part.
    pub place: Place,
    /// `;lr;ftag=..` in the order the kind of row has it.
    pub fixed: Vec<u8>,
    /// `;name=value` parameters added by the script.
    pub params: Vec<u8>,
    /// Two rows or one.
    pub double: Double,
}

impl RecordRoute {
    /// Appends the row or rows, each with CRLF, for a request that came in through one socket and leaves through another.
    pub fn write(&self, listeners: &[Listener], inbound: SocketId, outgoing: SocketId, out: &mut Vec<u8>) {
        let of = |s: SocketId| listeners.get(usize::from(s.0));
        let double = match self.double {
            Double::Never => false,
            Double::WhenSocketsDiffer => inbound != outgoing,
            Double::Always => true,
        };
        match &self.place {
            Place::Preset(first, second) => {
                self.row(out, |o| o.extend_from_slice(first));
                if let Some(second) = second {
                    self.row(out, |o| o.extend_from_slice(second));
                }
            }
            Place::Advertised(address) => {
                let (i, o) = (of(inbound).map(|l| l.transport), of(outgoing).map(|l| l.transport));
                let two = self.double == Double::Always || (double && i != o);
                let mut write = |t: Option<Transport>| {
                    self.row(out, |b| {
                        b.extend_from_slice(address);
                        transport(t.unwrap_or(Transport::Udp), two && self.double == Double::Always, b);
                        if two {
                            b.extend_from_slice(b";r2=on");
                        }
                    });
                };
                write(o);
                if two {
                    write(i);
                }
            }
            Place::Sockets => {
                let sides = [outgoing, inbound];
                for side in if double { &sides[..] } else { &sides[1..] } {
                    let Some(l) = of(*side) else { continue };
                    self.row(out, |b| {
                        b.extend_from_slice(l.via_host().as_bytes());
                        if l.via_port() != l.transport.default_port() {
                            b.push(b':');
                            b.extend_from_slice(l.via_port().to_string().as_bytes());
                        }
                        transport(l.transport, false, b);
                        if double {
                            b.extend_from_slice(b";r2=on");
                        }
                    });
                }
            }
        }
    }

    fn row(&self, out: &mut Vec<u8>, host: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(b"Record-Route: <");
        out.extend_from_slice(&self.prefix);
        host(out);
        out.extend_from_slice(&self.fixed);
        out.extend_from_slice(&self.params);
        out.extend_from_slice(b">\r\n");
    }
}

/// `;transport=tcp`; UDP is what a URI without the parameter means.
fn transport(t: Transport, explicit: bool, out: &mut Vec<u8>) {
    if t != Transport::Udp || explicit {
        out.extend_from_slice(b";transport=");
        // WebSocket over TLS has the same URI parameter as WebSocket (RFC 7118 §5.2).
        out.extend_from_slice(if t == Transport::Wss { b"ws" } else { t.lower().as_bytes() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, transport: Transport, advertise: Option<(&str, u16)>) -> Listener {
        Listener {
            transport,
            address: address.parse().unwrap_or(([127, 0, 0, 1], 1).into()),
            advertise: advertise.map(|(h, p)| (h.to_owned(), p)),
            name: None,
        }
    }
    fn listeners() -> Vec<Listener> {
        vec![
            listener("127.0.0.1:15200", Transport::Udp, None),
            listener("127.0.0.1:5060", Transport::Udp, None),
            listener("[::1]:15200", Transport::Tcp, None),
            listener("10.0.0.1:15201", Transport::Udp, Some(("9.8.7.6", 5080))),
        ]
    }
    fn plain() -> RecordRoute {
        RecordRoute {
            prefix: b"sip:".to_vec(),
            place: Place::Sockets,
            fixed: b";lr;ftag=ft".to_vec(),
            params: b";nat=yes".to_vec(),
            double: Double::WhenSocketsDiffer,
        }
    }
    fn text(rr: &RecordRoute, inbound: u16, outgoing: u16) -> String {
        let mut out = Vec::new();
        rr.write(&listeners(), SocketId(inbound), SocketId(outgoing), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn one_row_when_the_request_leaves_where_it_came_in() {
        assert_eq!(text(&plain(), 0, 0), "Record-Route: <sip:127.0.0.1:15200;lr;ftag=ft;nat=yes>\r\n");
        assert_eq!(text(&plain(), 1, 1), "Record-Route: <sip:127.0.0.1;lr;ftag=ft;nat=yes>\r\n");
    }
    #[test]
    fn two_rows_outgoing_first_when_the_sockets_differ() {
        assert_eq!(
            text(&plain(), 0, 2),
            "Record-Route: <sip:[::1]:15200;transport=tcp;r2=on;lr;ftag=ft;nat=yes>\r\n\
             Record-Route: <sip:127.0.0.1:15200;r2=on;lr;ftag=ft;nat=yes>\r\n"
        );
        let never = RecordRoute { double: Double::Never, ..plain() };
        assert_eq!(text(&never, 0, 1), "Record-Route: <sip:127.0.0.1:15200;lr;ftag=ft;nat=yes>\r\n");
    }
    #[test]
    fn advertised_addresses_replace_bound_ones() {
        assert!(text(&plain(), 3, 3).contains("<sip:9.8.7.6:5080;lr"));
    }
    #[test]
    fn presets_are_taken_as_they_are() {
        let rr = RecordRoute {
            place: Place::Preset(b"1.2.3.4:5090".to_vec(), Some(b"5.6.7.8".to_vec())),
            fixed: b";ftag=ft;lr".to_vec(),
            ..plain()
        };
        assert_eq!(
            text(&rr, 0, 0),
            "Record-Route: <sip:1.2.3.4:5090;ftag=ft;lr;nat=yes>\r\nRecord-Route: <sip:5.6.7.8;ftag=ft;lr;nat=yes>\r\n"
        );
    }
}
