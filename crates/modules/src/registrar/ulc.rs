//! `$ulc(profile=>attr)`: contacts fetched into a named profile by `reg_fetch_contacts`.

use script::pv::Inner;
use script::{PseudoVariable, Pv, RouteContext, Value};

use super::Registrar;
use crate::usrloc::{Contact, Domain, Ended, Record, socket_text, unix};

/// Profiles of a message.
#[derive(Debug, Default)]
pub(super) struct Profiles(Vec<(Box<[u8]>, Profile)>);

/// A record as it was when it was fetched.
#[derive(Debug)]
struct Profile {
    aor: Box<[u8]>,
    domain: Box<[u8]>,
    hash: u32,
    contacts: Vec<Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    address: Box<[u8]>,
    path: Box<[u8]>,
    received: Box<[u8]>,
    call_id: Box<[u8]>,
    user_agent: Box<[u8]>,
    socket: Vec<u8>,
    ruid: Vec<u8>,
    instance: Box<[u8]>,
    expires: u32,
    q: i16,
    cseq: u32,
    flags: u32,
    cflags: u32,
    modified: u32,
    methods: u32,
    reg_id: u32,
    connection: i32,
    server_id: u32,
}

/// `$ulc(profile=>attr)`.
pub(super) const ULC: PseudoVariable = PseudoVariable {
    module: "registrar",
    name: "ulc",
    doc: "An attribute of what `reg_fetch_contacts` fetched: `$ulc(profile=>attr)`, `$(ulc(profile=>attr)[i])` for the contact at that \
          place. Of the record: aor, domain, aorhash, count. Of a contact: addr, path, received, expires, callid, q, cseq, flags, cflags, \
          user_agent, socket, modified, methods, ruid, regid, instance, conid, server_id.",
    inner: Inner::Text,
    get: |ctx, pv| get(ctx, pv),
    set: None,
};

fn get<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let inner = pv.inner_text(ctx);
    let Some(at) = inner.windows(2).position(|w| w == b"=>") else { return Value::Null };
    let name = inner.get(..at).unwrap_or_default().trim_ascii();
    let attribute = inner.get(at + 2..).unwrap_or_default().trim_ascii();
    let Some(profile) = ctx.slots.peek::<Profiles>().and_then(|p| p.find(name)) else { return Value::Null };
    let of_record = profile.attribute(attribute);
    if !of_record.is_null() {
        return of_record;
    }
    match pv.index(ctx).position(profile.contacts.len()).and_then(|i| profile.contacts.get(i)) {
        Some(contact) => contact.attribute(attribute),
        None => Value::Null,
    }
}

impl Profiles {
    fn find(&self, name: &[u8]) -> Option<&Profile> {
        self.0.iter().find(|(n, _)| n.as_ref() == name).map(|(_, p)| p)
    }
    fn forget(&mut self, name: &[u8]) {
        self.0.retain(|(n, _)| n.as_ref() != name);
    }
}

impl Profile {
    fn attribute(&self, name: &[u8]) -> Value<'_> {
        match name {
            b"aor" => Value::str(&self.aor),
            b"domain" => Value::str(&self.domain),
            b"aorhash" => Value::Int(i64::from(self.hash)),
            b"count" => Value::Int(self.contacts.len() as i64),
            _ => Value::Null,
        }
    }
}

