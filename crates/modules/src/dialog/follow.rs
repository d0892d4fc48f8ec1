//! What happens to requests, and what it makes of their dialog.

use std::sync::Arc;

use message::{HeaderName, Message, Method, NameAddr};
use script::hooks::tell;
use script::{DialogMoment, Interest, Moment, Pv, RouteContext, RouteKind};

use super::dialog::{Dialog, Direction, Facts, Leg, State, TIMEOUT_BYE, TIMEOUT_NORESET};
use super::table::Key;
use super::{DialogModule, Pending};

/// What a transaction tells about the INVITE of a dialog.
const WATCH: Interest = Interest::PROVISIONAL.or(Interest::FINAL).or(Interest::FREED);

/// Seconds an ended dialog is kept for late messages.
const LINGER: i64 = 5;

impl DialogModule {
    /// `dlg_manage`: makes the dialog of an INVITE, or finds that of a request within one.
    pub(super) fn manage(&self, ctx: &mut RouteContext<'_>) -> i64 {
        let to_tag = tag(ctx.message.to().ok());
        if !to_tag.is_empty() {
            let key = self.own_route_key(ctx);
            return if self.within(ctx, key) { 1 } else { -1 };
        }
        if ctx.message.method() != Method::Invite {
            return -1;
        }
        if ctx.kept.peek::<Dialog>().is_some() {
            return 1;
        }
        match self.make(ctx) {
            true => 1,
            false => -1,
        }
    }

    fn make(&self, ctx: &mut RouteContext<'_>) -> bool {
        let message = ctx.message.clone();
        let (Ok(from), Ok(to), Ok(cseq)) = (message.from(), message.to(), message.cseq()) else {
            return false;
        };
        let from_tag = from.tag().unwrap_or_default();
        if from_tag.is_empty() || message.call_id().is_empty() {
            return false;
        }
        if self.settings.detect_spirals
            && let Some((dialog, _)) = self.table.find(message.call_id(), from_tag, b"")
            && dialog.facts().state < State::Answered
        {
            self.mark(ctx, &dialog);
            ctx.kept.put(dialog);
            return true;
        }
        let now = unix(ctx);
        let pending = std::mem::take(ctx.slots.slot::<Pending>());
        let mut facts = Facts::new(now, pending.timeout.unwrap_or(self.settings.default_timeout));
        if let Some(seconds) = self.timeout_of(ctx) {
            facts.lifetime = seconds;
        }
        facts.vars = pending.vars;
        facts.flags = pending.flags;
        facts.properties = pending.properties
            | if self.settings.send_bye { TIMEOUT_BYE } else { 0 }
            | if self.settings.timeout_noreset { TIMEOUT_NORESET } else { 0 };
        facts.timeout_route = pending.timeout_route;
        facts.caller = Leg {
            contact: contact(&message),
            cseq: cseq.number,
            route_set: self.route_set(ctx, &message, false),
            socket: Some(ctx.inbound.socket),
        };
        let key = self.table.name(message.call_id());
        let request_uri = self.request_uri(ctx);
        let dialog = Arc::new(Dialog::new(
            key,
            message.call_id(),
            from_tag,
            from.uri,
            to.uri,
            &request_uri,
            cseq.number,
            facts,
        ));
        if !self.table.insert(dialog.clone()) {
            tracing::error!(target: "dialog", call_id = %String::from_utf8_lossy(message.call_id()), "too many dialogs: this call is not tracked");
            return false;
        }
        self.counters.processed();
        self.table.schedule(&dialog, now + i64::from(self.settings.early_timeout));
        self.mark(ctx, &dialog);
        ctx.kept.put(dialog);
        tell(ctx, &Moment::Dialog(DialogMoment::Made));
        true
    }

    /// The parameter that later requests bring back, and what is to be heard of this one.
    fn mark(&self, ctx: &mut RouteContext<'_>, dialog: &Dialog) {
        if self.settings.dlg_match_mode != 2 {
            let param = format!(";{}={}", self.settings.rr_param, cookie((dialog.entry, dialog.id)));
            crate::rr::add_param(ctx, param.as_bytes());
        }
        ctx.watch = ctx.watch | WATCH;
        if ctx.transaction.is_some() {
            ctx.transactions.update(ctx);
        }
    }

    fn request_uri(&self, ctx: &RouteContext<'_>) -> Vec<u8> {
        match ctx.core.registry.parse_pv(self.settings.ruri_pvar.as_bytes()) {
            Ok(pv) if !pv.get(ctx).is_null() => pv.get(ctx).to_text().into_owned(),
            _ => ctx.request_uri().to_vec(),
        }
    }

