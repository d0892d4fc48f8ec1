//! `save()`: a REGISTER into the location table (RFC 3261 §10.3), completely or not at all.

use std::hash::{DefaultHasher, Hasher};

use message::{HeaderName, Message, NameAddr, Uri, grammar};
use script::vars::VarValue;
use script::{RouteContext, RouteKind, Value};
use transaction::SocketId;

use super::reply::{Gruu, Prepared, host_of, write_number, write_row};
use super::request::{Contacts, Problem, Wanted, allowed, has_option, method_bits, path};
use super::{Registrar, save_flags};
use crate::nathelper;
use crate::usrloc::contact::Attributes;
use crate::usrloc::{ContactInfo, Domain, Entry, Record, SaveError, Sequence, parse_socket, unix};

/// Results of `save` that scripts see.
const INSERTED: i64 = 1;
const UPDATED: i64 = 2;
const DELETED: i64 = 3;
const FETCHED: i64 = 4;
const REFUSED: i64 = -1;
const TOO_MANY: i64 = -2;

/// Buffers of a worker, kept between messages.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub aor: Vec<u8>,
    pub rows: Vec<u8>,
}

impl Scratch {
    pub fn take(ctx: &RouteContext<'_>) -> Scratch {
        std::mem::take(ctx.worker.slots.borrow_mut().slot::<Scratch>())
    }
    pub fn give_back(self, ctx: &RouteContext<'_>) {
        *ctx.worker.slots.borrow_mut().slot::<Scratch>() = self;
    }
}

/// What a script set for the `save` of this message.
#[derive(Debug, Default)]
pub(super) struct SaveOptions {
    /// `set_q_override`.
    pub q: Option<i16>,
}

/// A REGISTER with everything that goes into its bindings.
struct Request<'a> {
    contacts: &'a [Wanted<'a>],
    call_id: &'a [u8],
    cseq: u32,
    now: u32,
    flags: i64,
    header_expires: Option<u32>,
    expires: Option<u32>,
    q: Option<i16>,
    max_contacts: u32,
    random: u64,
    received: &'a [u8],
    path: &'a [u8],
    user_agent: &'a [u8],
    methods: u32,
    socket: Option<SocketId>,
    cflags: u32,
    attributes: Option<Attributes>,
}

/// What the headers of the answer besides Contact depend on.
#[derive(Default)]
struct Extensions {
    path: Vec<u8>,
    path_supported: bool,
    outbound: bool,
}

impl Registrar {
    /// `save(table, flags, uri)`; an empty `uri` is the To URI.
    pub(super) fn save_as(&self, ctx: &mut RouteContext<'_>, table: &[u8], flags: i64, uri: &[u8]) -> i64 {
        let message = ctx.message.clone();
        let mut scratch = Scratch::take(ctx);
        scratch.rows.clear();
        let mut extensions = Extensions::default();
        let result = self.store(ctx, &message, table, flags, uri, &mut extensions, &mut scratch);
        let counters = self.counters(&ctx.core.statistics);
        let (code, reason, outcome) = match result {
            Ok(outcome) => {
                counters.accepted.inc();
                self.write_extensions(&extensions, &mut scratch.rows);
                (200, "OK", outcome)
            }
            Err(problem) => {
                counters.rejected.inc();
                tracing::info!(
                    target: "registrar",
                    call_id = %String::from_utf8_lossy(message.call_id()),
                    code = problem.code,
                    "REGISTER refused: {}", problem.why
                );
                self.write_problem(problem, &extensions.path, &mut scratch.rows);
                (problem.code, problem.reason, if problem == Problem::TOO_MANY { TOO_MANY } else { REFUSED })
            }
        };
        if matches!(ctx.kind, RouteKind::Reply | RouteKind::OnReply) {
            // The answer is on its way already; nobody asked for another.
        } else if flags & save_flags::NO_REPLY == 0 {
            Registrar::send(ctx, code, reason, &scratch.rows);
        } else {
            let now = flags & save_flags::HEADERS != 0;
            if now {
                ctx.edits.append_to_reply(&scratch.rows);
            }
            let rows = if now { Vec::new() } else { scratch.rows.clone() };
            *ctx.slots.slot::<Option<Prepared>>() = Some(Prepared { code, reason, rows });
        }
        scratch.give_back(ctx);
        outcome
    }

