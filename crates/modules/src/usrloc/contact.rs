//! One binding: a contact address of an address-of-record, as small as it can be kept.
//!
//! All text of a contact is one boxed slice with the ends of its fields beside it; what a refresh brings is written over it in place
//! when it fits. User agents repeat, so their text is shared ([`Agents`]). A record id is a number until somebody wants to see it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use script::vars::VarValue;
use transaction::SocketId;

/// `methods` when a contact did not say what it supports: everything.
pub const ALL_METHODS: u32 = u32::MAX;
/// `q` of a contact that gave none and no default is set.
pub const Q_UNSET: i16 = -1;
/// `expires` of a binding that never ends (`ul.add` with 0).
pub const PERMANENT: u32 = 0;

/// Fields of a contact's XAVP (`xavp_contact`), newest first.
pub type Attributes = Vec<(Box<[u8]>, VarValue)>;

/// What a REGISTER (or a stored row, or `ul.add`) says about a contact.
#[derive(Debug, Clone, Default)]
pub struct ContactInfo<'a> {
    /// Contact URI without brackets.
    pub uri: &'a [u8],
    /// `received`: where the REGISTER came from, as a SIP URI; empty none.
    pub received: &'a [u8],
    /// Path values joined by commas; empty none.
    pub path: &'a [u8],
    /// Call-ID of the REGISTER.
    pub call_id: &'a [u8],
    /// `+sip.instance` without its quotes; empty none.
    pub instance: &'a [u8],
    /// User-Agent of the REGISTER.
    pub user_agent: &'a [u8],
    /// Unix time at which the binding ends, [`PERMANENT`] for never.
    pub expires: u32,
    /// CSeq number of the REGISTER.
    pub cseq: u32,
    /// q in thousandths, [`Q_UNSET`].
    pub q: i16,
    /// Flags of the record.
    pub flags: u32,
    /// Branch flags.
    pub cflags: u32,
    /// Kamailio's method bits, [`ALL_METHODS`].
    pub methods: u32,
    /// `reg-id`, 0 none.
    pub reg_id: u32,
    /// The socket the REGISTER came in on.
    pub socket: Option<SocketId>,
    /// TCP connection, -1 none.
    pub connection: i32,
    /// Unix time of the REGISTER.
    pub modified: u32,
}

/// A record id, `uloc-<start>-<pid>-<number>`: unique for this run of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ruid(pub u64);

impl Ruid {
    /// Set in ids of contacts added by RPC, which show as `ulcx-`.
    pub const BY_RPC: u64 = 1 << 63;
}

/// How record ids look in this run of the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuidFormat {
    /// Unix time of the start.
    pub started: u64,
    /// Process id.
    pub pid: u32,
}

impl RuidFormat {
    /// Appends `uloc-5f5a...-1a2b-7`.
    pub fn write(&self, ruid: Ruid, out: &mut Vec<u8>) {
        let by_rpc = ruid.0 & Ruid::BY_RPC != 0;
        out.extend_from_slice(if by_rpc { b"ulcx-" } else { b"uloc-" });
        write_hex(self.started, out);
        out.push(b'-');
        write_hex(u64::from(self.pid), out);
        out.push(b'-');
        write_hex(ruid.0 & !Ruid::BY_RPC, out);
    }
    /// The id as text.
    pub fn text(&self, ruid: Ruid) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        self.write(ruid, &mut out);
        out
    }
    /// Reads an id of this run back; `None` for any other text.
    pub fn parse(&self, text: &[u8]) -> Option<Ruid> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split('-');
        let bit = match parts.next()? {
            "uloc" => 0,
            "ulcx" => Ruid::BY_RPC,
            _ => return None,
        };
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (started, pid, id) = (number()?, number()?, number()?);
        let ours = started == self.started && pid == u64::from(self.pid) && parts.next().is_none();
        (ours && id & Ruid::BY_RPC == 0).then_some(Ruid(id | bit))
    }
}

fn write_hex(n: u64, out: &mut Vec<u8>) {
    let digits = (64 - n.leading_zeros()).div_ceil(4).max(1);
    for i in (0..digits).rev() {
        let digit = (n >> (4 * i)) & 15;
        out.push(b"0123456789abcdef".get(digit as usize).copied().unwrap_or(b'0'));
    }
}

