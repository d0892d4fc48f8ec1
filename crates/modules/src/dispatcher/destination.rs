//! One destination: where it is, what the list says of it, and how it is doing.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

use message::{Transport, Uri};
use script::Listener;
use transaction::SocketId;

use super::overload::Overload;
use crate::usrloc::parse_socket;

/// Bits of a destination's state, as in the list.
pub mod state {
    /// It failed too often, or was set so.
    pub const INACTIVE: u32 = 1;
    /// It failed, not often enough yet.
    pub const TRYING: u32 = 2;
    /// Set so by an operator.
    pub const DISABLED: u32 = 4;
    /// It is pinged.
    pub const PROBING: u32 = 8;
    /// Its host name is not resolved.
    pub const NO_DNS: u32 = 16;
    /// It is never pinged.
    pub const NO_PING: u32 = 32;
    /// What takes no calls.
    pub const UNUSED: u32 = INACTIVE | DISABLED;
    /// What a change of state replaces.
    pub const CHANGING: u32 = INACTIVE | TRYING | DISABLED | PROBING;

    /// `a`, `i`, `t`, `d`, with `p`; empty is `i`. `None` for other letters.
    pub fn parse(text: &[u8]) -> Option<u32> {
        let (mut base, mut probing) = (0, 0);
        for letter in text.to_ascii_lowercase() {
            match letter {
                b'a' => base = 0,
                b'i' => base = INACTIVE,
                b't' => base = TRYING,
                b'd' => base = DISABLED,
                b'p' => probing = PROBING,
                _ => return None,
            }
        }
        if text.is_empty() {
            base = INACTIVE;
        }
        // What an operator disabled is not probed.
        Some(if base == DISABLED { base } else { base | probing })
    }
    /// `AX`, `IP`, ... as operators see it.
    pub fn letters(flags: u32) -> String {
        let base = match flags {
            f if f & DISABLED != 0 => 'D',
            f if f & INACTIVE != 0 => 'I',
            f if f & TRYING != 0 => 'T',
            _ => 'A',
        };
        let probing = if flags & PROBING != 0 { 'P' } else { 'X' };
        [base, probing].iter().collect()
    }
}

/// Attributes with a meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// All of them as written.
    pub body: String,
    /// Names the destination's load.
    pub duid: String,
    /// Most calls at a time, 0 any number.
    pub maxload: u32,
    /// Percent of the calls, algorithm 9.
    pub weight: u32,
    /// Share of the calls, algorithm 11.
    pub rweight: u32,
    /// Socket to send from.
    pub socket: String,
    /// The same by name.
    pub sockname: String,
    /// Socket of pings.
    pub ping_socket: String,
    /// From URI of pings.
    pub ping_from: String,
    /// Proxy that pings go through.
    pub obproxy: String,
    /// Latency to begin with, milliseconds.
    pub latency: u32,
    /// Congestion counts instead of latency.
    pub congestion: bool,
    /// Least rate of overload control, when written.
    pub ocmin: Option<u32>,
    /// Rate of overload control before any was asked for, when written.
    pub ocrate: Option<u32>,
}

impl Attributes {
    /// Reads `name=value;...`; names without a meaning are the script's.
    pub fn parse(body: &str) -> Attributes {
        let mut a = Attributes { body: body.into(), ..Attributes::default() };
        for (name, value) in body.split(';').filter_map(|p| p.split_once('=')) {
            let (name, value) = (name.trim(), value.trim());
            let number = || value.parse::<u32>().unwrap_or(0);
            let percent = || if number() <= 100 { number() } else { 0 };
            match name {
                "duid" => a.duid = value.into(),
                "maxload" => a.maxload = number(),
                "weight" => a.weight = percent(),
                "rweight" => a.rweight = percent(),
                "socket" => a.socket = value.into(),
                "sockname" => a.sockname = value.into(),
                "ping_socket" => a.ping_socket = value.into(),
                "ping_from" => a.ping_from = value.into(),
                "obproxy" => a.obproxy = value.into(),
                "latency" => a.latency = number(),
                "cc" => a.congestion = number() != 0,
                "ocmin" => a.ocmin = value.parse().ok(),
                "ocrate" => a.ocrate = value.parse().ok(),
                _ => {}
            }
        }
        a
    }
}

/// Times that pings took, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    count: u32,
    /// Mean.
    pub average: f64,
    squares: f64,
    /// Moving estimate.
    pub estimate: f64,
    /// Longest.
    pub max: u32,
    /// Pings without a reply.
    pub timeouts: u32,
}

impl Latency {
    /// Adds a ping. `alpha` is its weight in the estimate.
    pub fn add(&mut self, millis: u32, alpha: f64) {
        // The mean follows what changes over weeks: old pings fade.
        self.count = (self.count + 1).min(500_000);
        let x = f64::from(millis);
        let before = x - self.average;
        self.average += before / f64::from(self.count);
        self.squares += before * (x - self.average);
        self.estimate =
            if self.count < 10 { self.average } else { alpha * x + (1.0 - alpha) * self.estimate };
        self.max = self.max.max(millis);
    }
    /// Standard deviation of the mean.
    pub fn deviation(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / f64::from(self.count - 1)).sqrt() }
    }
}

