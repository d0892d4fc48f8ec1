//! All sets of destinations as one reading of the list has them. A reload makes a new one and swaps it in.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use message::Transport;
use script::Listener;
use store::{Database, Query, Value};
use transaction::SocketId;

use super::destination::{Destination, state};
use super::settings::Settings;

/// Most destinations in all sets; what the list has beyond is left out, which is logged.
pub const LIMIT: usize = 1 << 16;

/// One row of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Set.
    pub set: i64,
    /// URI.
    pub uri: String,
    /// State to begin with.
    pub flags: u32,
    /// Priority.
    pub priority: i64,
    /// Attributes.
    pub attrs: String,
}

impl Row {
    /// Reads a line of the file; `None` for empty lines and comments.
    pub fn parse(line: &str) -> Option<Result<Row, String>> {
        let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
        if line.is_empty() {
            return None;
        }
        let mut fields = line.split_whitespace();
        let mut field = || fields.next().unwrap_or_default();
        let (set, uri, flags, priority, attrs) = (field(), field(), field(), field(), field());
        let wrong = |what: &str| Some(Err(format!("\"{line}\": {what}")));
        let Ok(set) = set.parse() else { return wrong("a line begins with the number of a set") };
        let Some(flags) = number(flags).and_then(|n| u32::try_from(n).ok()) else {
            return wrong("flags are a number");
        };
        let Some(priority) = number(priority) else { return wrong("the priority is a number") };
        Some(Ok(Row { set, uri: uri.into(), flags, priority, attrs: attrs.into() }))
    }
}

/// Decimal or `0x`; nothing is 0.
fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None if text.is_empty() => Some(0),
        None => text.parse().ok(),
    }
}

/// Reads the rows of a database table.
pub fn read(db: &dyn Database, settings: &Settings) -> Result<Vec<Row>, store::Error> {
    let extra: Vec<(&str, &str)> = settings
        .ds_db_extra_attrs
        .as_deref()
        .unwrap_or_default()
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, column)| (name.trim(), column.trim()))
        .collect();
    let mut columns: Vec<&str> = vec![
        &settings.setid_col,
        &settings.destination_col,
        &settings.flags_col,
        &settings.priority_col,
        &settings.attrs_col,
    ];
    columns.extend(extra.iter().map(|(_, column)| *column));
    let rows = db.query(&Query { table: &settings.table_name, columns: &columns, ..Query::default() })?;
    let text = |v: Option<&Value>| match v {
        Some(Value::Text(t)) => String::from_utf8_lossy(t).into_owned(),
        Some(Value::Int(n)) => n.to_string(),
        _ => String::new(),
    };
    let int = |v: Option<&Value>| match v {
        Some(Value::Text(t)) => String::from_utf8_lossy(t).trim().parse().ok(),
        Some(v) => v.as_int(),
        None => None,
    };
    let row = |cells: Vec<Value>| {
        let mut attrs = text(cells.get(4));
        for ((name, _), value) in extra.iter().zip(cells.iter().skip(5)) {
            let value = text(Some(value));
            if !value.is_empty() {
                let between = if attrs.is_empty() || attrs.ends_with(';') { "" } else { ";" };
                attrs += &format!("{between}{name}={value}");
            }
        }
        Row {
            set: int(cells.first()).unwrap_or(0),
            uri: text(cells.get(1)).trim().into(),
            flags: int(cells.get(2)).and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            priority: int(cells.get(3)).unwrap_or(0),
            attrs,
        }
    };
    Ok(rows.into_iter().map(row).collect())
}

/// One set.
#[derive(Debug)]
pub struct Set {
    /// Its number.
    pub id: i64,
    /// Destinations, the highest priority first; of one priority, the last listed first, as in Kamailio.
    pub list: Vec<Arc<Destination>>,
    /// Next of the round robin, of weights, of relative weights, and of the best latencies.
    turns: [AtomicUsize; 4],
}

/// Which turn of a [`Set`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Algorithm 4.
    RoundRobin,
    /// Algorithm 9.
    Weight,
    /// Algorithm 11.
    RelativeWeight,
    /// Algorithm 13.
    Latency,
}

impl Set {
    fn new(id: i64, list: Vec<Arc<Destination>>) -> Set {
        Set { id, list, turns: Default::default() }
    }
    /// The number of this turn; the next caller gets the next.
    pub fn turn(&self, which: Turn) -> usize {
        self.turns.get(which as usize).map_or(0, |t| t.fetch_add(1, Ordering::Relaxed))
    }
    /// Lets the round robin go on behind a place.
    pub fn go_on_behind(&self, place: usize) {
        if let Some(turn) = self.turns.first() {
            turn.store(place + 1, Ordering::Relaxed);
        }
    }
    /// Where the round robin stands.
    pub fn standing(&self) -> usize {
        self.turns.first().map_or(0, |t| t.load(Ordering::Relaxed))
    }
    /// A destination by URI.
    pub fn find(&self, uri: &str) -> Option<&Arc<Destination>> {
        self.list.iter().find(|d| d.uri == uri)
    }
}

