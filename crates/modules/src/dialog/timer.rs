//! What is due: dialogs that end, keepalives, and what RPC commands asked for.

use std::sync::Arc;

use script::{DialogMoment, LocalEnd, RouteContext, Services};
use transaction::Now;

use super::bridge::Body;
use super::dialog::{Dialog, Facts, KA_CALLEE, KA_CALLER, State, TIMEOUT_BYE};
use super::requests::Side;
use super::{DialogModule, seconds};

/// Most jobs of RPC commands that wait.
const MAX_JOBS: usize = 10_000;

/// What an RPC command left to be done where requests can be sent.
pub(super) enum Job {
    /// BYE to both sides, with these rows.
    End { dialog: Arc<Dialog>, rows: Vec<u8> },
    /// `dlg_bridge`: from, to, proxy, and SDP where it is not the usual one.
    Bridge { from: String, to: String, proxy: String, body: Option<String> },
}

/// Seconds left to a dialog without ACK (`noack_timeout`), or whose keepalives are not answered.
const GRACE: i64 = 10;

impl DialogModule {
    /// Leaves something to be done; false when too much waits.
    pub(super) fn do_later(&self, job: Job) -> bool {
        let mut jobs = self.jobs.lock().unwrap_or_else(|e| e.into_inner());
        let room = jobs.len() < MAX_JOBS;
        if room {
            jobs.push_back(job);
        }
        room
    }

    pub(super) fn run_due(&self, services: &Services<'_>, now: Now) {
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(|e| e.into_inner()));
        for job in jobs {
            let Some(mut ctx) = RouteContext::stand_in(services, now) else { return };
            match job {
                Job::End { dialog, rows } => {
                    self.bye(&mut ctx, &dialog, Side::Both, &rows);
                }
                Job::Bridge { from, to, proxy, body } => {
                    let body = body.as_deref().map_or(Body::Hold, |sdp| Body::Given(sdp.as_bytes()));
                    self.bridge(&mut ctx, from.as_bytes(), to.as_bytes(), proxy.as_bytes(), &body);
                }
            }
        }
        for dialog in self.table.due(seconds(now)) {
            self.look_at(services, now, &dialog);
        }
    }

    fn look_at(&self, services: &Services<'_>, now: Now, dialog: &Arc<Dialog>) {
        let unix = seconds(now);
        let (state, made, started, timeout, keepalive) = {
            let f = dialog.facts();
            (f.state, f.made, f.started, f.timeout, f.keepalive)
        };
        match state {
            State::Ended => {
                let ended = dialog.facts().ended;
                if unix >= ended + 5 {
                    self.table.remove(dialog);
                } else {
                    self.table.schedule(dialog, ended + 5);
                }
            }
            State::Unconfirmed | State::Early => {
                let due = made + i64::from(self.settings.early_timeout);
                if unix < due {
                    return self.table.schedule(dialog, due);
                }
                // Its transaction was never heard of again.
                if let Some(before) = self.end(dialog, unix, State::Answered) {
                    self.tell_expired(services, now, dialog, DialogMoment::Failed, Some("dialog:failed"));
                    self.counters.failed();
                    self.counters.left(before);
                }
            }
            State::Answered
                if unix >= started + i64::from(self.settings.noack_timeout) && timeout > unix + GRACE =>
            {
                let mut facts = dialog.facts();
                facts.timeout = unix + GRACE;
                drop(facts);
                self.table.schedule(dialog, unix + GRACE);
            }
            State::Answered | State::Confirmed if unix >= timeout => self.expire(services, now, dialog),
            State::Answered | State::Confirmed => {
                if self.keeps_alive() && keepalive > 0 && unix >= keepalive {
                    self.keep_alive(services, now, dialog);
                    dialog.facts().keepalive = unix + i64::from(self.settings.ka_interval);
                }
                let next = self.next_look(&dialog.facts());
                self.table.schedule(dialog, next);
            }
        }
    }

    fn keeps_alive(&self) -> bool {
        self.settings.ka_interval > 0 && self.settings.ka_timer > 0
    }

    /// When an answered dialog has to be looked at.
    pub(super) fn next_look(&self, facts: &Facts) -> i64 {
        let mut next = facts.timeout;
        if facts.state == State::Answered {
            next = next.min(facts.started + i64::from(self.settings.noack_timeout));
        }
        if self.keeps_alive() && facts.keepalive > 0 {
            next = next.min(facts.keepalive);
        }
        next
    }

    fn expire(&self, services: &Services<'_>, now: Now, dialog: &Arc<Dialog>) {
        let (properties, route) = {
            let f = dialog.facts();
            (f.properties, f.timeout_route.clone())
        };
        let Some(mut ctx) = RouteContext::stand_in(services, now) else { return };
        ctx.kept.put(dialog.clone());
        if !route.is_empty() {
            self.run_event(&mut ctx, &String::from_utf8_lossy(&route));
        }
        if dialog.facts().timeout > seconds(now) {
            // The route gave it more time.
            let timeout = dialog.facts().timeout;
            return self.table.schedule(dialog, timeout);
        }
        self.counters.expired();
        if properties & TIMEOUT_BYE != 0 {
            self.send(&mut ctx, dialog, Side::Both, b"BYE", b"", b"");
        }
        if let Some(before) = self.end(dialog, seconds(now), State::Ended) {
            self.happened(&mut ctx, DialogMoment::Expired, Some("dialog:end"));
            self.counters.left(before);
        }
    }

    fn tell_expired(
        &self,
        services: &Services<'_>,
        now: Now,
        dialog: &Arc<Dialog>,
        what: DialogMoment,
        event: Option<&str>,
    ) {
        if let Some(mut ctx) = RouteContext::stand_in(services, now) {
            ctx.kept.put(dialog.clone());
            self.happened(&mut ctx, what, event);
        }
    }

    fn keep_alive(&self, services: &Services<'_>, now: Now, dialog: &Arc<Dialog>) {
        let properties = dialog.facts().properties;
        let side = match (properties & KA_CALLER != 0, properties & KA_CALLEE != 0) {
            (true, true) => Side::Both,
            (true, false) => Side::Caller,
            (false, true) => Side::Callee,
            (false, false) => return,
        };
        if let Some(mut ctx) = RouteContext::stand_in(services, now) {
            self.send(&mut ctx, dialog, side, b"OPTIONS", b"", b"");
        }
    }

    /// A keepalive ended: whoever does not answer, or knows no such dialog, makes it end soon.
    pub(super) fn kept_alive(&self, now: Now, end: &LocalEnd) {
        let key = ((end.token >> 32) as u32, end.token as u32);
        let Some(dialog) = self.table.get(key) else { return };
        let due = {
            let mut facts = dialog.facts();
            if !matches!(facts.state, State::Answered | State::Confirmed) {
                return;
            }
            if !matches!(end.code, 408 | 481) {
                facts.keepalives_failed = 0;
                return;
            }
            facts.keepalives_failed += 1;
            if facts.keepalives_failed < self.settings.ka_failed_limit.max(1) {
                return;
            }
            facts.timeout = facts.timeout.min(seconds(now) + GRACE);
            facts.timeout
        };
        tracing::info!(target: "dialog", call_id = %String::from_utf8_lossy(&dialog.call_id), code = end.code,
            "a keepalive found nobody: the dialog ends in {GRACE} seconds");
        self.table.schedule(&dialog, due);
    }
}
