//! `lookup()` and its kin: from an address-of-record to the contacts a request goes to (RFC 3261 §16.5).

use message::{Message, NameAddr, Uri};
use script::vars::VarValue;
use script::{Branch, RouteContext};

use super::Registrar;
use super::request::method_bit;
use super::save::Scratch;
use super::xavp::{add_xavps, field, int, text};
use crate::usrloc::{Contact, Domain, Record, RuidFormat, unix};

const FOUND: i64 = 1;
const NOT_FOUND: i64 = -1;
const NOT_ALLOWED: i64 = -2;
const BAD_URI: i64 = -3;

/// Where the contacts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    /// The first becomes the Request-URI, the others branches.
    Target,
    /// All become branches.
    Branches,
}

/// Which bindings of a record count.
struct Filter<'a> {
    now: u32,
    expired_too: bool,
    /// Bit of the method that must be supported.
    method: Option<u32>,
    /// Branch flags of which one must be set.
    flags: Option<u32>,
    /// The instance or record id a GRUU names.
    gruu: Gruu<'a>,
    ruid: RuidFormat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Gruu<'a> {
    /// An ordinary address-of-record.
    No,
    /// `gr=urn:uuid:...`
    Public(&'a [u8]),
    /// `uloc-...-<hash>` in the user part and `gr` without value: record id and hash.
    Temporary(&'a [u8], u32),
}

impl<'a> Gruu<'a> {
    fn of(uri: &Uri<'a>) -> Gruu<'a> {
        let Some(param) = uri.params.get("gr") else { return Gruu::No };
        if let Some(instance) = param.value.filter(|v| !v.is_empty()) {
            return Gruu::Public(instance);
        }
        let user = uri.user.unwrap_or_default();
        let parts = user.iter().rposition(|b| *b == b'-').and_then(|at| user.split_at_checked(at));
        let hash = parts.and_then(|(_, hash)| std::str::from_utf8(hash.get(1..)?).ok());
        match (parts, hash.and_then(|h| u32::from_str_radix(h, 16).ok())) {
            (Some((ruid, _)), Some(hash)) => Gruu::Temporary(ruid, hash),
            _ => Gruu::Temporary(user, 0),
        }
    }
}

impl Filter<'_> {
    fn is_alive(&self, contact: &Contact) -> bool {
        let named = match &self.gruu {
            Gruu::No => true,
            Gruu::Public(urn) => {
                let instance = contact.instance();
                instance == *urn
                    || instance
                        .strip_prefix(b"<")
                        .and_then(|i| i.strip_suffix(b">"))
                        .is_some_and(|i| i == *urn)
            }
            Gruu::Temporary(ruid, _) => contact.has_ruid(ruid, &self.ruid),
        };
        named
            && (self.expired_too || contact.is_valid(self.now))
            && self.flags.is_none_or(|f| contact.cflags & f != 0)
    }
    fn allows(&self, contact: &Contact) -> bool {
        self.method.is_none_or(|bit| contact.methods & bit != 0)
    }
}

impl Registrar {
    /// `lookup(table, uri)`, `lookup_to_dset(table, uri)`.
    ///
    /// Without a URI the Request-URI as it stands is looked up.
    pub(super) fn lookup_as(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: Option<&[u8]>,
        into: Into,
    ) -> i64 {
        let mut scratch = Scratch::take(ctx);
        // A copy, as the Request-URI is about to be overwritten.
        scratch.rows.clear();
        scratch.rows.extend_from_slice(uri.unwrap_or(ctx.request_uri()));
        let result = match Uri::parse(&scratch.rows) {
            Ok(uri) => self.find(ctx, table, &uri, into, &mut scratch.aor),
            Err(_) => BAD_URI,
        };
        scratch.give_back(ctx);
        result
    }

    fn find(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: &Uri<'_>,
        into: Into,
        aor: &mut Vec<u8>,
    ) -> i64 {
        if self.aor_of(uri, aor).is_err() {
            return BAD_URI;
        }
        let Some(domain) = self.domains.look_into(table, &ctx.core.statistics, ctx.now) else {
            return NOT_FOUND;
        };
        let filter = self.filter(ctx, uri);
        let mut found = None;
        let mut attributes = Vec::new();
        let class = self.domains.xavp_contact();
        let mut take = |record: Option<&Record>| {
            let Some(record) = record else { return NOT_FOUND };
            let mut alive = record.contacts().iter().filter(|c| filter.is_alive(c)).peekable();
            if alive.peek().is_none() {
                return NOT_FOUND;
            }
            let mut taken = 0;
            for contact in alive.filter(|c| filter.allows(c)) {
                let is_target = taken == 0 && into == Into::Target;
                if is_target {
                    self.fill(ctx.core, &mut ctx.target, contact, &filter.ruid);
                    found = self.found(contact, &filter.ruid, filter.now);
                } else {
                    if ctx.branches.len() >= ctx.core.config.max_branches {
                        break;
                    }
                    let mut branch = Branch::default();
                    self.fill(ctx.core, &mut branch, contact, &filter.ruid);
                    ctx.branches.push(branch);
                }
                if class.is_some() {
                    let mut fields = contact.attributes().to_vec();
                    if !fields.is_empty() {
                        fields.push(field("ruid", text(&contact.ruid_text(&filter.ruid))));
                        attributes.push(VarValue::Xavp(fields));
                    }
                }
                taken += 1;
                // A GRUU names one device.
                if !self.settings.append_branches || filter.gruu != Gruu::No {
                    break;
                }
            }
            if taken > 0 { FOUND } else { NOT_ALLOWED }
        };
        let result = match &filter.gruu {
            Gruu::Temporary(ruid, hash) => {
                let named = |r: &Record| r.contacts().iter().any(|c| c.has_ruid(ruid, &filter.ruid));
                domain.read_by_hash(*hash, named, &mut take)
            }
            _ => domain.read(aor, &mut take),
        };
        self.tell(ctx, found.into_iter().collect());
        if let Some(class) = class.filter(|_| !attributes.is_empty()) {
            let class = class.to_vec();
            add_xavps(ctx, &class, attributes);
        }
        result
    }

    fn filter<'u>(&self, ctx: &RouteContext<'_>, uri: &Uri<'u>) -> Filter<'u> {
        let initial = |m: &Message| m.is_request() && m.to().is_ok_and(|to| to.tag().is_none());
        let flags = (self.settings.lookup_filter_mode & 1 != 0)
            .then(|| self.config_number(ctx, "rlf_bflags"))
            .flatten();
        Filter {
            now: unix(ctx.now),
            expired_too: self.settings.use_expired_contacts,
            method: (self.settings.method_filtering && initial(&ctx.message))
                .then(|| method_bit(ctx.message.method())),
            flags,
            gruu: if self.settings.gruu_enabled { Gruu::of(uri) } else { Gruu::No },
            ruid: self.domains.rules().ruid,
        }
    }

    /// Makes a contact a member of the destination set. The next hop is the first Path value, else where the REGISTER came from.
    fn fill(&self, core: &script::Core, branch: &mut Branch, contact: &Contact, ruid: &RuidFormat) {
        let put = |to: &mut Vec<u8>, from: &[u8]| {
            to.clear();
            to.extend_from_slice(from);
        };
        put(&mut branch.uri, contact.uri());
        put(&mut branch.path, contact.path());
        put(&mut branch.dst_uri, contact.received());
        if !contact.path().is_empty() {
            self.first_hop(core, branch);
        }
        branch.q = i32::from(contact.q);
        branch.flags = contact.cflags;
        branch.socket = contact.socket();
        put(&mut branch.instance, contact.instance());
        branch.reg_id = contact.reg_id;
        branch.ruid.clear();
        contact.write_ruid(ruid, &mut branch.ruid);
        put(&mut branch.location_ua, contact.user_agent());
    }

    fn first_hop(&self, core: &script::Core, branch: &mut Branch) {
        let path = std::mem::take(&mut branch.path);
        let mut hops = NameAddr::list(&path).filter_map(Result::ok);
        let mut from = 0;
        let mut first = hops.next();
        let is_local = |hop: &NameAddr<'_>| {
            Uri::parse(hop.uri)
                .is_ok_and(|u| core.is_myself(u.host, Some(u.port_or_default()), u.transport()))
        };
        if self.settings.path_check_local && first.as_ref().is_some_and(is_local) {
            // This server is the first hop: the rest of the path counts.
            first = hops.next();
            let at = first.map_or(path.len(), |hop| hop.text.as_ptr() as usize - path.as_ptr() as usize);
            from = at.min(path.len());
        }
        if let Some(hop) = first {
            branch.dst_uri.clear();
            branch.dst_uri.extend_from_slice(hop.uri);
        }
        branch.path.extend_from_slice(path.get(from..).unwrap_or_default());
    }

    /// `lookup_branches`: the Request-URI, then every branch that has nothing but a URI.
    pub(super) fn lookup_all(&self, ctx: &mut RouteContext<'_>, table: &[u8]) -> i64 {
        let before = std::mem::take(&mut ctx.branches);
        let result = self.lookup_as(ctx, table, None, Into::Target);
        for branch in before {
            let plain = branch.dst_uri.is_empty() && branch.path.is_empty() && branch.ruid.is_empty();
            if plain && self.lookup_as(ctx, table, Some(&branch.uri), Into::Branches) == FOUND {
                continue;
            }
            if ctx.branches.len() < ctx.core.config.max_branches {
                ctx.branches.push(branch);
            }
        }
        result
    }

    /// `lookup_xavp`: record and contacts into XAVPs, the destination set stays.
    pub(super) fn lookup_into_xavps(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
        record_name: &[u8],
        contacts_name: &[u8],
    ) -> i64 {
        let Some((domain, aor)) = self.named(ctx, table, uri) else { return NOT_FOUND };
        let now = unix(ctx.now);
        let mut contacts = Vec::new();
        let hash = domain.read(&aor, |record| {
            let record = record?;
            for contact in record.valid(now) {
                let mut fields = vec![
                    field("ruid", text(&contact.ruid_text(&domain.rules().ruid))),
                    field("contact", text(contact.uri())),
                    field("addr", text(contact.uri())),
                    field("expires", int(contact.expires)),
                    field("callid", text(contact.call_id())),
                    field("cseq", int(contact.cseq)),
                    field("q", int(contact.q)),
                    field("flags", int(contact.flags)),
                    field("cflags", int(contact.cflags)),
                    field("methods", int(contact.methods as i32)),
                    field("user_agent", text(contact.user_agent())),
                    field("modified", int(contact.modified)),
                    field("regid", int(contact.reg_id)),
                ];
                for (name, value) in [
                    ("received", contact.received()),
                    ("path", contact.path()),
                    ("instance", contact.instance()),
                ] {
                    if !value.is_empty() {
                        fields.push(field(name, text(value)));
                    }
                }
                contacts.push(VarValue::Xavp(fields));
            }
            Some(record.hash())
        });
        let Some(hash) = hash.filter(|_| !contacts.is_empty()) else { return NOT_FOUND };
        let record = VarValue::Xavp(vec![
            field("aor", text(&aor)),
            field("domain", text(domain.name())),
            field("aorhash", int(hash)),
            field("count", int(contacts.len() as i64)),
        ]);
        add_xavps(ctx, contacts_name, contacts);
        add_xavps(ctx, record_name, vec![record]);
        FOUND
    }

    /// Table and address-of-record that a function's arguments name.
    pub(super) fn named(
        &self,
        ctx: &RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
    ) -> Option<(std::sync::Arc<Domain>, Vec<u8>)> {
        let mut aor = Vec::new();
        if self.write_aor(uri, &mut aor).is_err() {
            tracing::debug!(target: "registrar", call_id = %String::from_utf8_lossy(ctx.message.call_id()), "not an address-of-record");
            return None;
        }
        Some((self.domains.look_into(table, &ctx.core.statistics, ctx.now)?, aor))
    }
}
