//! `recvmmsg`, `sendmmsg` and `IP_PKTINFO`: the system calls the standard library does not have, behind safe types.
//!
//! Both rings own every byte the kernel is pointed at, in boxes whose addresses do not change while the ring lives. The message
//! headers are built once; only what the kernel overwrites is reset before the next call.
//!
//! The calls for one datagram go past the C library's functions, which make every one a place where its thread can be cancelled: that costs
//! locked instructions before and after.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::RawFd;
use std::ptr;

/// Bytes of ancillary data per datagram: one `in6_pktinfo` with its header fits, aligned.
const CONTROL: usize = 64;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// Memory for one `recvmmsg`.
pub(super) struct ReceiveRing {
    arena: Box<[u8]>,
    stride: usize,
    slot: usize,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    // Points into `headers`; kept because `headers` points at it.
    _vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    filled: usize,
}

// SAFETY: the raw pointers inside `headers` point only into boxes the ring owns, which do not move. `&ReceiveRing` hands out shared
// slices of them; the kernel writes only through `receive(&mut self)`.
unsafe impl Send for ReceiveRing {}
// SAFETY: as above.
unsafe impl Sync for ReceiveRing {}

impl ReceiveRing {
    /// `slots` datagrams of up to `slot` bytes. `skew` is added to the distance between slots.
    pub(super) fn new(slots: usize, slot: usize, skew: usize) -> ReceiveRing {
        let stride = slot + skew;
        // Zeroed memory is mapped when touched: small datagrams cost one page per slot, not `slot` bytes.
        let mut arena = vec![0u8; stride * slots].into_boxed_slice();
        // SAFETY: all-zero bytes are valid for these plain C structs.
        let zero: (libc::sockaddr_storage, libc::mmsghdr) = unsafe { std::mem::zeroed() };
        let mut names = vec![zero.0; slots].into_boxed_slice();
        let mut controls = vec![Control([0; CONTROL]); slots].into_boxed_slice();
        let mut vectors: Box<[libc::iovec]> = arena
            .chunks_exact_mut(stride)
            .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: slot })
            .collect();
        let headers = (0..slots)
            .map(|i| {
                let mut h = zero.1;
                h.msg_hdr.msg_name = ptr::from_mut(&mut names[i]).cast();
                h.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
                h.msg_hdr.msg_iov = ptr::from_mut(&mut vectors[i]);
                h.msg_hdr.msg_iovlen = 1;
                h.msg_hdr.msg_control = ptr::from_mut(&mut controls[i]).cast();
                h.msg_hdr.msg_controllen = CONTROL;
                h
            })
            .collect();
        ReceiveRing { arena, stride, slot, names, controls, _vectors: vectors, headers, filled: 0 }
    }

    /// Takes what is waiting; with `wait` it blocks until at least one datagram is there (or the socket's timeout).
    pub(super) fn receive(&mut self, fd: RawFd, wait: bool) -> io::Result<usize> {
        for h in self.headers.iter_mut().take(self.filled) {
            h.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            h.msg_hdr.msg_controllen = CONTROL;
            h.msg_hdr.msg_flags = 0;
        }
        self.filled = 0;
        // SAFETY: `headers` holds `len` initialised headers whose pointers and lengths describe memory owned by `self`, borrowed
        // mutably for the call. No timeout structure is passed.
        let n = unsafe {
            libc::recvmmsg(
                fd,
                self.headers.as_mut_ptr(),
                self.headers.len() as u32,
                (if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT }) as _,
                ptr::null_mut(),
            )
        };
        if n < 0 {
            return Err(io::Error::last_os_error());
        }
        self.filled = (n as usize).min(self.headers.len());
        Ok(self.filled)
    }

    /// Waits for one datagram (or the socket's timeout) and takes no more: quicker, but for the address it was sent to.
    pub(super) fn receive_one(&mut self, fd: RawFd) -> io::Result<usize> {
        self.filled = 0;
        let header = &mut self.headers[0];
        let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        // SAFETY: the first slot of the arena and the first name are owned by `self`, as long as said, and borrowed mutably for the call.
        let n = unsafe {
            libc::syscall(
                libc::SYS_recvfrom,
                libc::c_long::from(fd),
                self.arena.as_mut_ptr(),
                self.slot,
                0 as libc::c_long,
                ptr::from_mut(&mut self.names[0]),
                ptr::from_mut(&mut length),
            )
        };
        if n < 0 {
            return Err(io::Error::last_os_error());
        }
        header.msg_len = n as u32;
        header.msg_hdr.msg_namelen = length;
        header.msg_hdr.msg_controllen = 0;
        header.msg_hdr.msg_flags = 0;
        self.filled = 1;
        Ok(1)
    }

    /// Datagrams of the last call.
    pub(super) fn len(&self) -> usize {
        self.filled
    }
    /// Bytes of a datagram; `None` past the end or when it was longer than a slot.
    pub(super) fn bytes(&self, i: usize) -> Option<&[u8]> {
        let h = self.headers.get(..self.filled)?.get(i)?;
        if h.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let start = i * self.stride;
        self.arena.get(start..start + (h.msg_len as usize).min(self.slot))
    }
    /// Sender of a datagram.
    pub(super) fn source(&self, i: usize) -> Option<SocketAddr> {
        let h = self.headers.get(..self.filled)?.get(i)?;
        decode(self.names.get(i)?, h.msg_hdr.msg_namelen as usize)
    }
    /// Our address it was sent to, where `IP_PKTINFO` is on.
    pub(super) fn destination(&self, i: usize) -> Option<IpAddr> {
        let h = self.headers.get(..self.filled)?.get(i)?;
        let data = &self.controls.get(i)?.0;
        let length = h.msg_hdr.msg_controllen.min(CONTROL);
        let header = size_of::<libc::cmsghdr>();
        let mut at = 0;
        while at + header <= length {
            // SAFETY: `at + header <= CONTROL`, any bytes are a valid `cmsghdr`, and the read is unaligned.
            let c: libc::cmsghdr = unsafe { ptr::read_unaligned(data.as_ptr().add(at).cast()) };
            let body = data.get(at + header..(at + c.cmsg_len).min(length))?;
            match (c.cmsg_level, c.cmsg_type) {
                // in_pktinfo: ifindex, spec_dst, addr (4 bytes each).
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let octets: [u8; 4] = body.get(8..12)?.try_into().ok()?;
                    return Some(IpAddr::V4(Ipv4Addr::from(octets)));
                }
                // in6_pktinfo: addr (16 bytes), ifindex.
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let octets: [u8; 16] = body.get(..16)?.try_into().ok()?;
                    return Some(IpAddr::V6(Ipv6Addr::from(octets)));
                }
                _ => {}
            }
            at += (c.cmsg_len.max(header) + 7) & !7;
        }
        None
    }
}

