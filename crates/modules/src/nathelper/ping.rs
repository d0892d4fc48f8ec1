//! Keep-alives to registered contacts: four zero bytes, or a SIP request whose answer shows that the phone is still there.
//!
//! The location tables are gone through shard by shard, so that every contact has its turn once per `natping_interval` and each second
//! costs what is due in it. Nothing is kept about a request that was sent: the From tag of its answer names the contact, signed with the
//! server's seed.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use message::{Message, NameAddr, Transport, Uri};
use script::{Core, Listener, Services, Setup, SetupError};
use transaction::{Hop, Now, SocketId};

use super::Settings;
use crate::usrloc::{Contact, Domains, Ruid, parse_socket, unix};

/// Start of the Via branch of keep-alives: no transaction has such a one.
const BRANCH: &[u8] = b"z9hG4bKnatping-";
/// Most keep-alives of one second. A table that would need more has a longer interval.
const BUDGET: usize = 50_000;
/// Bytes of a keep-alive that is no SIP; user agents ignore it.
const NOTHING: [u8; 4] = [0; 4];

/// Sends keep-alives and hears of their answers.
#[derive(Debug)]
pub(super) struct Pinger {
    domains: Arc<Domains>,
    interval: u64,
    nated_only: bool,
    disable: u32,
    sip: u32,
    from: Option<String>,
    method: String,
    timeout: u32,
    /// `force_socket`
    socket: Option<SocketId>,
    /// `natping_socket`, where it is a socket of this server.
    nothing_from: Option<SocketId>,
    /// `udpping_from_path`
    from_path: bool,
    seed: u64,
    progress: Mutex<Progress>,
    warned: AtomicBool,
    warned_of_path: AtomicBool,
}

/// Where the round stands.
#[derive(Debug, Default)]
struct Progress {
    /// When the first round began, in seconds of the monotonic clock.
    started: Option<u64>,
    /// Shards visited since then.
    visited: u64,
    /// Requests sent, for branches and Call-IDs.
    sent: u64,
}

/// The socket of `natping_socket`; `None`, with a warning, when it is none of this server's.
fn own_ipv4_socket(listeners: &[Listener], text: &str) -> Result<Option<SocketId>, SetupError> {
    if text.contains('[') {
        return Err(SetupError(format!("natping_socket {text}: IPv4 addresses only")));
    }
    let udp = |s: &SocketId| listeners.get(usize::from(s.0)).is_some_and(|l| l.transport == Transport::Udp);
    let found = parse_socket(listeners, text.as_bytes()).filter(udp);
    if found.is_none() {
        tracing::warn!(target: "nathelper",
            "natping_socket {text}: this server does not listen there, and forging an address needs raw sockets; keep-alives leave from its own sockets");
    }
    Ok(found)
}

/// Where a URI leads, and our socket for it: the first of these that fits, else any. Addresses over UDP only.
fn hop<'l>(
    listeners: &'l [Listener],
    uri: &[u8],
    wanted: &[Option<SocketId>],
) -> Option<(Hop, &'l Listener)> {
    let uri = Uri::parse(uri).ok()?;
    let udp = matches!(uri.transport(), None | Some(Transport::Udp)) && uri.scheme == message::Scheme::Sip;
    let remote = std::net::SocketAddr::new(uri.ip().filter(|_| udp)?, uri.port_or_default());
    let fits = |s: &SocketId| {
        listeners
            .get(usize::from(s.0))
            .filter(|l| l.transport == Transport::Udp && l.address.is_ipv4() == remote.is_ipv4())
    };
    let any = (0..listeners.len()).map(|i| SocketId(i as u16));
    let socket = wanted.iter().flatten().copied().chain(any).find(|s| fits(s).is_some())?;
    Some((Hop { transport: Transport::Udp, remote, socket }, fits(&socket)?))
}

fn mask(flag: i64) -> u32 {
    u32::try_from(flag).ok().and_then(|f| 1u32.checked_shl(f)).unwrap_or(0)
}