    /// `timeout_avp`, when it has a number.
    fn timeout_of(&self, ctx: &RouteContext<'_>) -> Option<u32> {
        let name = self.settings.timeout_avp.as_deref().filter(|n| !n.is_empty())?;
        let pv: &Pv =
            self.timeout_pv.get_or_init(|| ctx.core.registry.parse_pv(name.as_bytes()).ok()).as_ref()?;
        u32::try_from(pv.get(ctx).to_int()?).ok().filter(|seconds| *seconds > 0)
    }

    /// Values of Record-Route without those of this server. In a reply they stand in the order from the callee.
    fn route_set(&self, ctx: &RouteContext<'_>, message: &Message, of_callee: bool) -> Box<[u8]> {
        let keep = match of_callee {
            true => self.settings.keep_proxy_rr & 1 != 0,
            false => self.settings.keep_proxy_rr & 2 != 0,
        };
        let mut values: Vec<&[u8]> = Vec::new();
        for header in message.headers_named(HeaderName::RecordRoute) {
            for address in NameAddr::list(header.value).flatten() {
                if keep || !ctx.is_myself_uri(address.uri) {
                    values.push(address.text);
                }
            }
        }
        if of_callee {
            // The values before ours lead to the caller, those behind it to the callee; the route set of the caller's requests is read
            // from the bottom (RFC 3261 §12.1.2).
            let request: Vec<&[u8]> = ctx
                .message
                .headers_named(HeaderName::RecordRoute)
                .flat_map(|h| NameAddr::list(h.value).flatten().map(|a| a.text).collect::<Vec<_>>())
                .collect();
            values.retain(|v| !request.contains(v));
            values.reverse();
        }
        values.join(&b","[..]).into()
    }

    // The INVITE's transaction.

    /// Whether the context's request is the INVITE that made its dialog.
    fn initial(&self, ctx: &RouteContext<'_>) -> Option<Arc<Dialog>> {
        let dialog = ctx.kept.get::<Dialog>()?;
        let message = &ctx.message;
        let mine = message.method() == Method::Invite
            && tag(message.to().ok()).is_empty()
            && *dialog.call_id == *message.call_id()
            && *dialog.from_tag == *tag(message.from().ok());
        mine.then_some(dialog)
    }

    pub(super) fn provisional(&self, ctx: &mut RouteContext<'_>) {
        let Some(dialog) = self.initial(ctx) else { return };
        let mut facts = dialog.facts();
        if facts.state == State::Unconfirmed {
            facts.state = State::Early;
            self.counters.early(1);
        }
    }

    pub(super) fn finished(&self, ctx: &mut RouteContext<'_>) {
        let Some(dialog) = self.initial(ctx) else { return };
        if ctx.reply_code < 300 {
            self.answered(ctx, &dialog);
        } else {
            self.failed(ctx, &dialog);
        }
    }

    fn answered(&self, ctx: &mut RouteContext<'_>, dialog: &Arc<Dialog>) {
        let now = unix(ctx);
        let reply = ctx.reply.clone();
        let to_tag = match &reply {
            Some(reply) => tag(reply.to().ok()).to_vec(),
            None => ctx.transactions.to_tag(ctx, false).unwrap_or_default(),
        };
        let callee = Leg {
            contact: reply.as_deref().map(contact).unwrap_or_default(),
            cseq: 0,
            route_set: reply.as_deref().map(|r| self.route_set(ctx, r, true)).unwrap_or_default(),
            socket: self.callee_socket(ctx),
        };
        let due = {
            let mut facts = dialog.facts();
            if facts.state >= State::Answered {
                // Another callee answered too, or the 2xx came again.
                return;
            }
            if facts.state == State::Early {
                self.counters.early(-1);
            }
            facts.state = if self.settings.wait_ack { State::Answered } else { State::Confirmed };
            facts.to_tag = to_tag.into();
            facts.callee = callee;
            facts.started = now;
            facts.timeout = now + i64::from(facts.lifetime);
            if self.settings.ka_interval > 0 {
                facts.keepalive = now + i64::from(self.settings.ka_interval);
            }
            self.next_look(&facts)
        };
        self.table.schedule(dialog, due);
        self.changed(dialog);
        // As in Kamailio, who hears of it is not counted yet, nor any more when it ends.
        self.happened(ctx, DialogMoment::Confirmed, Some("dialog:start"));
        self.counters.active(1);
    }