/// A destination.
#[derive(Debug)]
pub struct Destination {
    /// URI as listed.
    pub uri: String,
    /// Host without brackets.
    pub host: String,
    /// Its address, when the host is one.
    pub ip: Option<IpAddr>,
    /// Port, the default one when none is written.
    pub port: u16,
    /// Transport, when written.
    pub transport: Option<Transport>,
    /// Higher ones go first.
    pub priority: i64,
    /// Attributes.
    pub attributes: Attributes,
    /// Socket that it is sent to from.
    pub socket: Option<SocketId>,
    state: AtomicU32,
    failures: AtomicU32,
    successes: AtomicU32,
    load: AtomicI64,
    latency: Mutex<Latency>,
    overload: Mutex<Overload>,
}

/// What changed when a destination's state was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It takes calls as before.
    Same,
    /// It takes calls no longer.
    Down,
    /// It takes calls again.
    Up,
}

impl Destination {
    /// Reads a row of the list. The error says what is wrong with it.
    pub fn new(
        uri: &str,
        flags: u32,
        priority: i64,
        attrs: &str,
        listeners: &[Listener],
    ) -> Result<Destination, String> {
        let parsed = Uri::parse(uri.as_bytes()).map_err(|_| format!("{uri} is no SIP URI"))?;
        if !uri.to_ascii_lowercase().starts_with("sip") || parsed.host.is_empty() {
            return Err(format!("{uri} is no SIP URI"));
        }
        let attributes = Attributes::parse(attrs);
        let host = String::from_utf8_lossy(parsed.host).trim_matches(['[', ']']).to_string();
        let named =
            match (attributes.sockname.as_str(), attributes.socket.as_str()) {
                ("", "") => None,
                (name, text) => Some(socket(listeners, name, text).ok_or_else(|| {
                    format!("{uri}: no socket {}", if name.is_empty() { text } else { name })
                })?),
            };
        let ip = match host.parse() {
            Ok(ip) => Some(ip),
            Err(_) if host.eq_ignore_ascii_case("localhost") => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Err(_) => None,
        };
        let latency = Latency {
            average: f64::from(attributes.latency),
            estimate: f64::from(attributes.latency),
            max: attributes.latency,
            count: u32::from(attributes.latency > 0),
            ..Latency::default()
        };
        let overload = Overload::new(attributes.ocmin, attributes.ocrate);
        Ok(Destination {
            uri: uri.into(),
            host,
            ip,
            port: parsed.port_or_default(),
            transport: parsed.transport(),
            priority,
            attributes,
            socket: named,
            state: AtomicU32::new(flags),
            failures: AtomicU32::new(0),
            successes: AtomicU32::new(0),
            load: AtomicI64::new(0),
            latency: Mutex::new(latency),
            overload: Mutex::new(overload),
        })
    }
    /// Its state.
    pub fn state(&self) -> u32 {
        self.state.load(Ordering::Relaxed)
    }
    /// Whether it takes calls.
    pub fn is_used(&self) -> bool {
        self.state() & state::UNUSED == 0
    }
    /// Sets the state as it is.
    pub fn put_state(&self, new: u32) -> Change {
        self.failures.store(0, Ordering::Relaxed);
        self.successes.store(0, Ordering::Relaxed);
        self.replace(new)
    }
    /// Sets the state. [`state::TRYING`] counts a failure, and the `threshold`th makes it inactive, which it stays; active begins counting
    /// anew.
    pub fn set_state(&self, new: u32, threshold: u32) -> Change {
        let mut new = new;
        if new & state::TRYING != 0 && self.state() & state::INACTIVE != 0 {
            new = new & !state::TRYING | state::INACTIVE;
        } else if new & state::TRYING != 0 {
            let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            if failures >= threshold {
                new = new & !state::TRYING | state::INACTIVE;
            }
        } else if new & state::INACTIVE == 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        self.successes.store(0, Ordering::Relaxed);
        self.replace(new)
    }
    fn replace(&self, new: u32) -> Change {
        let keep = |old: u32| old & !state::CHANGING | new & state::CHANGING;
        let old = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |s| Some(keep(s)));
        let (Ok(old) | Err(old)) = old;
        match (old & state::UNUSED != 0, new & state::UNUSED != 0) {
            (false, true) => Change::Down,
            (true, false) => Change::Up,
            _ => Change::Same,
        }
    }
    /// A ping was answered well: active again after `threshold` of these.
    pub fn ping_succeeded(&self, probing: u32, threshold: u32) -> Change {
        if self.state() & state::DISABLED != 0 {
            return Change::Same;
        }
        if self.state() & state::INACTIVE != 0 {
            let successes = self.successes.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            if successes < threshold {
                return Change::Same;
            }
        }
        self.set_state(probing, u32::MAX)
    }
    /// A ping was answered badly or not at all.
    pub fn ping_failed(&self, probing: u32, threshold: u32) -> Change {
        if self.state() & state::DISABLED != 0 {
            return Change::Same;
        }
        if self.state() & state::INACTIVE != 0 {
            self.successes.store(0, Ordering::Relaxed);
            return self.replace(state::INACTIVE | probing);
        }
        self.set_state(state::TRYING | probing, threshold)
    }
    /// Calls it has.
    pub fn load(&self) -> i64 {
        self.load.load(Ordering::Relaxed)
    }
    /// One call more or less.
    pub fn add_load(&self, by: i64) {
        self.load.fetch_add(by, Ordering::Relaxed);
    }
    /// Whether it may take one more call.
    pub fn has_room(&self) -> bool {
        self.attributes.maxload == 0 || self.load() < i64::from(self.attributes.maxload)
    }
    /// Times of pings, to be looked at or added to. Not to be held.
    pub fn latency(&self) -> MutexGuard<'_, Latency> {
        self.latency.lock().unwrap_or_else(|e| e.into_inner())
    }
    /// What it asked for when it had too much to do. Not to be held.
    pub fn overload(&self) -> MutexGuard<'_, Overload> {
        self.overload.lock().unwrap_or_else(|e| e.into_inner())
    }
    /// Milliseconds that count for algorithms 11 and 13: those above the usual with `cc`, else all of the estimate.
    pub fn delay(&self) -> f64 {
        let latency = *self.latency();
        match self.attributes.congestion {
            true => (latency.estimate - latency.average).max(0.0),
            false => latency.estimate,
        }
    }
}