/// All sets.
#[derive(Debug, Default)]
pub struct Sets {
    sets: BTreeMap<i64, Arc<Set>>,
    rows: Vec<Row>,
    /// Set and destination by address, in the order of the sets.
    by_address: HashMap<IpAddr, Vec<(i64, Arc<Destination>)>>,
}

/// What somebody is looked for by.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
    /// Transport; none when a URI does not say.
    pub transport: Option<Transport>,
    /// Our socket it came to.
    pub socket: Option<SocketId>,
}

impl Sets {
    /// Makes the sets of a list. A row that makes no sense is left out, or with `strict` an error.
    pub fn new(
        rows: Vec<Row>,
        listeners: &[Listener],
        attrs_none: bool,
        strict: bool,
    ) -> Result<Sets, String> {
        let mut lists: BTreeMap<i64, Vec<Arc<Destination>>> = BTreeMap::new();
        if rows.len() > LIMIT {
            tracing::error!(target: "dispatcher", limit = LIMIT, "the list is too long: its end is left out");
        }
        for row in rows.iter().take(LIMIT) {
            let attrs = if attrs_none && row.attrs.is_empty() { "none=yes" } else { &row.attrs };
            match Destination::new(&row.uri, row.flags, row.priority, attrs, listeners) {
                Ok(d) => {
                    if d.ip.is_none() && d.state() & state::NO_DNS == 0 {
                        tracing::warn!(target: "dispatcher", set = row.set, uri = %d.uri, "the host is no address: not found by ds_is_from_list");
                    }
                    lists.entry(row.set).or_default().push(Arc::new(d));
                }
                Err(why) if strict => return Err(format!("set {}: {why}", row.set)),
                Err(why) => {
                    tracing::warn!(target: "dispatcher", set = row.set, %why, "destination left out");
                }
            }
        }
        let set = |(id, mut list): (i64, Vec<Arc<Destination>>)| {
            list.reverse();
            list.sort_by_key(|d| std::cmp::Reverse(d.priority));
            (id, Arc::new(Set::new(id, list)))
        };
        let mut sets = Sets { sets: lists.into_iter().map(set).collect(), rows, by_address: HashMap::new() };
        sets.index();
        Ok(sets)
    }
    fn index(&mut self) {
        self.by_address.clear();
        for (id, set) in &self.sets {
            for d in &set.list {
                if let Some(ip) = d.ip {
                    self.by_address.entry(ip).or_default().push((*id, d.clone()));
                }
            }
        }
    }
    /// These sets with other rows; what both have keeps its state, its load and its times.
    pub fn with_rows(
        &self,
        rows: Vec<Row>,
        listeners: &[Listener],
        attrs_none: bool,
    ) -> Result<Sets, String> {
        let mut new = Sets::new(rows, listeners, attrs_none, false)?;
        for (id, set) in &mut new.sets {
            let Some(old) = self.set(*id) else { continue };
            let list = set.list.iter().map(|d| match old.find(&d.uri) {
                Some(known) if known.attributes == d.attributes && known.priority == d.priority => {
                    known.clone()
                }
                _ => d.clone(),
            });
            *set = Arc::new(Set::new(*id, list.collect()));
            if let (Some(turn), Some(last)) = (set.turns.first(), old.turns.first()) {
                turn.store(last.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        new.index();
        Ok(new)
    }
    /// Lets destinations that both have keep their times.
    pub fn keep_latencies(&self, old: &Sets) {
        for (id, set) in &self.sets {
            let Some(before) = old.set(*id) else { continue };
            for d in &set.list {
                if let Some(known) = before.find(&d.uri).filter(|known| !Arc::ptr_eq(known, d)) {
                    let times = *known.latency();
                    *d.latency() = times;
                }
            }
        }
    }
    /// The rows they were made of.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
    /// A set by number.
    pub fn set(&self, id: i64) -> Option<&Arc<Set>> {
        self.sets.get(&id)
    }
    /// All sets by number.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Set>> {
        self.sets.values()
    }
    /// The set and destination of a peer; `set` -1: any. `mode` bits: 1 any port, 2 any transport, 4 only what takes calls, 8 the same
    /// socket, 16 the nearest: the address must fit, and most of socket, transport and port do.
    pub fn from(&self, set: i64, mode: i64, peer: &Peer) -> Option<(i64, &Arc<Destination>)> {
        let known = self.by_address.get(&peer.ip)?;
        let in_set = known.iter().filter(|(id, _)| set == -1 || *id == set).map(|(id, d)| (*id, d));
        let here = in_set.filter(|(_, d)| mode & 4 == 0 || d.is_used());
        let port = |d: &Destination| d.port == peer.port;
        let transport = |d: &Destination| d.transport == peer.transport;
        let socket = |d: &Destination| d.socket.is_none() || d.socket == peer.socket;
        if mode & 16 != 0 {
            let fits = |d: &Destination| {
                let own_socket = d.socket.is_some() && socket(d);
                2 * u32::from(port(d)) + 4 * u32::from(transport(d)) + 8 * u32::from(own_socket)
            };
            // Of equals the first.
            return here.fold(None, |best: Option<(i64, &Arc<Destination>)>, next| match best {
                Some(b) if fits(b.1) >= fits(next.1) => Some(b),
                _ => Some(next),
            });
        }
        let mut fitting = here.filter(|(_, d)| {
            (mode & 1 != 0 || port(d)) && (mode & 2 != 0 || transport(d)) && (mode & 8 == 0 || socket(d))
        });
        fitting.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        text.lines().filter_map(Row::parse).collect::<Result<_, _>>().expect("reads")
    }

    #[test]
    fn lines_of_the_file() {
        let row = |line: &str| Row::parse(line).and_then(Result::ok);
        let full = row(" 1 sip:127.0.0.1:5080 0x8 5 duid=abc;my=xyz # gateway").expect("reads");
        assert_eq!((full.set, full.flags, full.priority), (1, 8, 5));
        assert_eq!((full.uri.as_str(), full.attrs.as_str()), ("sip:127.0.0.1:5080", "duid=abc;my=xyz"));
        assert_eq!(row("2 sip:a"), Some(Row { set: 2, uri: "sip:a".into(), ..Row::default() }));
        assert!(Row::parse("# 1 sip:a").is_none() && Row::parse("  ").is_none());
        for bad in ["x sip:a", "1 sip:a b", "1 sip:a 0 c"] {
            assert!(Row::parse(bad).is_some_and(|r| r.is_err()), "{bad}");
        }
    }

    #[test]
    fn order_is_priority_and_then_the_last_listed() {
        let text =
            "1 sip:127.0.0.1:1\n1 sip:127.0.0.1:2\n1 sip:127.0.0.1:3 0 5\n1 sip:127.0.0.1:4 1\n6 nonsense";
        let sets = Sets::new(rows(text), &[], false, false).expect("makes sense");
        let ports: Vec<u16> = sets.set(1).expect("there").list.iter().map(|d| d.port).collect();
        assert_eq!(ports, [3, 4, 2, 1]);
        assert!(sets.set(6).is_none() && Sets::new(rows(text), &[], false, true).is_err());
    }

    #[test]
    fn peers_are_found_by_what_the_mode_says() {
        let text = "1 sip:127.0.0.1:26101\n1 sip:127.0.0.2:5060;transport=udp\n2 sip:127.0.0.1:26104 1";
        let sets = Sets::new(rows(text), &[], false, false).expect("makes sense");
        let found = |set, mode, port, transport| {
            let peer = Peer { ip: "127.0.0.1".parse().expect("an address"), port, transport, socket: None };
            sets.from(set, mode, &peer).map(|(id, _)| id)
        };
        let udp = Some(Transport::Udp);
        // Kamailio takes a destination without transport for one of no transport.
        assert_eq!([0, 1, 2, 3, 4, 8].map(|mode| found(1, mode, 26101, None)), [Some(1); 6]);
        assert_eq!(
            [0, 1, 2, 3, 4, 8].map(|mode| found(1, mode, 26101, udp)),
            [None, None, Some(1), Some(1), None, None]
        );
        assert_eq!(
            (found(1, 2, 9, None), found(1, 1, 9, None), found(77, 3, 9, None)),
            (None, Some(1), None)
        );
        assert_eq!((found(2, 0, 26104, None), found(2, 4, 26104, None)), (Some(2), None));
        assert_eq!((found(-1, 16, 26104, None), found(-1, 16, 9, None)), (Some(2), Some(1)));
    }

    #[test]
    fn rows_added_by_an_operator_leave_the_others_as_they_are() {
        let old =
            Sets::new(rows("1 sip:127.0.0.1:1\n1 sip:127.0.0.1:2"), &[], false, false).expect("makes sense");
        old.set(1).and_then(|s| s.find("sip:127.0.0.1:1")).expect("there").set_state(state::INACTIVE, 1);
        let mut rows = old.rows().to_vec();
        rows.push(Row { set: 1, uri: "sip:127.0.0.1:3".into(), ..Row::default() });
        let new = old.with_rows(rows, &[], false).expect("makes sense");
        let used: Vec<bool> = new.set(1).expect("there").list.iter().map(|d| d.is_used()).collect();
        assert_eq!(used, [true, true, false]);
    }
}
