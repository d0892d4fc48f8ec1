//! A bound UDP socket: options, and what an operator reads when it cannot be bound.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

/// What a listener asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// `SO_RCVBUF` asked for, in bytes; the kernel caps it at `net.core.rmem_max`. Bursts wait here while workers run scripts.
    pub receive_buffer: usize,
    /// `SO_SNDBUF` asked for, in bytes.
    pub send_buffer: usize,
    /// `tos`: the IP type of service (IPv6: traffic class), 0 leaves the system's.
    pub tos: u32,
    /// Bind an address this machine does not have yet (`ip_free_bind`, a floating address).
    pub free_bind: bool,
    /// `SO_REUSEPORT`: several processes may share the port.
    pub reuse_port: bool,
    /// How long one read blocks at most until [`Socket::woken_by`] has seen that [`Socket::wake`] ends reads, which then block without limit.
    /// [`Socket::close_reading`] always ends them.
    pub read_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            receive_buffer: 8 << 20,
            send_buffer: 4 << 20,
            tos: 0,
            free_bind: false,
            reuse_port: false,
            read_timeout: Duration::from_secs(1),
        }
    }
}

/// A socket could not be made ready.
#[derive(Debug)]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// The step that failed.
    pub step: &'static str,
    /// What the system said.
    pub cause: io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let a = self.address;
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "udp:{a} is in use by another process: see which with `ss -lunp 'sport = :{}'`, stop it or listen elsewhere",
                a.port()
            ),
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "udp:{a}: this machine has no address {}: see `ip address`", a.ip())
            }
            io::ErrorKind::PermissionDenied => write!(
                f,
                "udp:{a}: not allowed to bind port {}: ports below 1024 need root or CAP_NET_BIND_SERVICE",
                a.port()
            ),
            _ => write!(f, "udp:{a}: {} failed: {}", self.step, self.cause),
        }
    }
}
impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A bound UDP socket. All methods take `&self`: workers share it.
#[derive(Debug)]
pub struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
    wildcard: bool,
    can_be_woken: AtomicBool,
}

impl Socket {
    /// Binds an address; port 0 lets the system choose.
    pub fn bind(address: SocketAddr, options: &Options) -> Result<Socket, BindError> {
        let fail = |step| move |cause| BindError { address, step, cause };
        let s = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
            .map_err(fail("socket"))?;
        if address.is_ipv6() {
            // One socket per family: a v4 peer must not show up as ::ffff:a.b.c.d in Via and `$si`.
            s.set_only_v6(true).map_err(fail("IPV6_V6ONLY"))?;
        }
        if options.reuse_port {
            s.set_reuse_port(true).map_err(fail("SO_REUSEPORT"))?;
        }
        if options.free_bind && address.is_ipv4() {
            s.set_freebind_v4(true).map_err(fail("IP_FREEBIND"))?;
        }
        if options.free_bind && address.is_ipv6() {
            s.set_freebind_v6(true).map_err(fail("IPV6_FREEBIND"))?;
        }
        if options.tos != 0 {
            let set =
                if address.is_ipv4() { s.set_tos_v4(options.tos) } else { s.set_tclass_v6(options.tos) };
            set.map_err(fail("IP_TOS"))?;
        }
        // Sizes are wishes: the kernel caps them without an error.
        s.set_recv_buffer_size(options.receive_buffer).map_err(fail("SO_RCVBUF"))?;
        s.set_send_buffer_size(options.send_buffer).map_err(fail("SO_SNDBUF"))?;
        s.set_read_timeout(Some(options.read_timeout)).map_err(fail("SO_RCVTIMEO"))?;
        let wildcard = address.ip().is_unspecified();
        if wildcard {
            super::syscall::enable_packet_info(s.as_raw_fd(), address.is_ipv6())
                .map_err(fail("IP_PKTINFO"))?;
        }
        s.bind(&address.into()).map_err(fail("bind"))?;
        let socket: UdpSocket = s.into();
        let local = socket.local_addr().map_err(fail("getsockname"))?;
        Ok(Socket { socket, local, wildcard, can_be_woken: AtomicBool::new(false) })
    }
    /// The bound address, with the port the system chose.
    pub fn local(&self) -> SocketAddr {
        self.local
    }
    /// Whether it is bound to 0.0.0.0 or ::, so that each datagram tells where it arrived.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }
    /// `SO_RCVBUF` as the kernel granted it, in bytes.
    pub fn receive_buffer(&self) -> usize {
        socket2::SockRef::from(&self.socket).recv_buffer_size().unwrap_or(0)
    }
    /// Ends one blocking read with nothing: an empty datagram from ourselves, which carries no SIP. A worker that waits for the
    /// network can so be called to other work without costing busy workers a system call.
    pub fn wake(&self) -> io::Result<()> {
        let mut to = self.local;
        if self.wildcard {
            to.set_ip(match to.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        self.socket.send_to(&[], to).map(|_| ())
    }
    /// To be told of each datagram without bytes. The first that came by [`Socket::wake`] shows that no firewall keeps such away, and ends
    /// the read timeout: the kernel would set up and take down a timer for each datagram.
    pub fn woken_by(&self, source: SocketAddr) {
        let ours = source.ip() == self.local.ip() || (self.wildcard && source.ip().is_loopback());
        if ours && source.port() == self.local.port() && !self.can_be_woken.swap(true, Ordering::Relaxed) {
            // Without it reads end once a timeout, as before.
            let _ = self.socket.set_read_timeout(None);
        }
    }
    /// Ends all reading: blocked and later reads return at once. Sending goes on, so replies of a draining server still leave.
    pub fn close_reading(&self) {
        // The kernel answers ENOTCONN for an unconnected socket and shuts its reading side all the same.
        let _ = socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Read);
    }
    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_says_who_to_ask() {
        let first = Socket::bind("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
        let error = Socket::bind(first.local(), &Options::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&first.local().to_string()), "{text}");
        assert!(text.contains("in use") && text.contains("ss -lunp"), "{text}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let error = Socket::bind("192.0.2.1:5060".parse().unwrap(), &Options::default()).unwrap_err();
        assert!(error.to_string().contains("no address 192.0.2.1"), "{error}");
    }

    #[test]
    fn only_our_own_wake_up_ends_the_timeout() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let s = Socket::bind(bind.parse().unwrap(), &Options::default()).unwrap();
            let limit = || s.socket.read_timeout().unwrap();
            let mut r = super::super::Receiver::new(1);
            let peer = UdpSocket::bind(if s.local.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
            let mut to = s.local;
            to.set_ip(peer.local_addr().unwrap().ip());
            peer.send_to(&[], to).unwrap();
            s.woken_by(r.receive(&s).unwrap().datagram(0).unwrap().0);
            assert!(limit().is_some(), "{bind}: a stranger's datagram");
            s.wake().unwrap();
            s.woken_by(r.receive(&s).unwrap().datagram(0).unwrap().0);
            assert_eq!(limit(), None, "{bind}");
        }
    }

    #[test]
    fn the_same_port_serves_both_families() {
        let v6 = Socket::bind("[::]:0".parse().unwrap(), &Options::default()).unwrap();
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), v6.local().port());
        Socket::bind(v4, &Options::default()).expect("IPV6_V6ONLY leaves IPv4 free");
    }
}