/// Most datagrams the kernel cuts out of one message (`UDP_MAX_SEGMENTS` of Linux before 6.2).
const SEGMENTS: usize = 64;
/// Most bytes of one message before it is cut: what an IPv6 datagram holds.
const SEGMENTED: usize = 65_487;

/// Memory for one `sendmmsg`; the bytes themselves are lent for the call.
///
/// Neighbours of one length for one peer travel down the kernel's stack as one message, which it cuts where it would otherwise have
/// queued each (`UDP_SEGMENT`, udp(7)).
pub(super) struct SendRing {
    names: Box<[libc::sockaddr_storage]>,
    vectors: Box<[libc::iovec]>,
    controls: Box<[Control]>,
    headers: Box<[libc::mmsghdr]>,
    /// Datagrams behind each header.
    counts: Box<[usize]>,
    /// Longest datagrams that the kernel was not seen to refuse to cut; 0 when it cuts none.
    longest: usize,
}

// SAFETY: `headers` points only into boxes the ring owns; `vectors` point at lent bytes only during `send`, which sets every entry it
// passes to the kernel.
unsafe impl Send for SendRing {}

impl SendRing {
    pub(super) fn new(slots: usize) -> SendRing {
        // SAFETY: all-zero bytes are valid for these plain C structs.
        let zero: (libc::sockaddr_storage, libc::iovec, libc::mmsghdr) = unsafe { std::mem::zeroed() };
        let mut names = vec![zero.0; slots].into_boxed_slice();
        let mut vectors = vec![zero.1; slots].into_boxed_slice();
        let headers = (0..slots)
            .map(|i| {
                let mut h = zero.2;
                h.msg_hdr.msg_name = ptr::from_mut(&mut names[i]).cast();
                h.msg_hdr.msg_iov = ptr::from_mut(&mut vectors[i]);
                h.msg_hdr.msg_iovlen = 1;
                h
            })
            .collect();
        let controls = vec![Control([0; CONTROL]); slots].into_boxed_slice();
        SendRing {
            names,
            vectors,
            controls,
            headers,
            counts: vec![1; slots].into_boxed_slice(),
            longest: usize::MAX,
        }
    }

