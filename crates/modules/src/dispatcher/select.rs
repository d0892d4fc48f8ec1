//! The algorithms: which destination of a set is the first.

use message::{HeaderName, Uri};
use script::RouteContext;

use super::Dispatcher;
use super::sets::{Set, Turn};

/// Round robin with overload control.
pub const OVERLOAD: i64 = 64;

/// FNV-1a: the same for the same text in every process and version.
pub fn hash(parts: &[&[u8]]) -> u32 {
    parts
        .iter()
        .flat_map(|p| p.iter())
        .fold(0x811c_9dc5, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193))
}

/// What is hashed of a URI: the user, and unless only that counts the host, and the port where it is not the usual.
fn hash_uri(uri: &[u8], user_only: bool) -> Option<u32> {
    let parsed = Uri::parse(uri).ok()?;
    let user = parsed.user.unwrap_or_default();
    if user_only {
        return Some(hash(&[user]));
    }
    let host = parsed.host.to_ascii_lowercase();
    let usual = if uri.len() > 4 && uri[..5].eq_ignore_ascii_case(b"sips:") { 5061 } else { 5060 };
    match parsed.port.filter(|p| *p != usual && *p != 0) {
        Some(port) => Some(hash(&[user, &host, port.to_string().as_bytes()])),
        None => Some(hash(&[user, &host])),
    }
}

/// The user of the request's credentials.
fn credentials_user(ctx: &RouteContext<'_>) -> Option<Vec<u8>> {
    for name in [HeaderName::ProxyAuthorization, HeaderName::Authorization] {
        let Some(header) = ctx.message.header(name) else { continue };
        let text = String::from_utf8_lossy(header.value).into_owned();
        let at = text.to_ascii_lowercase().find("username=")?;
        let value = text.get(at + "username=".len()..)?.trim_start();
        let user = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => value.split([',', ' ']).next()?,
        };
        return Some(user.as_bytes().to_vec());
    }
    None
}

/// Numbers 0 to 99, every one once in a hundred turns, neighbours far from each other.
pub fn percent(turn: usize) -> u32 {
    (turn % 100 * 37 % 100) as u32
}

/// The place whose share a number from 0 to 99 falls into; what the shares leave goes to the last.
fn share(shares: &[u32], number: u32) -> Option<usize> {
    let mut sum = 0;
    for (place, share) in shares.iter().enumerate() {
        sum += share;
        if number < sum {
            return Some(place);
        }
    }
    shares.iter().rposition(|s| *s > 0)
}

/// How many of a set are chosen from: with a default destination, all but the last.
pub fn choosable(set: &Set, use_default: bool) -> usize {
    if use_default && set.list.len() > 1 { set.list.len() - 1 } else { set.list.len() }
}

/// The place in a set that is used first: what the algorithm says, or the next after it that takes calls. `None`: none does.
pub fn first(dispatcher: &Dispatcher, ctx: &RouteContext<'_>, set: &Set, algorithm: i64) -> Option<usize> {
    let size = choosable(set, dispatcher.settings().use_default);
    if size == 0 {
        return None;
    }
    let user_only = dispatcher.settings().flags & 1 != 0;
    let list = set.list.get(..size)?;
    let by_hash = |h: u32| h as usize % size;
    let mut round_robin = false;
    let wanted = match algorithm {
        0 => by_hash(hash(&[ctx.message.call_id()])),
        1 => by_hash(hash_uri(ctx.message.from().ok()?.uri, user_only)?),
        2 => by_hash(hash_uri(ctx.message.to().ok()?.uri, user_only)?),
        3 => by_hash(hash_uri(ctx.request_uri(), user_only)?),
        5 => match credentials_user(ctx) {
            Some(user) => by_hash(hash(&[&user])),
            None => {
                round_robin = true;
                set.turn(Turn::RoundRobin) % size
            }
        },
        6 => {
            // Any number will do, as long as it cannot be guessed from the message.
            let turn = set.turn(Turn::Latency).to_be_bytes();
            by_hash(hash(&[&ctx.core.config.seed.to_be_bytes(), &turn, &ctx.now.unix_micros.to_be_bytes()]))
        }
        7 => by_hash(hash(&[&dispatcher.hash_text(ctx)?])),
        9 => {
            let weights: Vec<u32> = list.iter().map(|d| d.attributes.weight).collect();
            share(&weights, percent(set.turn(Turn::Weight)))?
        }
        10 => {
            let free = list.iter().enumerate().filter(|(_, d)| d.is_used() && d.has_room());
            return free.min_by_key(|(_, d)| d.load()).map(|(place, _)| place);
        }
        11 => by_relative_weight(set, size)?,
        13 => return by_latency(set, size),
        OVERLOAD => return by_turns_with_overload(ctx, set, size),
        4 => {
            round_robin = true;
            set.turn(Turn::RoundRobin) % size
        }
        14 => {
            let priority = list.first()?.priority;
            round_robin = priority > 0 && list.iter().all(|d| d.priority == priority);
            if round_robin { set.turn(Turn::RoundRobin) % size } else { 0 }
        }
        8 | 12 => 0,
        _ => {
            tracing::warn!(target: "dispatcher", algorithm, "there is no such algorithm: the first destination is used");
            0
        }
    };
    let found = (wanted..size).chain(0..wanted).find(|i| list.get(*i).is_some_and(|d| d.is_used()));
    if let Some(place) = found.filter(|place| round_robin && *place != wanted) {
        // Who stands in for one that is down has had its turn.
        set.go_on_behind(place);
    }
    found.or_else(|| set.list.iter().rposition(|d| d.is_used()))
}