/// A socket by name or else by `udp:192.0.2.1:5060`.
pub fn socket(listeners: &[Listener], name: &str, text: &str) -> Option<SocketId> {
    if name.is_empty() {
        return parse_socket(listeners, text.as_bytes());
    }
    let at = listeners.iter().position(|l| l.name.as_deref() == Some(name))?;
    u16::try_from(at).ok().map(SocketId)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(attrs: &str) -> Destination {
        Destination::new("sip:192.0.2.1:5070;transport=tcp", 0, 0, attrs, &[]).expect("makes sense")
    }

    #[test]
    fn rows_are_read_or_refused() {
        let d = destination("duid=a;maxload=2;weight=101;rweight=7;ping_from=sip:me@here;my=own;cc=1");
        assert_eq!((d.port, d.transport, d.ip), (5070, Some(Transport::Tcp), "192.0.2.1".parse().ok()));
        assert_eq!((d.attributes.weight, d.attributes.rweight, d.attributes.maxload), (0, 7, 2));
        for (uri, attrs) in [
            ("nonsense", ""),
            ("tel:123", ""),
            ("sip:192.0.2.1", "sockname=x"),
            ("sip:192.0.2.1", "socket=udp:9.9.9.9:1"),
        ] {
            assert!(Destination::new(uri, 0, 0, attrs, &[]).is_err(), "{uri} {attrs}");
        }
    }

    #[test]
    fn failures_add_up_and_successes_bring_back() {
        let d = destination("");
        let trying = state::TRYING | state::PROBING;
        assert_eq!(d.set_state(trying, 3), Change::Same);
        assert_eq!((d.set_state(trying, 3), d.is_used()), (Change::Same, true));
        assert_eq!((d.set_state(trying, 3), d.is_used()), (Change::Down, false));
        assert_eq!(state::letters(d.state()), "IP");
        assert_eq!(
            (d.set_state(trying, 9), d.is_used()),
            (Change::Same, false),
            "one more failure revives nobody"
        );
        assert_eq!(d.ping_succeeded(state::PROBING, 2), Change::Same);
        assert_eq!(d.ping_failed(state::PROBING, 3), Change::Same);
        assert_eq!(d.ping_succeeded(state::PROBING, 2), Change::Same, "they must be in a row");
        assert_eq!(d.ping_succeeded(state::PROBING, 2), Change::Up);
        assert_eq!(state::letters(d.state()), "AP");
        assert_eq!((d.put_state(trying), d.is_used()), (Change::Same, true), "an operator's word holds");
        d.set_state(state::DISABLED, 1);
        assert_eq!((d.ping_succeeded(0, 1), state::letters(d.state()).as_str()), (Change::Same, "DX"));
    }

    #[test]
    fn states_by_letters() {
        for (text, want) in
            [("a", "AX"), ("Ip", "IP"), ("pt", "TP"), ("dp", "DX"), ("p", "AP"), ("ia", "AX"), ("", "IX")]
        {
            assert_eq!(state::parse(text.as_bytes()).map(state::letters).as_deref(), Some(want), "{text}");
        }
        assert_eq!(state::parse(b"zz"), None);
    }

    #[test]
    fn latency_is_averaged() {
        let mut l = Latency::default();
        for ms in [3, 0, 0, 0, 0] {
            l.add(ms, 0.1);
        }
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(
            close(l.average, 0.6)
                && close(l.deviation(), 1.341_640_786)
                && close(l.estimate, 0.6)
                && l.max == 3
        );
    }
}