    #[allow(clippy::too_many_arguments)]
    fn store(
        &self,
        ctx: &mut RouteContext<'_>,
        message: &Message,
        table: &[u8],
        flags: i64,
        uri: &[u8],
        extensions: &mut Extensions,
        scratch: &mut Scratch,
    ) -> Result<i64, Problem> {
        let to = message.to().map_err(|_| Problem::AOR)?;
        let uri = Uri::parse(if uri.is_empty() { to.uri } else { uri }).map_err(|_| Problem::AOR)?;
        if uri.scheme == message::Scheme::Other {
            return Err(Problem::NOT_OURS);
        }
        self.aor_of(&uri, &mut scratch.aor).map_err(|_| Problem::AOR)?;
        let domain = self.domains.open(table, &ctx.core.statistics, ctx.now).ok_or(Problem::NO_TABLE)?;
        let result = self.bind(ctx, message, flags, extensions, &domain, scratch);
        if result.is_err_and(Problem::lists_bindings) {
            let now = unix(ctx.now);
            domain.read(&scratch.aor, |r| {
                if let Some(r) = r {
                    self.write_contacts(r.contacts().iter(), &domain, None, now, &mut scratch.rows);
                }
            });
        }
        result
    }

    fn bind(
        &self,
        ctx: &mut RouteContext<'_>,
        message: &Message,
        flags: i64,
        extensions: &mut Extensions,
        domain: &Domain,
        scratch: &mut Scratch,
    ) -> Result<i64, Problem> {
        let mut contacts = Contacts::read(message)?;
        if let Contacts::List(list) = &mut contacts {
            // What nathelper wrote into the Contact is what is bound.
            for wanted in list {
                wanted.uri = nathelper::contact::rewritten(ctx, wanted.uri).unwrap_or(wanted.uri);
            }
        }
        self.check_extensions(message, &contacts, extensions)?;
        let cseq = message.cseq().map_err(|_| Problem::CSEQ_HEADER)?.number;
        let (received, nat) = self.received(ctx, &extensions.path);
        let now = unix(ctx.now);
        let request = Request {
            contacts: match &contacts {
                Contacts::List(list) => list,
                _ => &[],
            },
            call_id: message.call_id(),
            cseq,
            now,
            flags,
            header_expires: message.expires(),
            expires: self.config_number(ctx, "expires"),
            q: self.q_override(ctx),
            max_contacts: self.config_number(ctx, "max_contacts").unwrap_or(self.settings.max_contacts),
            random: self.random(ctx),
            received: &received,
            path: &extensions.path,
            user_agent: message.header(HeaderName::UserAgent).map_or(b"n/a", |h| h.value),
            methods: allowed(message),
            socket: self.socket(ctx, message),
            cflags: ctx.target.flags | if nat { self.domains.nat_flag() } else { 0 },
            attributes: self.attributes(ctx),
        };
        let gruu_host = if self.settings.gruu_enabled && has_option(message, HeaderName::Supported, "gruu") {
            message.to().ok().map(|to| host_of(to.uri))
        } else {
            None
        };
        let (aor, rows) = (&scratch.aor, &mut scratch.rows);
        let mut found = Vec::new();
        let saved = domain.save(aor, |entry| {
            let outcome = match &contacts {
                Contacts::None => Ok(FETCHED),
                Contacts::Star => self.remove_all(entry, &request),
                Contacts::List(_) => self.bind_all(entry, &request, domain, &mut found),
            }?;
            let gruu = gruu_host.map(|host| Gruu { aor, hash: entry.hash(), host });
            self.write_contacts(entry.contacts().iter(), domain, gruu, now, rows);
            Ok(outcome)
        });
        let outcome = saved.map_err(|e| {
            rows.clear();
            match e {
                SaveError::Refused(problem) => problem,
                SaveError::Database(store::Error::Unavailable(_)) => Problem::AWAY,
                SaveError::Database(_) => Problem::NOT_KEPT,
            }
        })?;
        self.tell(ctx, found);
        Ok(outcome)
    }

