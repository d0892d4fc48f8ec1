//! The transports of Via and of the `transport` URI parameter (RFC 3261 §20.42).

/// A transport this server knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// UDP
    Udp,
    /// TCP
    Tcp,
    /// TLS over TCP
    Tls,
    /// SCTP
    Sctp,
    /// WebSocket (RFC 7118)
    Ws,
    /// WebSocket over TLS
    Wss,
}

impl Transport {
    /// Case-insensitive (RFC 3261 §7.3.1); `None` for a transport this server does not know.
    pub fn parse(text: &[u8]) -> Option<Transport> {
        use Transport::*;
        [Udp, Tcp, Tls, Sctp, Ws, Wss].into_iter().find(|t| t.as_str().as_bytes().eq_ignore_ascii_case(text))
    }
    /// Upper case, as in Via.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Sctp => "SCTP",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }
    /// Lower case, as in a URI's `transport=` and in Kamailio's `udp:1.2.3.4:5060`.
    pub fn lower(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Sctp => "sctp",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }
    /// 5060, or 5061 for TLS (RFC 3261 §19.1.2); 80 and 443 for WebSocket.
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
            _ => 5060,
        }
    }
    /// Whether the transport itself delivers reliably: then transactions do not retransmit (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }
}