impl Pinger {
    pub fn new(settings: &Settings, domains: &Arc<Domains>, setup: &Setup<'_>) -> Result<Pinger, SetupError> {
        let socket = match settings.force_socket.as_deref() {
            Some(text) => Some(parse_socket(setup.listeners, text.as_bytes()).ok_or_else(|| {
                SetupError(format!("force_socket {text}: this server does not listen there"))
            })?),
            None => None,
        };
        let nothing_from = match settings.natping_socket.as_deref() {
            Some(text) => own_ipv4_socket(setup.listeners, text)?,
            None => None,
        };
        if let Some(from) = &settings.sipping_from
            && Uri::parse(from.as_bytes()).is_err()
        {
            return Err(SetupError(format!("sipping_from {from}: not a URI")));
        }
        if settings.sipping_bflag >= 0 && settings.sipping_from.is_none() {
            tracing::warn!(target: "nathelper", "sipping_bflag without sipping_from, the From URI of keep-alives: they are four zero bytes");
        }
        if !message::grammar::is_token(settings.sipping_method.as_bytes()) {
            return Err(SetupError(format!("sipping_method {}: not a method", settings.sipping_method)));
        }
        if settings.ping_nated_only && domains.nat_flag() == 0 {
            tracing::warn!(target: "nathelper", "ping_nated_only without usrloc's parameter nat_bflag: no contact gets keep-alives");
        }
        Ok(Pinger {
            domains: domains.clone(),
            interval: u64::from(settings.natping_interval),
            nated_only: settings.ping_nated_only,
            disable: mask(settings.natping_disable_bflag),
            sip: mask(settings.sipping_bflag),
            from: settings.sipping_from.clone(),
            method: settings.sipping_method.clone(),
            timeout: settings.keepalive_timeout,
            socket,
            nothing_from,
            from_path: settings.udpping_from_path,
            seed: setup.config.seed,
            progress: Mutex::default(),
            warned: AtomicBool::new(false),
            warned_of_path: AtomicBool::new(false),
        })
    }