/// Shared text of User-Agent headers. Bounded: while [`Agents::LIMIT`] different texts are in use, further ones are not shared.
#[derive(Debug, Default)]
pub struct Agents {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    agents: HashSet<Agent>,
    /// New texts to let pass before unused ones are looked for again.
    patience: usize,
}

/// A shared User-Agent text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Agent(Arc<Box<[u8]>>);

impl std::borrow::Borrow<[u8]> for Agent {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Agents {
    /// Most texts kept for sharing.
    pub const LIMIT: usize = 4096;

    /// The shared copy of a text.
    pub fn share(&self, text: &[u8]) -> Agent {
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(agent) = known.agents.get(text) {
            return agent.clone();
        }
        let agent = Agent(Arc::new(text.into()));
        if known.agents.len() >= Self::LIMIT {
            if known.patience > 0 {
                known.patience -= 1;
                return agent;
            }
            known.agents.retain(|a| Arc::strong_count(&a.0) > 1);
            known.patience = Self::LIMIT;
        }
        if known.agents.len() < Self::LIMIT {
            known.agents.insert(agent.clone());
        }
        agent
    }
}

/// Order of the text fields. Record id and instance stand first: a refresh without instance keeps both and rewrites what follows.
#[derive(Clone, Copy)]
enum Field {
    /// Of a contact that came from a database; those of this run have a number.
    Ruid,
    Instance,
    Uri,
    CallId,
    Received,
    Path,
}
const FIELDS: usize = 6;

/// The text would need more than 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// What the database knows of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stored {
    /// Nothing.
    #[default]
    New,
    /// All there is to know.
    Saved,
    /// An earlier state.
    Changed,
}

/// A binding of an address-of-record.
#[derive(Debug, Clone)]
pub struct Contact {
    text: Box<[u8]>,
    agent: Agent,
    attributes: Option<Box<Attributes>>,
    ruid: Ruid,
    ends: [u16; FIELDS],
    /// q in thousandths, [`Q_UNSET`].
    pub q: i16,
    socket: u16,
    /// What the database knows, for `db_mode` 2.
    pub stored: Stored,
    /// Unix time at which the binding ends, [`PERMANENT`].
    pub expires: u32,
    /// Unix time of the last REGISTER that touched it.
    pub modified: u32,
    /// CSeq number of that REGISTER.
    pub cseq: u32,
    /// Flags of the record.
    pub flags: u32,
    /// Branch flags.
    pub cflags: u32,
    /// Kamailio's method bits.
    pub methods: u32,
    /// `reg-id`, 0 none.
    pub reg_id: u32,
    /// TCP connection, -1 none.
    pub connection: i32,
    /// Unix time of the last sign of life, see [`Contact::keep_alive`].
    last_keepalive: SignOfLife,
}

/// Written by replies to keep-alives, which only read the table.
#[derive(Debug, Default)]
struct SignOfLife(AtomicU32);

impl Clone for SignOfLife {
    fn clone(&self) -> SignOfLife {
        SignOfLife(AtomicU32::new(self.0.load(Ordering::Relaxed)))
    }
}

const NO_SOCKET: u16 = u16::MAX;

impl Contact {
    /// A new binding.
    pub fn new(info: &ContactInfo<'_>, ruid: Ruid, agents: &Agents) -> Result<Contact, TooLong> {
        Contact::with_ruid_text(info, ruid, b"", agents)
    }

    /// A binding whose record id is a text from elsewhere; `ruid` only tells it from others then.
    pub fn with_ruid_text(
        info: &ContactInfo<'_>,
        ruid: Ruid,
        ruid_text: &[u8],
        agents: &Agents,
    ) -> Result<Contact, TooLong> {
        let end = u16::try_from(ruid_text.len()).map_err(|_| TooLong)?;
        let mut contact = Contact {
            text: ruid_text.into(),
            agent: agents.share(info.user_agent),
            attributes: None,
            ruid,
            ends: [end; FIELDS],
            q: info.q,
            socket: NO_SOCKET,
            stored: Stored::New,
            expires: info.expires,
            modified: info.modified,
            cseq: info.cseq,
            flags: info.flags,
            cflags: info.cflags,
            methods: info.methods,
            reg_id: info.reg_id,
            connection: info.connection,
            last_keepalive: SignOfLife(AtomicU32::new(info.modified)),
        };
        contact.update(info, agents)?;
        Ok(contact)
    }

