//! Pings: who gets one, what their answers change, and the events that come of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use script::{LocalEnd, RouteContext, Services, Tell, UacRequest};
use transaction::{Now, Timestamp, Timing};

use super::destination::{Change, Destination, state};
use super::{Dispatcher, select};

/// Most events waiting for their callback; further ones are not told, which is logged.
const EVENTS_LIMIT: usize = 10_000;

/// A ping that is under way.
#[derive(Debug, Clone)]
struct Sent {
    set: i64,
    uri: String,
    at: Timestamp,
}

/// An event: what changed, and the code of the reply that changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `dispatcher:dst-down` or `dispatcher:dst-up`.
    pub name: &'static str,
    /// URI of the destination.
    pub uri: String,
    /// Status code; 820 for a change that a function made.
    pub code: u16,
}

/// `$dsv(code)` of an event.
#[derive(Debug, Clone, Default)]
pub struct Shown(pub Option<u16>);

/// What is under way.
#[derive(Debug, Default)]
pub struct Pings {
    sent: Mutex<(u64, HashMap<u64, Sent>)>,
    events: Mutex<VecDeque<Event>>,
}

impl Pings {
    fn sent(&self) -> MutexGuard<'_, (u64, HashMap<u64, Sent>)> {
        self.sent.lock().unwrap_or_else(|e| e.into_inner())
    }
    fn events(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.events.lock().unwrap_or_else(|e| e.into_inner())
    }
}

pub(super) fn event_name(change: Change) -> Option<&'static str> {
    match change {
        Change::Same => None,
        Change::Down => Some("dispatcher:dst-down"),
        Change::Up => Some("dispatcher:dst-up"),
    }
}

impl Dispatcher {
    fn is_pinged(&self, d: &Destination) -> bool {
        let flags = d.state();
        if flags & (state::DISABLED | state::NO_PING) != 0 {
            return false;
        }
        match self.settings.ds_probing_mode {
            1 => true,
            2 => flags & state::INACTIVE != 0 && flags & state::PROBING != 0,
            _ => flags & state::PROBING != 0,
        }
    }

    /// Sends a ping to everybody whose turn it is.
    pub(super) fn ping_all(&self, services: &Services<'_>, now: Now) {
        /// A ping whose end was never told, whatever happened to it, is forgotten after this.
        const FORGOTTEN: Duration = Duration::from_secs(600);
        let Some(mut ctx) = RouteContext::stand_in(services, now) else { return };
        self.pings.sent().1.retain(|_, sent| now.mono.since(sent.at) < FORGOTTEN);
        let sets = self.sets();
        for set in sets.all() {
            for d in set.list.iter().filter(|d| self.is_pinged(d)) {
                self.ping(&mut ctx, set.id, d);
            }
        }
    }

    fn ping(&self, ctx: &mut RouteContext<'_>, set: i64, d: &Destination) {
        let token = {
            let mut sent = self.pings.sent();
            let token = sent.0;
            sent.0 += 1;
            sent.1.insert(token, Sent { set, uri: d.uri.clone(), at: ctx.now.mono });
            token
        };
        let or = |own: &str, general: Option<&str>| match own {
            "" => general.unwrap_or_default().to_owned(),
            own => own.to_owned(),
        };
        let from = or(&d.attributes.ping_from, Some(&self.settings.ds_ping_from));
        let tag =
            select::hash(&[&token.to_be_bytes(), &ctx.core.config.seed.to_be_bytes(), d.uri.as_bytes()]);
        let rows = format!("To: <{}>\r\nFrom: <{from}>;tag=ds-{tag:08x}-{token:x}\r\n", d.uri);
        let next_hop = or(&d.attributes.obproxy, self.settings.outbound_proxy.as_deref());
        // A name goes before an address, the destination's before the module's.
        let named = [&d.attributes.ping_socket, &d.attributes.sockname, &d.attributes.socket];
        let general = [
            &self.settings.ds_ping_socket,
            &self.settings.ds_default_sockname,
            &self.settings.ds_default_socket,
        ];
        let general = general.into_iter().filter_map(|s| s.as_ref());
        let socket = named.into_iter().chain(general).find(|s| !s.is_empty()).cloned().unwrap_or_default();
        let request = UacRequest {
            method: self.settings.ds_ping_method.as_bytes(),
            ruri: d.uri.as_bytes(),
            next_hop: next_hop.as_bytes(),
            socket: socket.as_bytes(),
            rows: rows.as_bytes(),
            body: b"",
        };
        let wait = self.settings.ds_ping_fr_timer.max(self.settings.ds_ping_fr_timeout);
        ctx.timing = match wait {
            0 => None,
            ms => {
                let known = ctx.core.registry.module::<crate::tm::Tm>().map(|tm| tm.settings().timing());
                Some(Timing { fr: Duration::from_millis(u64::from(ms)), ..known.unwrap_or_default() })
            }
        };
        let tell = Tell { module: "dispatcher", token };
        if ctx.transactions.send_request(ctx, &request, tell) != 1 {
            tracing::warn!(target: "dispatcher", set, uri = %d.uri, "the ping could not be sent");
            self.pings.sent().1.remove(&token);
            self.ping_ended(set, &d.uri, 408, None);
        }
    }

