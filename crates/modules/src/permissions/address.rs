//! The address table: single addresses, subnets and names, by group. A lookup costs the same however many rows there are: one probe for
//! the address and one for each length of prefix that occurs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Group, 1 or more.
    pub group: i64,
    /// Address, network or name.
    pub address: String,
    /// Bits of the network; 0 all.
    pub mask: i64,
    /// 0 any.
    pub port: u16,
    /// Tag; `None` for NULL.
    pub tag: Option<Vec<u8>>,
}

/// What a row grants.
#[derive(Debug)]
pub struct Entry {
    /// Group.
    pub group: i64,
    /// 0 any.
    pub port: u16,
    /// Tag.
    pub tag: Option<Vec<u8>>,
    /// What it stands for, as written: for dumps.
    pub text: String,
    /// Bits of the network.
    pub mask: u8,
    /// Place among the subnets: the lowest wins.
    rank: usize,
}

impl Entry {
    fn fits(&self, group: Option<i64>, port: u16) -> bool {
        group.is_none_or(|g| g == self.group) && (self.port == 0 || self.port == port)
    }
}

/// The rows, ready to be searched. Not changed once made.
#[derive(Debug, Default)]
pub struct Table {
    /// The newest row of an address comes first.
    single: HashMap<IpAddr, Vec<Arc<Entry>>>,
    /// By length of prefix, those that occur.
    networks: Vec<(u8, HashMap<IpAddr, Vec<Arc<Entry>>>)>,
    names: HashMap<Vec<u8>, Vec<Arc<Entry>>>,
    /// All of them in the order they are searched, for dumps.
    pub singles: Vec<Arc<Entry>>,
    /// Subnets by group.
    pub subnets: Vec<Arc<Entry>>,
    /// Names.
    pub domains: Vec<Arc<Entry>>,
}

/// An address of a table or a script: brackets around IPv6 may be there.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).parse().ok()
}

/// The network of an address.
fn network(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(a) & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(a) & mask).into())
        }
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

impl Table {
    /// Most rows of a table; a server with more addresses than this has its list elsewhere.
    pub const LIMIT: usize = 1 << 20;

    /// Makes a table. Rows that say nothing are left out and reported; so are subnets beyond `max_subnets`.
    pub fn new(rows: Vec<Row>, max_subnets: usize, mut complain: impl FnMut(&Row, &str)) -> Table {
        let mut table = Table::default();
        let mut networks: Vec<(IpAddr, Entry)> = Vec::new();
        for row in rows {
            let ip = parse_ip(&row.address);
            let whole = ip.map_or(0, bits);
            let wrong = if row.group < 1 {
                Some("a group is 1 or more")
            } else if ip.is_some() && !(0..=i64::from(whole)).contains(&row.mask) {
                Some("the mask does not fit the address")
            } else if row.address.trim().is_empty() {
                Some("there is no address")
            } else if table.singles.len() + table.domains.len() + networks.len() >= Self::LIMIT {
                Some("the table is full")
            } else {
                None
            };
            if let Some(why) = wrong {
                complain(&row, why);
                continue;
            }
            let mask = u8::try_from(row.mask).ok().filter(|m| *m != 0).unwrap_or(whole);
            let text = ip.map_or_else(|| row.address.trim().to_owned(), |ip| ip.to_string());
            let entry = Entry { group: row.group, port: row.port, tag: row.tag.clone(), text, mask, rank: 0 };
            match ip {
                Some(ip) if mask < whole => {
                    if networks.len() >= max_subnets {
                        complain(&row, "there are more subnets than max_subnets");
                        continue;
                    }
                    networks.push((network(ip, mask), entry));
                }
                Some(ip) => {
                    let entry = Arc::new(entry);
                    table.singles.push(entry.clone());
                    table.single.entry(ip).or_default().insert(0, entry);
                }
                None => {
                    let entry = Arc::new(entry);
                    table.domains.push(entry.clone());
                    table.names.entry(entry.text.clone().into_bytes()).or_default().insert(0, entry);
                }
            }
        }
        table.add_networks(networks);
        table
    }