    /// Takes over what a later REGISTER says. An instance given once is kept when the refresh has none.
    ///
    /// On error nothing has changed.
    pub fn update(&mut self, info: &ContactInfo<'_>, agents: &Agents) -> Result<(), TooLong> {
        self.write_text(info)?;
        if self.stored == Stored::Saved {
            self.stored = Stored::Changed;
        }
        if !info.instance.is_empty() {
            self.reg_id = info.reg_id;
        }
        if self.user_agent() != info.user_agent {
            self.agent = agents.share(info.user_agent);
        }
        self.q = info.q;
        self.socket = info.socket.map_or(NO_SOCKET, |s| s.0);
        self.expires = info.expires;
        self.modified = info.modified;
        self.cseq = info.cseq;
        self.flags = info.flags;
        self.cflags = info.cflags;
        self.methods = info.methods;
        self.connection = info.connection;
        self.keep_alive(info.modified);
        Ok(())
    }

    fn write_text(&mut self, info: &ContactInfo<'_>) -> Result<(), TooLong> {
        let kept = self.end(if info.instance.is_empty() { Field::Instance } else { Field::Ruid });
        let parts = [info.instance, info.uri, info.call_id, info.received, info.path];
        let total = kept + parts.iter().map(|p| p.len()).sum::<usize>();
        if total > usize::from(u16::MAX) {
            return Err(TooLong);
        }
        // A much smaller text gives its memory back; otherwise the box is written over.
        if total > self.text.len() || total < self.text.len() / 2 {
            let mut text = vec![0; total].into_boxed_slice();
            if let (Some(new), Some(old)) = (text.get_mut(..kept), self.text.get(..kept)) {
                new.copy_from_slice(old);
            }
            self.text = text;
        }
        let mut at = kept;
        for (part, end) in parts.iter().zip(self.ends.iter_mut().skip(1)) {
            if let Some(to) = self.text.get_mut(at..at + part.len()) {
                to.copy_from_slice(part);
            }
            at += part.len();
            *end = at as u16;
        }
        Ok(())
    }

    fn end(&self, field: Field) -> usize {
        self.ends.get(field as usize).map_or(0, |e| usize::from(*e))
    }
    fn field(&self, field: Field) -> &[u8] {
        let start = match (field as usize).checked_sub(1) {
            Some(previous) => self.ends.get(previous).map_or(0, |e| usize::from(*e)),
            None => 0,
        };
        self.text.get(start..self.end(field)).unwrap_or_default()
    }