    /// Sends what is due since the last call.
    pub fn run(&self, services: &Services<'_>, now: Now, paused: bool) {
        let mut progress = self.progress.lock().unwrap_or_else(|e| e.into_inner());
        let seconds = now.mono.as_millis() / 1000;
        let shards = 1u64 << self.domains.rules().shard_bits.min(16);
        let started = *progress.started.get_or_insert(seconds);
        let target = seconds.saturating_sub(started).saturating_mul(shards) / self.interval.max(1);
        if paused {
            progress.visited = target;
            return;
        }
        // After a pause (a suspended machine) one round is enough.
        progress.visited = progress.visited.max(target.saturating_sub(shards));
        let tables = self.domains.all();
        let mut budget = BUDGET;
        let mut silent: Vec<(usize, Vec<u8>, Ruid)> = Vec::new();
        let at = unix(now);
        while progress.visited < target && budget > 0 {
            let shard = (progress.visited % shards) as usize;
            progress.visited += 1;
            for (table, domain) in tables.iter().enumerate() {
                domain.for_each_in(shard, |record| {
                    for contact in record.valid(at).filter(|c| self.wants(c)) {
                        let sip = contact.cflags & self.sip != 0 && self.from.is_some();
                        if sip
                            && self.timeout > 0
                            && contact.last_keepalive().saturating_add(self.timeout) < at
                        {
                            silent.push((table, record.aor().to_vec(), contact.ruid()));
                            continue;
                        }
                        progress.sent = progress.sent.wrapping_add(1);
                        budget = budget.saturating_sub(1);
                        self.send(services, contact, record.hash(), progress.sent, sip);
                    }
                });
            }
        }
        let late = progress.visited < target;
        drop(progress);
        if late && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "nathelper", BUDGET,
                "more contacts than keep-alives can be sent to in natping_interval: the round takes longer");
        }
        for (table, aor, ruid) in silent {
            tracing::info!(target: "nathelper", aor = %String::from_utf8_lossy(&aor),
                "a contact answers no keep-alives: it ends");
            let Some(domain) = tables.get(table) else { continue };
            domain.change(&aor, |entry| {
                let place = entry.contacts().iter().position(|c| c.ruid() == ruid);
                if let Some(contact) = place.and_then(|at| entry.record().contact(at)) {
                    contact.expires = at;
                }
            });
        }
    }

    fn wants(&self, contact: &Contact) -> bool {
        (!self.nated_only || contact.cflags & self.domains.nat_flag() != 0)
            && contact.cflags & self.disable == 0
    }

    fn send(&self, services: &Services<'_>, contact: &Contact, hash: u32, number: u64, sip: bool) {
        let first = sip.then(|| NameAddr::list(contact.path()).next()).flatten().and_then(Result::ok);
        let next = match &first {
            Some(hop) => hop.uri,
            None if contact.received().is_empty() => contact.uri(),
            None => contact.received(),
        };
        let listeners = &services.core.listeners;
        let forced = match sip {
            true => self.socket,
            false => self.path_socket(listeners, contact).or(self.nothing_from).or(self.socket),
        };
        let Some((hop, listener)) = hop(listeners, next, &[forced, contact.socket()]) else { return };
        if !sip {
            services.outbox.print(hop, |out| out.extend_from_slice(&NOTHING));
            return;
        }
        let ruid = self.domains.rules().ruid.text(contact.ruid());
        let sign = self.sign(&ruid, hash);
        services.outbox.print(hop, |out| {
            self.request(out, contact, listener, &ruid, hash, sign, number);
        });
    }

    /// With `udpping_from_path`: our socket that the contact's last Path URI names, the proxy next to the phone.
    fn path_socket(&self, listeners: &[Listener], contact: &Contact) -> Option<SocketId> {
        if !self.from_path || contact.path().is_empty() {
            return None;
        }
        let last = NameAddr::list(contact.path()).last()?.ok()?;
        let uri = last.parse_uri().ok()?;
        let port = uri.port_or_default();
        let ours = |l: &Listener| {
            let advertised =
                l.advertise.as_ref().is_some_and(|(h, p)| h.as_bytes() == uri.host && *p == port);
            l.transport == Transport::Udp
                && (advertised || uri.ip() == Some(l.address.ip()) && l.address.port() == port)
        };
        let found = listeners.iter().position(ours).and_then(|at| u16::try_from(at).ok());
        if found.is_none() && !self.warned_of_path.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "nathelper", path = %String::from_utf8_lossy(last.uri),
                "udpping_from_path: not a socket of this server, and forging it needs raw sockets; such keep-alives leave as without it");
        }
        found.map(SocketId)
    }

    #[allow(clippy::too_many_arguments)]
    fn request(
        &self,
        out: &mut Vec<u8>,
        contact: &Contact,
        listener: &Listener,
        ruid: &[u8],
        hash: u32,
        sign: u64,
        number: u64,
    ) {
        use std::io::Write;
        let method = &self.method;
        let (host, port) = (listener.via_host(), listener.via_port());
        out.extend_from_slice(method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(contact.uri());
        // Writing into a vector cannot fail.
        let _ = write!(out, " SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=");
        out.extend_from_slice(BRANCH);
        let _ = write!(out, "{:x}-{number:x}\r\n", self.seed as u32);
        if !contact.path().is_empty() {
            out.extend_from_slice(b"Route: ");
            out.extend_from_slice(contact.path());
            out.extend_from_slice(b"\r\n");
        }
        let from = self.from.as_deref().unwrap_or_default();
        let _ = write!(out, "Max-Forwards: 70\r\nFrom: <{from}>;tag=");
        out.extend_from_slice(ruid);
        let _ = write!(out, "-{hash:x}-{sign:x}\r\nTo: <");
        out.extend_from_slice(contact.uri());
        let _ = write!(
            out,
            ">\r\nCall-ID: {sign:x}-{number:x}@{host}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        );
    }

    /// What only this server can put beside a record id.
    fn sign(&self, ruid: &[u8], hash: u32) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write(ruid);
        hasher.write_u32(hash);
        hasher.finish()
    }

    /// Whether a reply is the answer to a keep-alive; its contact is there then.
    pub fn answered(&self, _: &Core, reply: &Message, now: Now) -> bool {
        if !reply.via().is_ok_and(|v| v.branch.is_some_and(|b| b.starts_with(BRANCH))) {
            return false;
        }
        let Some((ruid, hash)) = reply.from().ok().and_then(|f| f.tag()).and_then(|t| self.contact_of(t))
        else {
            return false;
        };
        for domain in self.domains.all() {
            domain.read_by_hash(
                hash,
                |record| record.contacts().iter().any(|c| c.ruid() == ruid),
                |record| {
                    let contact = record.and_then(|r| r.contacts().iter().find(|c| c.ruid() == ruid));
                    if let Some(contact) = contact {
                        contact.keep_alive(unix(now));
                    }
                },
            );
        }
        true
    }

    /// The contact that a From tag of ours names.
    fn contact_of(&self, tag: &[u8]) -> Option<(Ruid, u32)> {
        let text = std::str::from_utf8(tag).ok()?;
        let (rest, sign) = text.rsplit_once('-')?;
        let (ruid, hash) = rest.rsplit_once('-')?;
        let hash = u32::from_str_radix(hash, 16).ok()?;
        let sign = u64::from_str_radix(sign, 16).ok()?;
        if sign != self.sign(ruid.as_bytes(), hash) {
            return None;
        }
        Some((self.domains.rules().ruid.parse(ruid.as_bytes())?, hash))
    }
}