/// By turns among those that take calls and are not skipped for overload; behind them the default one. `None`: the request is better not sent.
fn by_turns_with_overload(ctx: &RouteContext<'_>, set: &Set, size: usize) -> Option<usize> {
    let wanted = set.turn(Turn::RoundRobin) % size;
    let takes = |place: &usize| {
        set.list.get(*place).is_some_and(|d| d.is_used() && !d.overload().skips(ctx.now, true))
    };
    let found = (wanted..size).chain(0..wanted).find(takes);
    if let Some(place) = found.filter(|place| *place != wanted) {
        set.go_on_behind(place);
    }
    found.or_else(|| (size..set.list.len()).find(takes))
}

/// Shares of those that take calls; with `cc` a millisecond of congestion costs a point.
fn by_relative_weight(set: &Set, size: usize) -> Option<usize> {
    let list = set.list.get(..size)?;
    let weight = |d: &super::Destination| match d.is_used() {
        false => 0,
        true if d.attributes.congestion => {
            let tolerance = f64::from(d.attributes.weight) - d.delay();
            if tolerance > 0.0 { d.attributes.rweight.saturating_sub(d.delay() as u32) } else { 0 }
        }
        true => d.attributes.rweight,
    };
    let mut weights: Vec<u32> = list.iter().map(|d| weight(d)).collect();
    if weights.iter().all(|w| *w == 0) {
        // All are congested: the less the better.
        let delay =
            |d: &super::Destination| if d.is_used() && d.attributes.rweight > 0 { d.delay() } else { 0.0 };
        let total: f64 = list.iter().map(|d| delay(d)).sum();
        weights =
            list.iter().map(|d| if delay(d) > 0.0 { (total / delay(d) * 10.0) as u32 } else { 0 }).collect();
    }
    let total: u32 = weights.iter().sum();
    if total == 0 {
        return list.iter().position(|d| d.is_used());
    }
    let shares: Vec<u32> = weights.iter().map(|w| w * 100 / total).collect();
    share(&shares, percent(set.turn(Turn::RelativeWeight)))
}

/// By turns among those whose priority, lowered by their delay, is the highest.
fn by_latency(set: &Set, size: usize) -> Option<usize> {
    let list = set.list.get(..size)?;
    let adjusted = |d: &super::Destination| match d.priority {
        p if p > 0 => p - (d.delay() / p as f64) as i64,
        p => p,
    };
    let used = || list.iter().enumerate().filter(|(_, d)| d.is_used());
    let best = used().map(|(_, d)| adjusted(d)).max()?;
    let places: Vec<usize> = used().filter(|(_, d)| adjusted(d) == best).map(|(i, _)| i).collect();
    places.get(set.turn(Turn::Latency) % places.len().max(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_stay_what_they_are() {
        assert_eq!(hash(&[b"alice", b"example.com"]), hash(&[b"alicee", b"xample.com"]));
        assert_eq!(hash(&[b""]), 0x811c_9dc5);
        assert_eq!(hash(&[b"foobar"]), 0xbf9c_f968);
        assert_eq!(hash_uri(b"sip:a@b:5060", false), hash_uri(b"sip:a@B", false));
        assert_ne!(hash_uri(b"sip:a@b:5070", false), hash_uri(b"sip:a@b", false));
        assert_eq!(hash_uri(b"sip:a@b:5070", true), hash_uri(b"sip:a@c", true));
    }

    #[test]
    fn a_hundred_turns_are_a_hundred_percent() {
        let count = |shares: &[u32]| {
            (0..100).filter_map(|t| share(shares, percent(t))).fold([0; 3], |mut sum, place| {
                sum[place] += 1;
                sum
            })
        };
        assert_eq!(count(&[50, 30, 20]), [50, 30, 20]);
        assert_eq!(count(&[50, 30, 0]), [50, 50, 0], "the last one used gets the rest");
        assert_eq!(count(&[33, 67, 0]), [33, 67, 0]);
        assert_eq!(share(&[0, 0], 5), None);
    }
}