    fn callee_socket(&self, ctx: &RouteContext<'_>) -> Option<transaction::SocketId> {
        let mut socket = None;
        ctx.transactions.view(ctx, &mut |view| {
            socket = view.and_then(|v| v.branch(ctx.branch_index)).map(|b| b.hop.socket);
        });
        socket.or(Some(ctx.inbound.socket))
    }

    fn failed(&self, ctx: &mut RouteContext<'_>, dialog: &Arc<Dialog>) {
        let Some(before) = self.end(dialog, unix(ctx), State::Answered) else { return };
        self.happened(ctx, DialogMoment::Failed, Some("dialog:failed"));
        self.counters.failed();
        self.counters.left(before);
    }

    /// The INVITE's transaction is gone; without a final reply its dialog never began.
    pub(super) fn freed(&self, ctx: &mut RouteContext<'_>) {
        if let Some(dialog) = self.initial(ctx) {
            self.failed(ctx, &dialog);
        }
    }

    /// A request that got a dialog but no transaction was answered or dropped without one: nothing will be heard of it again.
    pub(super) fn route_ended(&self, ctx: &mut RouteContext<'_>) {
        if ctx.transaction.is_some() {
            return;
        }
        let Some(dialog) = self.initial(ctx).filter(|d| d.facts().state == State::Unconfirmed) else {
            return;
        };
        if let Some(before) = self.end(&dialog, unix(ctx), State::Answered) {
            self.counters.left(before);
        }
        self.table.remove(&dialog);
    }

    /// Ends a dialog that has not come as far as `limit`: the state it was in, for [`Counters::left`](super::Counters::left) when everybody has
    /// heard of it.
    pub(super) fn end(&self, dialog: &Arc<Dialog>, now: i64, limit: State) -> Option<State> {
        let before;
        {
            let mut facts = dialog.facts();
            before = facts.state;
            if before >= limit {
                return None;
            }
            facts.state = State::Ended;
            facts.ended = now;
            facts.timeout = 0;
            self.profiles.leave_all(&mut facts);
        }
        self.table.schedule(dialog, now + LINGER.min(i64::from(self.settings.end_timeout)));
        self.changed(dialog);
        Some(before)
    }

    // Requests within.

    /// The name of the dialog in our own Route.
    fn own_route_key(&self, ctx: &RouteContext<'_>) -> Option<Key> {
        crate::rr::own_params(ctx).and_then(|params| self.key_in(params))
    }

    pub(super) fn key_in(&self, params: &[u8]) -> Option<Key> {
        parse_cookie(message::Params(params).get(&self.settings.rr_param)?.value?)
    }

    /// `loose_route` followed a Route set.
    pub(super) fn loose_routed(&self, ctx: &mut RouteContext<'_>, params: &[u8]) {
        let key = self.key_in(params);
        if !tag(ctx.message.to().ok()).is_empty() {
            self.within(ctx, key);
        }
    }

    /// A request within a dialog: whether it is one of ours.
    fn within(&self, ctx: &mut RouteContext<'_>, key: Option<Key>) -> bool {
        let message = ctx.message.clone();
        let (from_tag, to_tag) = (tag(message.from().ok()), tag(message.to().ok()));
        let by_name = || {
            let dialog = self.table.get(key?)?;
            let direction = dialog.direction(message.call_id(), from_tag, to_tag)?;
            Some((dialog, direction))
        };
        let by_tags = || self.table.find(message.call_id(), from_tag, to_tag);
        let found = match self.settings.dlg_match_mode {
            0 => by_name(),
            1 => by_name().or_else(by_tags),
            _ => by_tags(),
        };
        let Some((dialog, direction)) = found else { return false };
        let again = ctx.kept.peek::<Dialog>().is_some_and(|known| std::ptr::eq(known, &*dialog));
        ctx.kept.put(dialog.clone());
        if again && dialog.facts().direction == Some(direction) && ctx.slots.peek::<Followed>().is_some() {
            return true;
        }
        ctx.slots.slot::<Followed>();
        self.follow(ctx, &dialog, direction);
        true
    }