    /// Subnets are searched by group, and within a group in the order of the rows.
    fn add_networks(&mut self, mut networks: Vec<(IpAddr, Entry)>) {
        networks.sort_by_key(|(_, e)| e.group);
        for (rank, (network, mut entry)) in networks.into_iter().enumerate() {
            entry.rank = rank;
            let entry = Arc::new(entry);
            self.subnets.push(entry.clone());
            let at = match self.networks.iter().position(|(bits, _)| *bits == entry.mask) {
                Some(at) => at,
                None => {
                    self.networks.push((entry.mask, HashMap::new()));
                    self.networks.len() - 1
                }
            };
            if let Some((_, found)) = self.networks.get_mut(at) {
                found.entry(network).or_default().push(entry);
            }
        }
    }

    /// The row that grants an address, of one group or of any: a row of just this address, else the first of the subnets around it
    /// (`longest`: the smallest of them).
    pub fn find(&self, ip: IpAddr, port: u16, group: Option<i64>, longest: bool) -> Option<&Entry> {
        let fits = |e: &&Arc<Entry>| e.fits(group, port);
        if let Some(entry) = self.single.get(&ip).and_then(|list| list.iter().find(fits)) {
            return Some(entry);
        }
        let around = self.networks.iter().filter(|(bits, _)| *bits <= self::bits(ip));
        let candidates = around.filter_map(|(bits, map)| map.get(&network(ip, *bits))?.iter().find(fits));
        let best = |e: &&Arc<Entry>| (if longest { u8::MAX - e.mask } else { 0 }, e.rank);
        candidates.min_by_key(best).map(|e| &**e)
    }

    /// The row that grants a name, which must be written the same.
    pub fn find_name(&self, name: &[u8], port: u16, group: Option<i64>) -> Option<&Entry> {
        self.names.get(name)?.iter().find(|e| e.fits(group, port)).map(|e| &**e)
    }
}

