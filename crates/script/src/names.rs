//! Addresses of host names that an operator has given (`dns.add_a`): what the server knows until it asks the DNS itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use transaction::{Now, Timestamp};

/// Host names with their addresses.
#[derive(Debug, Default)]
pub struct Names {
    table: RwLock<HashMap<Vec<u8>, Vec<Record>>>,
    /// How many names there are: without any, who resolves takes no lock.
    len: AtomicUsize,
}

/// One address of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The address.
    pub address: IpAddr,
    /// Until when it holds; [`Timestamp::NEVER`], for ever.
    pub until: Timestamp,
}

impl Names {
    /// Most names that are kept.
    pub const LIMIT: usize = 10_000;
    /// Most addresses of a name.
    pub const ADDRESSES: usize = 16;

    /// Adds an address. False when there is no room.
    pub fn add(&self, name: &[u8], record: Record, now: Now) -> bool {
        let mut table = self.table.write().unwrap_or_else(|e| e.into_inner());
        let name = name.to_ascii_lowercase();
        if table.len() >= Self::LIMIT && !table.contains_key(&name) {
            table.retain(|_, records| records.iter().any(|r| r.until > now.mono));
            if table.len() >= Self::LIMIT {
                return false;
            }
        }
        let records = table.entry(name).or_default();
        records.retain(|r| r.until > now.mono && r.address != record.address);
        let room = records.len() < Self::ADDRESSES;
        if room {
            records.push(record);
        }
        self.len.store(table.len(), Ordering::Relaxed);
        room
    }
    /// Takes a name's addresses of one family away. False when it had none.
    pub fn remove(&self, name: &[u8], v6: bool) -> bool {
        let mut table = self.table.write().unwrap_or_else(|e| e.into_inner());
        let name = name.to_ascii_lowercase();
        let Some(records) = table.get_mut(&name) else { return false };
        let before = records.len();
        records.retain(|r| r.address.is_ipv6() != v6);
        let found = records.len() < before;
        if records.is_empty() {
            table.remove(&name);
        }
        self.len.store(table.len(), Ordering::Relaxed);
        found
    }
    /// Forgets all.
    pub fn clear(&self) {
        self.table.write().unwrap_or_else(|e| e.into_inner()).clear();
        self.len.store(0, Ordering::Relaxed);
    }
    /// A name's first address.
    pub fn address(&self, name: &[u8], now: Now) -> Option<IpAddr> {
        if self.len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.records(name, now).first().map(|r| r.address)
    }
    /// A name's addresses.
    pub fn records(&self, name: &[u8], now: Now) -> Vec<Record> {
        let table = self.table.read().unwrap_or_else(|e| e.into_inner());
        let records = table.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default();
        records.iter().filter(|r| r.until > now.mono).copied().collect()
    }
    /// All names with their addresses, by name.
    pub fn list(&self, now: Now) -> Vec<(Vec<u8>, Vec<Record>)> {
        let table = self.table.read().unwrap_or_else(|e| e.into_inner());
        let mut names: Vec<Vec<u8>> = table.keys().cloned().collect();
        drop(table);
        names.sort();
        names.into_iter().map(|name| (self.records(&name, now), name)).map(|(r, n)| (n, r)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { mono: Timestamp::from_millis(seconds * 1000), unix_micros: 0 }
    }

    #[test]
    fn a_name_is_known_in_any_case_until_its_time() {
        let names = Names::default();
        let (one, two) = ("192.0.2.1".parse().expect("address"), "2001:db8::1".parse().expect("address"));
        assert!(names.add(b"Host.Example", Record { address: one, until: at(10).mono }, at(0)));
        assert!(names.add(b"host.example", Record { address: two, until: Timestamp::NEVER }, at(0)));
        assert_eq!(names.address(b"HOST.example", at(9)), Some(one));
        assert_eq!(names.address(b"host.example", at(10)), Some(two));
        assert!(!names.remove(b"nobody", true));
        assert!(names.remove(b"host.example", true));
        assert_eq!(names.address(b"host.example", at(11)), None);
        assert_eq!(names.list(at(9)).len(), 1);
    }

    #[test]
    fn names_and_addresses_are_bounded() {
        let names = Names::default();
        let record = |n: usize| Record { address: IpAddr::from((n as u32).to_be_bytes()), until: at(5).mono };
        let full = (0..).find(|n| !names.add(b"x", record(*n), at(0)));
        assert_eq!(full, Some(Names::ADDRESSES));
        let full = (0..).find(|n| !names.add(n.to_string().as_bytes(), record(*n), at(0)));
        assert_eq!(full, Some(Names::LIMIT - 1));
        assert!(names.add(b"later", record(1), at(6)), "what has ended makes room");
    }
}