    fn follow(&self, ctx: &mut RouteContext<'_>, dialog: &Arc<Dialog>, direction: Direction) {
        let now = unix(ctx);
        let method = ctx.message.method();
        let cseq = ctx.message.cseq().map_or(0, |c| c.number);
        let new_timeout = self.timeout_of(ctx);
        {
            let mut facts = dialog.facts();
            facts.direction = Some(direction);
            let leg = if direction == Direction::Downstream { &mut facts.caller } else { &mut facts.callee };
            if method != Method::Ack {
                leg.cseq = leg.cseq.max(cseq);
            }
        }
        match method {
            Method::Bye => {
                let confirmed = dialog.facts().started != 0;
                if let Some(before) = self.end(dialog, now, State::Ended) {
                    if confirmed {
                        self.happened(ctx, DialogMoment::Ended, Some("dialog:end"));
                    }
                    self.counters.left(before);
                }
            }
            Method::Ack => {
                let first = {
                    let mut facts = dialog.facts();
                    let first = facts.state == State::Answered;
                    if first {
                        facts.state = State::Confirmed;
                    }
                    first
                };
                if first {
                    let due = self.next_look(&dialog.facts());
                    self.table.schedule(dialog, due);
                    self.changed(dialog);
                    self.happened(ctx, DialogMoment::Acknowledged, None);
                }
            }
            Method::Cancel | Method::Prack => {}
            _ => {
                let mut facts = dialog.facts();
                if let Some(seconds) = new_timeout {
                    facts.lifetime = seconds;
                }
                let lasting = facts.state == State::Confirmed || facts.state == State::Answered;
                if lasting && (new_timeout.is_some() || facts.properties & TIMEOUT_NORESET == 0) {
                    facts.timeout = now + i64::from(facts.lifetime);
                    let due = facts.timeout;
                    drop(facts);
                    self.table.schedule(dialog, due);
                    self.changed(dialog);
                }
            }
        }
    }

    // Telling.

    /// Other modules and the script's event callback hear of it. They see the reply, where there is one.
    pub(super) fn happened(&self, ctx: &mut RouteContext<'_>, what: DialogMoment, event: Option<&str>) {
        if let Some(event) = event {
            self.run_event(ctx, event);
        }
        tell(ctx, &Moment::Dialog(what));
    }

    pub(super) fn run_event(&self, ctx: &mut RouteContext<'_>, event: &str) {
        let Some(name) = self.settings.event_callback.as_deref().filter(|n| !n.is_empty()) else { return };
        let Some(callback) = ctx.core.callbacks.intern(name.as_bytes()) else { return };
        let message = ctx.reply.clone().map(|reply| std::mem::replace(&mut ctx.message, reply));
        let kind = std::mem::replace(&mut ctx.kind, RouteKind::Event);
        let engine = ctx.engine;
        engine.run_event(callback, event, ctx);
        ctx.kind = kind;
        if let Some(message) = message {
            ctx.message = message;
        }
    }
}

/// The request was followed already: `loose_route` and `dlg_manage` both come here.
#[derive(Default)]
struct Followed;

/// `h_entry.h_id`, each in hexadecimal digits from the last to the first.
pub(super) fn cookie(key: Key) -> String {
    let backwards = |n: u32| format!("{n:x}").chars().rev().collect::<String>();
    format!("{}.{}", backwards(key.0), backwards(key.1))
}

/// Reads what [`cookie`] wrote.
pub(super) fn parse_cookie(text: &[u8]) -> Option<Key> {
    let mut parts = text.split(|b| *b == b'.').map(|part| {
        if part.is_empty() || part.len() > 8 {
            return None;
        }
        part.iter().rev().try_fold(0_u32, |n, b| Some(n << 4 | (*b as char).to_digit(16)?))
    });
    let key = (parts.next()??, parts.next()??);
    parts.next().is_none().then_some(key)
}

pub(super) fn tag(address: Option<NameAddr<'_>>) -> &[u8] {
    address.and_then(|a| a.tag()).unwrap_or_default()
}

pub(super) fn contact(message: &Message) -> Box<[u8]> {
    match message.addresses(HeaderName::Contact).next() {
        Some(Ok(address)) => address.uri.into(),
        _ => Box::default(),
    }
}

pub(super) fn unix(ctx: &RouteContext<'_>) -> i64 {
    super::seconds(ctx.now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_written_as_kamailio_writes_them() {
        assert_eq!(cookie((1231, 7144)), "fc4.8eb1");
        assert_eq!(parse_cookie(b"fc4.8eb1"), Some((1231, 7144)));
        for bad in ["", ".", "1", "1.", "1.2.3", "123456789.1", "g.1"] {
            assert_eq!(parse_cookie(bad.as_bytes()), None, "{bad}");
        }
    }
}