    /// "If [the Call-ID] does agree, it MUST remove the binding only if the CSeq in the request is higher than the value stored for that
    /// binding. Otherwise, the update MUST be aborted and the request fails." Kamailio removes regardless.
    fn remove_all(&self, entry: &mut Entry<'_>, request: &Request<'_>) -> Result<i64, Problem> {
        let stale = |c: &crate::usrloc::Contact| c.call_id() == request.call_id && c.cseq >= request.cseq;
        if entry.contacts().iter().any(|c| c.is_valid(request.now) && stale(c)) {
            return Err(Problem::CSEQ);
        }
        entry.record().clear();
        Ok(DELETED)
    }

    /// All contacts or none: "The binding updates MUST be committed if and only if all binding updates and additions succeed."
    fn bind_all(
        &self,
        entry: &mut Entry<'_>,
        request: &Request<'_>,
        domain: &Domain,
        found: &mut Vec<VarValue>,
    ) -> Result<i64, Problem> {
        let one = request.flags & save_flags::ONE_CONTACT != 0;
        let list = if one { self.last_wanted(request) } else { request.contacts };
        self.check_all(entry, request, domain, list, one)?;
        let mut outcome = INSERTED;
        for wanted in list {
            let expires = self.expiry(request, wanted)?;
            let info = self.info(request, wanted, expires);
            let known = entry.position(&info);
            let at = match known {
                Some(at) if expires == 0 => {
                    if self.sequence(entry, at, request, domain) == Sequence::Newer {
                        entry.record().remove(at);
                        outcome = DELETED;
                    }
                    continue;
                }
                Some(at) => {
                    if self.sequence(entry, at, request, domain) != Sequence::Newer {
                        // A retransmission, or the same contact twice in one request: it stays as it is.
                        continue;
                    }
                    outcome = UPDATED;
                    entry.update(at, &info)
                }
                None if expires == 0 => continue,
                None => {
                    outcome = INSERTED;
                    entry.insert(&info)
                }
            };
            let at = at.map_err(|_| Problem::TOO_LONG)?;
            let Some(contact) = entry.record().contact(at) else { continue };
            if self.domains.xavp_contact().is_some() {
                contact.set_attributes(request.attributes.clone().unwrap_or_default());
            }
            if self.settings.xavp_rcd.is_some() {
                found.extend(self.found(contact, &domain.rules().ruid, request.now));
            }
            if one {
                let ruid = contact.ruid();
                entry.record().retain(|c| c.ruid() == ruid);
            }
        }
        Ok(outcome)
    }