    /// Slots.
    pub(super) fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Sends these datagrams in order without blocking; returns how many the kernel took (at least one) or why it refused the first.
    pub(super) fn send(&mut self, fd: RawFd, datagrams: &[(SocketAddr, &[u8])]) -> io::Result<usize> {
        if let [(to, bytes)] = datagrams {
            return self.send_one(fd, to, bytes).map(|()| 1);
        }
        let headers = self.fill(datagrams);
        // SAFETY: the first `headers` headers point at names, vectors and controls owned by `self`, and those at bytes borrowed for the
        // call; the kernel only reads them (and writes `msg_len`).
        let sent = unsafe {
            libc::sendmmsg(
                fd,
                self.headers.as_mut_ptr(),
                headers as u32,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        if sent >= 0 {
            return Ok(self.counts.iter().take(sent as usize).sum());
        }
        let error = io::Error::last_os_error();
        if let (Some(2..), Some((_, first))) = (self.counts.first(), datagrams.first()) {
            self.longest = match error.raw_os_error() {
                // Longer than the MTU of a route: such are sent each alone, to be fragmented.
                Some(libc::EINVAL | libc::EMSGSIZE) => first.len().saturating_sub(1),
                // A device that computes no checksums, or an old kernel.
                Some(libc::EIO | libc::ENOPROTOOPT | libc::EOPNOTSUPP) => 0,
                _ => return Err(error),
            };
            return self.send(fd, datagrams);
        }
        Err(error)
    }

    /// The quicker way for one.
    fn send_one(&mut self, fd: RawFd, to: &SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let length = encode(to, &mut self.names[0]);
        // SAFETY: bytes and name are borrowed for the call, and the kernel only reads them.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendto,
                libc::c_long::from(fd),
                bytes.as_ptr(),
                bytes.len(),
                libc::c_long::from(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL),
                ptr::from_ref(&self.names[0]),
                libc::c_long::from(length),
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Points headers at datagrams; how many headers.
    fn fill(&mut self, datagrams: &[(SocketAddr, &[u8])]) -> usize {
        let n = datagrams.len().min(self.headers.len());
        for ((_, bytes), vector) in datagrams.iter().take(n).zip(&mut self.vectors) {
            *vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        }
        let (mut headers, mut first) = (0, 0);
        while let Some((to, bytes)) = datagrams.get(first).filter(|_| first < n) {
            let count = if bytes.len() <= self.longest { alike(&datagrams[first..n]) } else { 1 };
            let header = &mut self.headers[headers].msg_hdr;
            header.msg_namelen = encode(to, &mut self.names[headers]);
            header.msg_iov = ptr::from_mut(&mut self.vectors[first]);
            header.msg_iovlen = count as _;
            if count > 1 {
                header.msg_controllen = segment_size(&mut self.controls[headers], bytes.len() as u16);
                header.msg_control = ptr::from_mut(&mut self.controls[headers]).cast();
            } else {
                header.msg_control = ptr::null_mut();
                header.msg_controllen = 0;
            }
            self.counts[headers] = count;
            headers += 1;
            first += count;
        }
        headers
    }
}

/// How many of the first datagrams go to one peer and have one length; the last of them may be shorter.
fn alike(datagrams: &[(SocketAddr, &[u8])]) -> usize {
    let Some(((to, first), rest)) = datagrams.split_first() else { return 0 };
    let length = first.len();
    let most = SEGMENTS.min(SEGMENTED / length.max(1));
    let mut count = 1;
    for (peer, bytes) in rest {
        if count >= most || peer != to || bytes.len() > length || bytes.is_empty() || length == 0 {
            break;
        }
        count += 1;
        if bytes.len() < length {
            break;
        }
    }
    count
}

/// Writes the ancillary data that asks for segments of this size; its length.
fn segment_size(control: &mut Control, size: u16) -> usize {
    // SAFETY: these macros only compute with sizes.
    let (header_length, space) = unsafe { (libc::CMSG_LEN(2), libc::CMSG_SPACE(2)) };
    let header = libc::cmsghdr {
        cmsg_len: header_length as _,
        cmsg_level: libc::SOL_UDP,
        cmsg_type: libc::UDP_SEGMENT,
    };
    let data = header_length as usize - 2;
    // SAFETY: the control buffer is aligned for and longer than a `cmsghdr`, whose bytes may be anything.
    unsafe { ptr::from_mut(control).cast::<libc::cmsghdr>().write(header) };
    control.0[data..data + 2].copy_from_slice(&size.to_ne_bytes());
    space as usize
}

/// Waits until the socket takes datagrams again; false after `milliseconds`.
pub(super) fn wait_writable(fd: RawFd, milliseconds: i32) -> bool {
    let mut p = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one initialised `pollfd`, borrowed mutably for the call.
    unsafe { libc::poll(&mut p, 1, milliseconds) > 0 }
}

/// Asks for the destination address of every datagram.
pub(super) fn enable_packet_info(fd: RawFd, v6: bool) -> io::Result<()> {
    let on: libc::c_int = 1;
    let (level, name) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    // SAFETY: the option value is a valid `c_int` of the size given.
    let r = unsafe {
        libc::setsockopt(fd, level, name, ptr::from_ref(&on).cast(), size_of::<libc::c_int>() as u32)
    };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn decode(name: &libc::sockaddr_storage, length: usize) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the kernel filled in a `sockaddr_in`, and the storage is larger and aligned for it.
            let a: &libc::sockaddr_in = unsafe { &*ptr::from_ref(name).cast() };
            let ip = Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(a.sin_port)))
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above, for `sockaddr_in6`.
            let a: &libc::sockaddr_in6 = unsafe { &*ptr::from_ref(name).cast() };
            let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(a.sin6_port), 0, a.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn encode(address: &SocketAddr, name: &mut libc::sockaddr_storage) -> u32 {
    match address {
        SocketAddr::V4(a) => {
            let v = libc::sockaddr_in {
                sin_family: libc::AF_INET as _,
                sin_port: a.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*a.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than and aligned for `sockaddr_in`.
            unsafe {
                ptr::from_mut(name).cast::<MaybeUninit<libc::sockaddr_in>>().write(MaybeUninit::new(v))
            };
            size_of::<libc::sockaddr_in>() as u32
        }
        SocketAddr::V6(a) => {
            let v = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as _,
                sin6_port: a.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: a.ip().octets() },
                sin6_scope_id: a.scope_id(),
            };
            // SAFETY: the storage is larger than and aligned for `sockaddr_in6`.
            unsafe {
                ptr::from_mut(name).cast::<MaybeUninit<libc::sockaddr_in6>>().write(MaybeUninit::new(v))
            };
            size_of::<libc::sockaddr_in6>() as u32
        }
    }
}