/// Rows of an address file: `group address [mask [port [tag]]]` a line, `#` begins a comment.
pub fn parse_file(text: &str, mut complain: impl FnMut(usize, &str)) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(group) = words.next() else { continue };
        let number = |word: Option<&str>| word.map_or(Some(0), |w| w.parse::<i64>().ok());
        let (Ok(group), Some(address)) = (group.parse(), words.next()) else {
            complain(at + 1, "a line is: group address [mask [port [tag]]]");
            continue;
        };
        let (mask, port) = (number(words.next()), number(words.next()));
        let tag = words.next().map(|t| t.as_bytes().to_vec());
        let (Some(mask), Some(port)) = (mask, port.and_then(|p| u16::try_from(p).ok())) else {
            complain(at + 1, "mask and port are numbers");
            continue;
        };
        rows.push(Row { group, address: address.into(), mask, port, tag });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: i64, address: &str, mask: i64, port: u16, tag: &str) -> Row {
        Row { group, address: address.into(), mask, port, tag: Some(tag.into()) }
    }
    fn table(rows: Vec<Row>) -> Table {
        Table::new(rows, 512, |row, why| panic!("{row:?}: {why}"))
    }
    fn tag(found: Option<&Entry>) -> Option<String> {
        found.and_then(|e| e.tag.clone()).map(|t| String::from_utf8_lossy(&t).into_owned())
    }

    /// Each line was seen at Kamailio 5.6.3.
    #[test]
    fn the_same_rows_win_as_in_kamailio() {
        let table = table(vec![
            row(1, "127.0.0.1", 32, 0, "lo1"),
            row(2, "127.0.0.1", 32, 5060, "lo2"),
            row(3, "127.0.0.0", 8, 0, "net3"),
            row(1, "10.0.0.0", 8, 0, "ten8"),
            row(1, "10.1.0.0", 16, 0, "ten16"),
            row(2, "10.1.0.0", 16, 5070, "ten16p"),
            row(6, "2001:db8::1", 128, 0, "six"),
            row(6, "2001:db8:1::", 48, 0, "sixnet"),
            row(7, "192.0.2.55", 24, 0, "hostbits"),
            row(8, "198.51.100.1", 0, 0, "mask0"),
            row(9, "203.0.113.9", 32, 0, "first"),
            row(9, "203.0.113.9", 32, 0, "second"),
            row(12, "203.0.113.7", 32, 0, "g12"),
            row(11, "203.0.113.7", 32, 0, "g11"),
            row(22, "100.64.0.0", 10, 0, "g22"),
            row(21, "100.64.0.0", 10, 0, "g21"),
        ]);
        for (ip, port, group, wanted) in [
            ("127.0.0.1", 5060, None, Some("lo2")),
            ("127.0.0.1", 5061, None, Some("lo1")),
            ("127.0.0.1", 0, Some(2), None),
            ("127.0.0.1", 5060, Some(3), Some("net3")),
            ("127.9.9.9", 1, None, Some("net3")),
            ("10.1.2.3", 5070, None, Some("ten8")),
            ("10.1.2.3", 5070, Some(2), Some("ten16p")),
            ("10.1.2.3", 1, Some(2), None),
            ("2001:db8::1", 0, None, Some("six")),
            ("2001:db8:1:2::3", 0, None, Some("sixnet")),
            ("2001:db8:2::", 0, None, None),
            ("192.0.2.1", 0, None, Some("hostbits")),
            ("198.51.100.1", 0, None, Some("mask0")),
            ("198.51.100.2", 0, None, None),
            ("203.0.113.9", 0, None, Some("second")),
            ("203.0.113.7", 0, None, Some("g11")),
            ("100.64.1.1", 0, None, Some("g21")),
            ("::ffff:127.0.0.1", 0, None, None),
        ] {
            let ip = parse_ip(ip).expect("address");
            assert_eq!(tag(table.find(ip, port, group, false)).as_deref(), wanted, "{ip}:{port} {group:?}");
        }
        let ip = parse_ip("10.1.2.3").expect("address");
        assert_eq!(tag(table.find(ip, 0, None, true)).as_deref(), Some("ten16"), "the longest prefix");
    }

    #[test]
    fn names_are_compared_as_written() {
        let table = table(vec![row(5, "Sip.example.com", 32, 5060, "dom")]);
        assert_eq!(tag(table.find_name(b"Sip.example.com", 5060, None)).as_deref(), Some("dom"));
        assert!(table.find_name(b"Sip.example.com", 0, None).is_none());
        assert!(table.find_name(b"sip.example.com", 5060, None).is_none());
    }

    #[test]
    fn wrong_rows_are_left_out() {
        let rows = vec![
            row(0, "192.0.2.1", 32, 0, ""),
            row(1, "192.0.2.1", 33, 0, ""),
            row(1, " ", 32, 0, ""),
            row(1, "10.0.0.0", 8, 0, ""),
            row(1, "11.0.0.0", 8, 0, ""),
            row(1, "192.0.2.1", 32, 0, "good"),
        ];
        let mut left_out = 0;
        let table = Table::new(rows, 1, |_, _| left_out += 1);
        assert_eq!((left_out, table.singles.len(), table.subnets.len()), (4, 1, 1));
    }

    #[test]
    fn files() {
        let mut wrong = Vec::new();
        let text = "# all\n1 127.0.0.1 32 0 tag1\n1 10.0.0.10\n\n2 192.168.1.0 24 # net\n3 [1:5ee::900d:c0de]\n4 sip.x.org 32 5080 t4\nx y\n5\n6 192.0.2.1 x\n7 192.0.2.1 32 70000\n";
        let rows = parse_file(text, |line, _| wrong.push(line));
        assert_eq!(wrong, [8, 9, 10, 11]);
        let table = table(rows);
        assert_eq!((table.singles.len(), table.subnets.len(), table.domains.len()), (3, 1, 1));
        let ip = parse_ip("1:5ee::900d:c0de").expect("address");
        assert_eq!(table.find(ip, 1, None, false).map(|e| (e.group, e.tag.clone())), Some((3, None)));
    }

    #[test]
    fn a_big_table_is_searched_as_quickly() {
        let rows = (0..100_000u32).map(|n| row(1, &std::net::Ipv4Addr::from(n << 8).to_string(), 24, 0, "x"));
        let table = Table::new(rows.collect(), 200_000, |_, _| {});
        assert_eq!(
            (table.subnets.len(), table.networks.len()),
            (100_000, 1),
            "one probe for the only length"
        );
        assert!(table.find(IpAddr::from([0, 1, 134, 5]), 0, None, false).is_some());
    }
}