    /// A ping got its answer, or none.
    pub(super) fn ping_reply(&self, now: Now, end: &LocalEnd) {
        let Some(sent) = self.pings.sent().1.remove(&end.token) else { return };
        let took = end.reply.is_some().then(|| now.mono.since(sent.at));
        self.ping_ended(sent.set, &sent.uri, end.code, took);
    }

    fn ping_ended(&self, set: i64, uri: &str, code: u16, took: Option<Duration>) {
        // It may be gone since.
        let Some(d) = self.sets().set(set).and_then(|s| s.find(uri).cloned()) else { return };
        if self.settings.ds_ping_latency_stats {
            let mut latency = d.latency();
            match took {
                Some(took) => {
                    let alpha = f64::from(self.settings.ds_latency_estimator_alpha.min(1000)) / 1000.0;
                    latency.add(u32::try_from(took.as_millis()).unwrap_or(u32::MAX), alpha);
                }
                None => latency.timeouts = latency.timeouts.saturating_add(1),
            }
        }
        let mode = self.settings.ds_probing_mode;
        let was = d.state() & state::PROBING;
        let change = if self.codes.accept(code) {
            let probing = match mode {
                1 => state::PROBING,
                3 => was,
                _ => 0,
            };
            d.ping_succeeded(probing, self.settings.ds_inactive_threshold)
        } else {
            let probing = if mode == 0 { 0 } else { state::PROBING };
            d.ping_failed(probing, self.settings.ds_probing_threshold)
        };
        let Some(name) = event_name(change) else { return };
        tracing::warn!(target: "dispatcher", set, %uri, code, state = %state::letters(d.state()), "{name}");
        if self.settings.event_callback.is_some() {
            let mut events = self.pings.events();
            if events.len() < EVENTS_LIMIT {
                events.push_back(Event { name, uri: uri.into(), code });
            } else {
                tracing::error!(target: "dispatcher", "events come faster than their callback runs: some are not told");
            }
        }
    }

    /// Runs the callback for what pings changed.
    pub(super) fn tell_events(&self, services: &Services<'_>, now: Now) {
        let Some(callback) = &self.settings.event_callback else { return };
        let Some(callback) = services.core.callbacks.intern(callback.as_bytes()) else { return };
        let events = std::mem::take(&mut *self.pings.events());
        for event in events {
            let Some(mut ctx) = RouteContext::stand_in(services, now) else { return };
            ctx.target.uri = event.uri.into_bytes();
            ctx.slots.slot::<Shown>().0 = Some(event.code);
            ctx.engine.run_event(callback, event.name, &mut ctx);
        }
    }

    /// A function changed what a destination takes: the callback runs at once, over the message.
    pub(super) fn tell_change(&self, ctx: &mut RouteContext<'_>, change: Change) {
        let Some(name) = event_name(change) else { return };
        let callback =
            self.settings.event_callback.as_ref().filter(|_| self.settings.event_callback_mode == 0);
        let Some(callback) = callback.and_then(|c| ctx.callback(c.as_bytes())) else { return };
        ctx.slots.slot::<Shown>().0 = Some(820);
        let engine = ctx.engine;
        engine.run_event(callback, name, ctx);
        ctx.slots.slot::<Shown>().0 = None;
    }
}
