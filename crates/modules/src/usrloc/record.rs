//! The bindings of one address-of-record, in the order in which they are tried.

use smallvec::SmallVec;

use super::contact::{Agents, Contact, ContactInfo, Ruid, TooLong};
use super::expiry::NOWHERE;

/// `matching_mode`: when a contact of a REGISTER is one that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// 0: same URI.
    #[default]
    Contact,
    /// 1: same URI and Call-ID.
    ContactCallId,
    /// 2: same URI and Path.
    ContactPath,
    /// 3: same Call-ID.
    CallId,
}

impl Matching {
    /// From the module parameter.
    pub fn from_param(n: i64) -> Option<Matching> {
        Some(match n {
            0 => Matching::Contact,
            1 => Matching::ContactCallId,
            2 => Matching::ContactPath,
            3 => Matching::CallId,
            _ => return None,
        })
    }
}

/// Which of several bindings comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Higher q first, among equals the one that came first.
    #[default]
    ByQ,
    /// `desc_time_order`: last registered first.
    LastFirst,
}

/// How a REGISTER's CSeq stands to the binding it is about (RFC 3261 §10.3 step 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// Another Call-ID, or a higher CSeq: the update goes on.
    Newer,
    /// Same Call-ID and CSeq within `cseq_delay`: a retransmission; nothing changes and the answer is the same.
    Repeated,
    /// "If not, the update MUST be aborted and the request fails."
    Older,
}

/// The bindings of an address-of-record. Never empty while it is in a domain.
///
/// What finding it looks at stands first, in one cache line.
#[derive(Debug)]
#[repr(C)]
pub struct Record {
    /// The next in its chain of the table.
    pub(super) next: Option<Box<Record>>,
    pub(super) hash: u32,
    /// Place in the shard's expiry heap.
    pub(super) slot: u32,
    /// Time of that entry; here so that a refresh need not look at the heap.
    pub(super) due: u32,
    pub(super) aor: Aor,
    /// Nearly all have one, which lies here: what a refresh needs is in neighbouring cache lines.
    contacts: SmallVec<[Contact; 1]>,
}

/// An address-of-record, in the record itself when it is no longer than most user names.
pub(super) type Aor = SmallVec<[u8; 24]>;

impl Record {
    /// Most bindings of an address-of-record whatever the settings: what one answer can list and one message can go through.
    pub const LIMIT: usize = 500;

    pub(super) fn new(hash: u32) -> Record {
        Record { next: None, hash, slot: NOWHERE, due: u32::MAX, aor: Aor::new(), contacts: SmallVec::new() }
    }
    /// Address-of-record: user, or user@domain with `use_domain`.
    pub fn aor(&self) -> &[u8] {
        &self.aor
    }
    /// Kamailio's `aorhash`.
    pub fn hash(&self) -> u32 {
        self.hash
    }
    /// Bindings in order, ended ones among them.
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }
    /// A binding.
    pub fn contact(&mut self, at: usize) -> Option<&mut Contact> {
        self.contacts.get_mut(at)
    }
    /// Bindings that have not ended, in order.
    pub fn valid(&self, now: u32) -> impl Iterator<Item = &Contact> {
        self.contacts.iter().filter(move |c| c.is_valid(now))
    }

    /// The binding that a contact of a REGISTER is about.
    ///
    /// A contact with an instance is only ever matched by instance and reg-id (RFC 5626 §6), whatever its URI.
    pub fn position(&self, info: &ContactInfo<'_>, matching: Matching) -> Option<usize> {
        if !info.instance.is_empty() {
            return self
                .contacts
                .iter()
                .position(|c| c.reg_id == info.reg_id && c.instance() == info.instance);
        }
        self.contacts.iter().position(|c| match matching {
            Matching::Contact => c.uri() == info.uri,
            Matching::ContactCallId => c.uri() == info.uri && c.call_id() == info.call_id,
            Matching::ContactPath => c.uri() == info.uri && c.path() == info.path,
            Matching::CallId => c.call_id() == info.call_id,
        })
    }

    /// Compares Call-ID and CSeq with the binding's. `delay`: `cseq_delay` in seconds.
    pub fn sequence(contact: &Contact, call_id: &[u8], cseq: u32, now: u32, delay: u32) -> Sequence {
        if contact.call_id() != call_id || cseq > contact.cseq {
            Sequence::Newer
        } else if cseq == contact.cseq && now < contact.modified.saturating_add(delay) {
            Sequence::Repeated
        } else {
            Sequence::Older
        }
    }

    /// Adds a binding and returns its place.
    pub fn insert(
        &mut self,
        info: &ContactInfo<'_>,
        ruid: Ruid,
        order: Order,
        agents: &Agents,
    ) -> Result<usize, TooLong> {
        Ok(self.add(Contact::new(info, ruid, agents)?, order))
    }

    /// Adds a binding that was made elsewhere and returns its place.
    pub fn add(&mut self, contact: Contact, order: Order) -> usize {
        if self.contacts.len() == self.contacts.capacity() {
            self.contacts.reserve_exact(self.contacts.len());
        }
        let at = self.place(contact.q, order);
        self.contacts.insert(at, contact);
        at
    }
    /// The database has all of it.
    pub(super) fn settle(&mut self) {
        self.contacts.iter_mut().for_each(|c| c.stored = super::contact::Stored::Saved);
    }
    pub(super) fn contacts_mut(&mut self) -> &mut [Contact] {
        &mut self.contacts
    }
    /// Puts bindings in the place of all there are.
    pub fn restore(&mut self, contacts: Vec<Contact>) {
        self.contacts = contacts.into();
    }

    /// Refreshes a binding and returns its new place.
    pub fn update(
        &mut self,
        at: usize,
        info: &ContactInfo<'_>,
        order: Order,
        agents: &Agents,
    ) -> Result<usize, TooLong> {
        let Some(contact) = self.contacts.get_mut(at) else { return Ok(at) };
        let q = contact.q;
        contact.update(info, agents)?;
        if self.contacts.len() == 1 || (order == Order::ByQ && q == info.q) {
            return Ok(at);
        }
        let contact = self.contacts.remove(at);
        let to = self.place(contact.q, order);
        self.contacts.insert(to, contact);
        Ok(to)
    }

    /// Takes a binding out.
    pub fn remove(&mut self, at: usize) -> Option<Contact> {
        (at < self.contacts.len()).then(|| self.contacts.remove(at))
    }
    /// Takes all bindings out.
    pub fn clear(&mut self) {
        self.contacts.clear();
    }
    /// Takes out the bindings for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&Contact) -> bool) {
        self.contacts.retain(|contact| keep(contact));
    }

    pub(super) fn deadline(&self) -> u32 {
        self.contacts.iter().map(Contact::deadline).min().unwrap_or(0)
    }
    pub(super) fn take_expired(&mut self, now: u32, ended: &mut dyn FnMut(&[u8], Contact)) {
        let mut at = 0;
        while let Some(contact) = self.contacts.get(at) {
            if contact.is_valid(now) {
                at += 1;
            } else {
                let contact = self.contacts.remove(at);
                ended(&self.aor, contact);
            }
        }
    }
    fn place(&self, q: i16, order: Order) -> usize {
        match order {
            Order::LastFirst => 0,
            Order::ByQ => self.contacts.iter().position(|c| c.q < q).unwrap_or(self.contacts.len()),
        }
    }
}