    /// Whether every contact can be bound; changes nothing.
    fn check_all(
        &self,
        entry: &Entry<'_>,
        request: &Request<'_>,
        domain: &Domain,
        list: &[Wanted<'_>],
        one: bool,
    ) -> Result<(), Problem> {
        let (mut added, mut removed) = (0, 0);
        for (i, wanted) in list.iter().enumerate() {
            let expires = self.expiry(request, wanted)?;
            let info = self.info(request, wanted, expires);
            let size = info.path.len() + info.instance.len() + info.call_id.len();
            let longest = self.settings.contact_max_size as usize;
            if info.uri.len() > longest
                || info.received.len() > longest
                || size + 2 * longest > usize::from(u16::MAX)
            {
                return Err(Problem::TOO_LONG);
            }
            let known = entry
                .position(&info)
                .filter(|at| entry.contacts().get(*at).is_some_and(|c| c.is_valid(request.now)));
            let Some(at) = known else {
                let twin = list.iter().take(i).any(|w| w.uri == wanted.uri && w.instance == wanted.instance);
                added += usize::from(expires > 0 && !twin);
                continue;
            };
            match self.sequence(entry, at, request, domain) {
                Sequence::Older => return Err(Problem::CSEQ),
                Sequence::Newer => removed += usize::from(expires == 0),
                Sequence::Repeated => {}
            }
        }
        if added == 0 || one {
            return Ok(());
        }
        let current = entry.contacts().iter().filter(|c| c.is_valid(request.now)).count();
        let limit = match request.max_contacts {
            0 => Record::LIMIT,
            n => Record::LIMIT.min(n as usize),
        };
        if (current + added).saturating_sub(removed) > limit || domain.is_full() {
            return Err(Problem::TOO_MANY);
        }
        Ok(())
    }

    /// With "one contact per AoR" only the last contact of the request counts.
    fn last_wanted<'r>(&self, request: &'r Request<'_>) -> &'r [Wanted<'r>] {
        let live = request
            .contacts
            .iter()
            .position(|w| w.expires.or(request.header_expires) != Some(0))
            .unwrap_or(0);
        request.contacts.get(live..live + 1).unwrap_or_default()
    }

    /// A binding that has ended no longer holds back anything.
    fn sequence(&self, entry: &Entry<'_>, at: usize, request: &Request<'_>, domain: &Domain) -> Sequence {
        match entry.contacts().get(at) {
            Some(c) if c.is_valid(request.now) => {
                Record::sequence(c, request.call_id, request.cseq, request.now, domain.rules().cseq_delay)
            }
            _ => Sequence::Newer,
        }
    }

    fn info<'r>(&self, request: &'r Request<'_>, wanted: &Wanted<'r>, expires: u32) -> ContactInfo<'r> {
        let instance = if self.settings.gruu_enabled { wanted.instance } else { &[] };
        ContactInfo {
            uri: wanted.uri,
            received: wanted.received.unwrap_or(request.received),
            path: request.path,
            call_id: request.call_id,
            instance,
            user_agent: request.user_agent,
            expires: request.now.saturating_add(expires),
            cseq: request.cseq,
            q: request.q.or(wanted.q).unwrap_or(self.settings.q()),
            flags: u32::from(request.flags & save_flags::MEMORY_ONLY != 0),
            cflags: request.cflags,
            methods: wanted.methods.map_or(request.methods, method_bits),
            reg_id: if instance.is_empty() { 0 } else { wanted.reg_id },
            socket: request.socket,
            connection: -1,
            modified: request.now,
        }
    }

    /// How long a binding lasts, 0 when it is to go: "expires" of the contact, else the Expires header, else the default; within the
    /// limits.
    fn expiry(&self, request: &Request<'_>, wanted: &Wanted<'_>) -> Result<u32, Problem> {
        let settings = &self.settings;
        let asked = wanted.expires.or(request.header_expires);
        if asked == Some(0) {
            return Ok(0);
        }
        let (mut expires, range) = match request.expires.or(asked) {
            Some(0) => return Ok(0),
            Some(n) => (n, settings.expires_range),
            None => (settings.default_expires, settings.default_expires_range),
        };
        if expires < settings.min_expires {
            if settings.min_expires_mode != 0 {
                return Err(Problem::BRIEF);
            }
            expires = settings.min_expires;
        }
        if settings.max_expires > 0 {
            expires = expires.min(settings.max_expires);
        }
        if range > 0 && request.flags & save_flags::NO_RANGE == 0 {
            let most = u64::from(expires) * u64::from(range.min(100)) / 100;
            expires -= (request.random % (most + 1)) as u32;
            expires = expires.max(settings.min_expires.max(1));
        }
        Ok(expires)
    }

    fn random(&self, ctx: &RouteContext<'_>) -> u64 {
        if self.settings.default_expires_range == 0 && self.settings.expires_range == 0 {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(ctx.core.config.seed);
        hasher.write_u64(ctx.now.unix_micros);
        hasher.write(ctx.message.call_id());
        hasher.finish()
    }

    fn q_override(&self, ctx: &RouteContext<'_>) -> Option<i16> {
        let by_function = ctx.slots.peek::<SaveOptions>().and_then(|o| o.q);
        let by_xavp = || self.config_number(ctx, "q").filter(|q| *q <= 1000).map(|q| q as i16);
        by_function.or_else(by_xavp)
    }

    /// Where the REGISTER came from, and whether the contact counts as behind NAT for it.
    fn received(&self, ctx: &RouteContext<'_>, path: &[u8]) -> (Vec<u8>, bool) {
        if self.settings.path_use_received
            && let Some(Ok(first)) = NameAddr::list(path).next()
            && let Ok(uri) = Uri::parse(first.uri)
            && let Some(received) = uri.params.get("received").and_then(|p| p.value)
        {
            return (grammar::unescape(received).into_owned(), true);
        }
        let received = match self.received_pv(ctx.core).map(|pv| pv.get(ctx)) {
            Some(Value::Str(text)) => text.into_owned(),
            _ => Vec::new(),
        };
        (received, false)
    }

    fn socket(&self, ctx: &RouteContext<'_>, message: &Message) -> Option<SocketId> {
        let listeners = &ctx.core.listeners;
        let given = self.config_text(ctx, "socket");
        let by_header = || {
            let flag = u32::try_from(self.settings.sock_flag).ok()?;
            let name = self.settings.sock_hdr_name.as_deref()?;
            let set = ctx.flags & 1u32.checked_shl(flag)? != 0;
            let header = message.headers_by_text(name.as_bytes()).next().filter(|_| set)?;
            parse_socket(listeners, header.value)
        };
        given.and_then(|text| parse_socket(listeners, &text)).or_else(by_header).or(Some(ctx.inbound.socket))
    }

    fn attributes(&self, ctx: &RouteContext<'_>) -> Option<Attributes> {
        let class = self.domains.xavp_contact()?;
        ctx.vars.as_ref()?.with(|lists| {
            match lists.xavps.iter().find(|(n, _)| n.as_ref() == class).map(|(_, v)| v) {
                Some(VarValue::Xavp(fields)) => Some(fields.clone()),
                _ => None,
            }
        })
    }

    /// Path (RFC 3327) and outbound (RFC 5626): what the client supports and what is asked of it.
    fn check_extensions(
        &self,
        message: &Message,
        contacts: &Contacts<'_>,
        extensions: &mut Extensions,
    ) -> Result<(), Problem> {
        let settings = &self.settings;
        if settings.use_path && message.header(HeaderName::Path).is_some() {
            extensions.path = path(message);
            extensions.path_supported = has_option(message, HeaderName::Supported, "path");
            if settings.path_mode == 2 && !extensions.path_supported {
                return Err(Problem::PATH);
            }
        }
        let required = || has_option(message, HeaderName::Require, "outbound");
        if settings.outbound_mode == 0 {
            return if required() { Err(Problem::OUTBOUND) } else { Ok(()) };
        }
        let supported = has_option(message, HeaderName::Supported, "outbound") || required();
        if settings.outbound_mode == 2 && !supported {
            return Err(Problem::NEED_OUTBOUND);
        }
        let flow = matches!(contacts, Contacts::List(list) if list.iter().any(|w| w.reg_id > 0));
        extensions.outbound = supported && flow;
        // §6: not directly from the client, and the proxy next to it (which added the last Path value) has no "ob".
        if extensions.outbound && message.vias().nth(1).is_some() {
            let edge = message.addresses(HeaderName::Path).last();
            let ob = edge
                .and_then(Result::ok)
                .and_then(|a| Uri::parse(a.uri).ok())
                .is_some_and(|u| u.params.get("ob").is_some());
            if !ob {
                return Err(Problem::FIRST_HOP);
            }
        }
        Ok(())
    }

    fn write_extensions(&self, extensions: &Extensions, rows: &mut Vec<u8>) {
        let settings = &self.settings;
        if settings.path_mode > 0 && extensions.path_supported && !extensions.path.is_empty() {
            write_row(b"Path", &extensions.path, rows);
        }
        if settings.outbound_mode > 0 {
            rows.extend_from_slice(b"Supported: outbound\r\n");
        }
        if extensions.outbound {
            rows.extend_from_slice(b"Require: outbound\r\n");
            if settings.flow_timer > 0 {
                rows.extend_from_slice(b"Flow-Timer: ");
                write_number(settings.flow_timer, rows);
                rows.extend_from_slice(b"\r\n");
            }
        }
    }
}

impl Problem {
    /// Kamailio lists the bindings in refusals that were found after they had been looked up.
    fn lists_bindings(self) -> bool {
        [Problem::CSEQ, Problem::Q, Problem::REG_ID, Problem::TOO_MANY, Problem::PATH, Problem::BRIEF]
            .contains(&self)
    }
}