    /// Contact URI.
    pub fn uri(&self) -> &[u8] {
        self.field(Field::Uri)
    }
    /// Call-ID of the last REGISTER.
    pub fn call_id(&self) -> &[u8] {
        self.field(Field::CallId)
    }
    /// `received` URI, empty none.
    pub fn received(&self) -> &[u8] {
        self.field(Field::Received)
    }
    /// Path values joined by commas, empty none.
    pub fn path(&self) -> &[u8] {
        self.field(Field::Path)
    }
    /// `+sip.instance`, empty none.
    pub fn instance(&self) -> &[u8] {
        self.field(Field::Instance)
    }
    /// User-Agent of the last REGISTER.
    pub fn user_agent(&self) -> &[u8] {
        &self.agent.0
    }
    /// What tells it from the other contacts of this run.
    pub fn ruid(&self) -> Ruid {
        self.ruid
    }
    /// Appends the record id as others see it.
    pub fn write_ruid(&self, format: &RuidFormat, out: &mut Vec<u8>) {
        match self.field(Field::Ruid) {
            [] => format.write(self.ruid, out),
            text => out.extend_from_slice(text),
        }
    }
    /// The record id as others see it.
    pub fn ruid_text(&self, format: &RuidFormat) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        self.write_ruid(format, &mut out);
        out
    }
    /// Whether a text is its record id.
    pub fn has_ruid(&self, text: &[u8], format: &RuidFormat) -> bool {
        match self.field(Field::Ruid) {
            [] => format.parse(text) == Some(self.ruid),
            own => own == text,
        }
    }
    /// Socket the REGISTER came in on.
    pub fn socket(&self) -> Option<SocketId> {
        (self.socket != NO_SOCKET).then_some(SocketId(self.socket))
    }
    /// Attributes of `xavp_contact`.
    pub fn attributes(&self) -> &[(Box<[u8]>, VarValue)] {
        self.attributes.as_deref().map_or(&[], Vec::as_slice)
    }
    /// Sets the attributes of `xavp_contact`.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        self.attributes = (!attributes.is_empty()).then(|| Box::new(attributes));
    }
    /// Unix time of the last REGISTER or answer to a keep-alive.
    pub fn last_keepalive(&self) -> u32 {
        self.last_keepalive.0.load(Ordering::Relaxed)
    }
    /// The contact has shown that it is there.
    pub fn keep_alive(&self, now: u32) {
        self.last_keepalive.0.store(now, Ordering::Relaxed);
    }
    /// Whether the binding has not ended.
    pub fn is_valid(&self, now: u32) -> bool {
        self.expires == PERMANENT || self.expires > now
    }
    /// When it ends, with "never" last.
    pub fn deadline(&self) -> u32 {
        if self.expires == PERMANENT { u32::MAX } else { self.expires }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info<'a>(uri: &'a [u8], instance: &'a [u8]) -> ContactInfo<'a> {
        ContactInfo { uri, instance, call_id: b"c", user_agent: b"UA", q: Q_UNSET, ..ContactInfo::default() }
    }

    #[test]
    fn refresh_in_place_keeps_instance_and_allocation() {
        let agents = Agents::default();
        let mut c = Contact::new(&info(b"sip:a@192.0.2.1", b"<urn:uuid:1>"), Ruid(1), &agents).expect("fits");
        let before = c.text.as_ptr();
        c.update(&info(b"sip:b@192.0.2.1", b""), &agents).expect("fits");
        assert_eq!(
            (c.uri(), c.instance(), c.call_id()),
            (&b"sip:b@192.0.2.1"[..], &b"<urn:uuid:1>"[..], &b"c"[..])
        );
        assert_eq!(c.text.as_ptr(), before);
        c.update(&info(b"sip:longer-than-before@192.0.2.1:5060", b""), &agents).expect("fits");
        assert_eq!(
            (c.uri(), c.instance()),
            (&b"sip:longer-than-before@192.0.2.1:5060"[..], &b"<urn:uuid:1>"[..])
        );
    }

    #[test]
    fn too_long_changes_nothing() {
        let agents = Agents::default();
        let mut c = Contact::new(&info(b"sip:a@b", b""), Ruid(1), &agents).expect("fits");
        let long = vec![b'x'; 70_000];
        assert_eq!(c.update(&info(&long, b""), &agents), Err(TooLong));
        assert_eq!(c.uri(), b"sip:a@b");
    }

    #[test]
    fn agents_are_shared_and_bounded() {
        let agents = Agents::default();
        assert!(Arc::ptr_eq(&agents.share(b"UA").0, &agents.share(b"UA").0));
        let kept: Vec<_> = (0..2 * Agents::LIMIT).map(|i| agents.share(i.to_string().as_bytes())).collect();
        assert!(agents.known.lock().expect("lock").agents.len() <= Agents::LIMIT);
        drop(kept);
        for i in 0..Agents::LIMIT {
            agents.share(format!("x{i}").as_bytes());
        }
        assert!(agents.known.lock().expect("lock").agents.len() <= Agents::LIMIT);
    }

    #[test]
    fn ruid_text_and_back() {
        let format = RuidFormat { started: 0x6b02c74d, pid: 0x589a };
        assert_eq!(format.text(Ruid(0xb)), b"uloc-6b02c74d-589a-b");
        assert_eq!(format.text(Ruid(Ruid::BY_RPC | 1)), b"ulcx-6b02c74d-589a-1");
        for id in [Ruid(0xb), Ruid(Ruid::BY_RPC | 77)] {
            assert_eq!(format.parse(&format.text(id)), Some(id));
        }
        for bad in ["", "uloc-1-2-3", "uloc-6b02c74d-589a", "uloc-6b02c74d-589a-b-c", "x-6b02c74d-589a-b"] {
            assert_eq!(format.parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