impl Snapshot {
    fn of(contact: &Contact, domain: &Domain, ctx: &RouteContext<'_>) -> Snapshot {
        let mut socket = Vec::new();
        if let Some(listener) = contact.socket().and_then(|s| ctx.core.listeners.get(usize::from(s.0))) {
            socket_text(listener, &mut socket);
        }
        Snapshot {
            address: contact.uri().into(),
            path: contact.path().into(),
            received: contact.received().into(),
            call_id: contact.call_id().into(),
            user_agent: contact.user_agent().into(),
            socket,
            ruid: contact.ruid_text(&domain.rules().ruid),
            instance: contact.instance().into(),
            expires: contact.expires,
            q: contact.q,
            cseq: contact.cseq,
            flags: contact.flags,
            cflags: contact.cflags,
            modified: contact.modified,
            methods: contact.methods,
            reg_id: contact.reg_id,
            connection: contact.connection,
            server_id: ctx.core.config.server_id,
        }
    }
    fn attribute(&self, name: &[u8]) -> Value<'_> {
        let int = |n: u32| Value::Int(i64::from(n));
        match name {
            b"addr" => Value::str(&self.address),
            b"path" => Value::str(&self.path),
            b"received" => Value::str(&self.received),
            b"expires" => int(self.expires),
            b"callid" => Value::str(&self.call_id),
            b"q" => Value::Int(i64::from(self.q)),
            b"cseq" => int(self.cseq),
            b"flags" => int(self.flags),
            b"cflags" => int(self.cflags),
            b"user_agent" => Value::str(&self.user_agent),
            b"socket" if !self.socket.is_empty() => Value::str(&self.socket),
            b"modified" => int(self.modified),
            b"methods" => Value::Int(i64::from(self.methods as i32)),
            b"ruid" => Value::str(&self.ruid),
            b"regid" => int(self.reg_id),
            b"instance" if !self.instance.is_empty() => Value::str(&self.instance),
            b"conid" if self.connection >= 0 => Value::Int(i64::from(self.connection)),
            b"server_id" => int(self.server_id),
            _ => Value::Null,
        }
    }
}

impl Registrar {
    /// `reg_fetch_contacts(table, uri, profile)`.
    pub(super) fn fetch(&self, ctx: &mut RouteContext<'_>, table: &[u8], uri: &[u8], name: &[u8]) -> i64 {
        ctx.slots.slot::<Profiles>().forget(name);
        let Some((domain, aor)) = self.named(ctx, table, uri) else { return -1 };
        let now = unix(ctx.now);
        let take = |record: &Record| Profile {
            aor: record.aor().into(),
            domain: domain.name().into(),
            hash: record.hash(),
            contacts: record.valid(now).map(|c| Snapshot::of(c, &domain, ctx)).collect(),
        };
        let Some(profile) = domain.read(&aor, |r| r.map(take)).filter(|p| !p.contacts.is_empty()) else {
            return -1;
        };
        ctx.slots.slot::<Profiles>().0.push((name.into(), profile));
        1
    }
    /// Puts an ended contact where the event callback finds it: profile `exp`.
    pub(super) fn show_ended(ctx: &mut RouteContext<'_>, ended: &Ended) {
        let profile = Profile {
            aor: ended.aor.clone(),
            domain: ended.domain.name().into(),
            hash: ended.domain.hash(&ended.aor),
            contacts: vec![Snapshot::of(&ended.contact, &ended.domain, ctx)],
        };
        let profiles = ctx.slots.slot::<Profiles>();
        profiles.forget(b"exp");
        profiles.0.push((Box::from(&b"exp"[..]), profile));
    }
    /// `reg_free_contacts(profile)`.
    pub(super) fn forget(ctx: &mut RouteContext<'_>, name: &[u8]) -> i64 {
        ctx.slots.slot::<Profiles>().forget(name);
        1
    }
    /// `ulc_rget(profile, attr)`.
    pub(super) fn record_attribute<'c>(
        ctx: &'c RouteContext<'_>,
        name: &[u8],
        attribute: &[u8],
    ) -> Value<'c> {
        let profile = ctx.slots.peek::<Profiles>().and_then(|p| p.find(name));
        profile.map_or(Value::Null, |p| p.attribute(attribute))
    }
    /// `ulc_cget(profile, attr, index)`.
    pub(super) fn contact_attribute<'c>(
        ctx: &'c RouteContext<'_>,
        name: &[u8],
        attribute: &[u8],
        index: i64,
    ) -> Value<'c> {
        let profile = ctx.slots.peek::<Profiles>().and_then(|p| p.find(name));
        let at = |p: &Profile| script::pv::Index::At(index).position(p.contacts.len());
        let contact = profile.and_then(|p| p.contacts.get(at(p)?));
        contact.map_or(Value::Null, |c| c.attribute(attribute))
    }
}
