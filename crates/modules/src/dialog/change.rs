//! Which dialog a script means, and what it changes of it.

use std::sync::Arc;

use message::Method;
use script::{Outcome, Pv, RouteContext, Value};

use super::dialog::{Dialog, Direction, KA_CALLEE, KA_CALLER, Leg, State, TIMEOUT_NORESET};
use super::requests::Side;
use super::{DialogModule, Pending, follow};

impl DialogModule {
    /// The dialog of the context: the one it was given, or that of its message.
    pub(super) fn current(&self, ctx: &RouteContext<'_>) -> Option<Arc<Dialog>> {
        ctx.kept.get::<Dialog>().or_else(|| self.of_message(ctx))
    }

    pub(super) fn of_message(&self, ctx: &RouteContext<'_>) -> Option<Arc<Dialog>> {
        self.find_by_message(ctx).map(|(dialog, _)| dialog)
    }

    pub(super) fn find_by_message(&self, ctx: &RouteContext<'_>) -> Option<(Arc<Dialog>, Direction)> {
        if ctx.faked {
            return None;
        }
        let (from, to) = (follow::tag(ctx.message.from().ok()), follow::tag(ctx.message.to().ok()));
        if to.is_empty()
            && ctx.message.is_request()
            && !matches!(ctx.message.method(), Method::Cancel | Method::Invite)
        {
            return None;
        }
        self.table.find(ctx.message.call_id(), from, to)
    }

    pub(super) fn with_direction(&self, ctx: &RouteContext<'_>) -> Option<(Arc<Dialog>, Direction)> {
        let dialog = self.current(ctx)?;
        let (from, to) = (follow::tag(ctx.message.from().ok()), follow::tag(ctx.message.to().ok()));
        let direction = dialog.direction(ctx.message.call_id(), from, to)?;
        Some((dialog, direction))
    }

    pub(super) fn by_id(&self, entry: i64, id: i64) -> Option<Arc<Dialog>> {
        self.table.get((u32::try_from(entry).ok()?, u32::try_from(id).ok()?))
    }

    pub(super) fn set_timeout(&self, dialog: &Arc<Dialog>, seconds: i64, now: i64) -> bool {
        let Some(lifetime) = u32::try_from(seconds).ok().filter(|s| *s > 0) else { return false };
        let due = {
            let mut facts = dialog.facts();
            if facts.state == State::Ended {
                return false;
            }
            facts.lifetime = lifetime;
            if facts.state < State::Answered {
                // It holds from the 2xx on.
                return true;
            }
            facts.timeout = now + i64::from(lifetime);
            facts.timeout
        };
        self.table.schedule(dialog, due);
        self.changed(dialog);
        true
    }

    pub(super) fn property(&self, ctx: &mut RouteContext<'_>, name: &[u8], on: bool) -> bool {
        let bit = match name {
            b"ka-src" => KA_CALLER,
            b"ka-dst" => KA_CALLEE,
            b"timeout-noreset" => TIMEOUT_NORESET,
            _ => {
                tracing::error!(target: "dialog", "dialogs have no property {}", String::from_utf8_lossy(name));
                return false;
            }
        };
        let change = |properties: &mut u32| if on { *properties |= bit } else { *properties &= !bit };
        match self.current(ctx) {
            Some(dialog) => {
                change(&mut dialog.facts().properties);
                self.changed(&dialog);
            }
            None => change(&mut ctx.slots.slot::<Pending>().properties),
        }
        true
    }

    pub(super) fn update_leg(&self, ctx: &RouteContext<'_>, change: impl FnOnce(&mut Leg)) -> bool {
        let Some((dialog, direction)) = self.with_direction(ctx) else { return false };
        {
            let mut facts = dialog.facts();
            let from_caller = (direction == Direction::Downstream) == ctx.message.is_request();
            change(if from_caller { &mut facts.caller } else { &mut facts.callee });
        }
        self.changed(&dialog);
        true
    }

    pub(super) fn force_state(&self, dialog: &Arc<Dialog>, state: State, now: i64) {
        if state == State::Ended {
            if let Some(before) = self.end(dialog, now, State::Ended) {
                self.counters.left(before);
            }
            return;
        }
        let mut facts = dialog.facts();
        let lasting = |s: State| matches!(s, State::Answered | State::Confirmed);
        self.counters.active(i64::from(lasting(state)) - i64::from(lasting(facts.state)));
        self.counters.early(i64::from(state == State::Early) - i64::from(facts.state == State::Early));
        facts.state = state;
        drop(facts);
        self.changed(dialog);
    }

    pub(super) fn enter_profile(&self, ctx: &RouteContext<'_>, profile: &[u8], value: &[u8]) -> bool {
        let (Some(dialog), Some(number)) = (self.current(ctx), self.profile(profile)) else { return false };
        let mut facts = dialog.facts();
        facts.state != State::Ended && self.profiles.enter(&mut facts, number, value)
    }

    pub(super) fn leave_profile(&self, ctx: &RouteContext<'_>, profile: &[u8], value: &[u8]) -> bool {
        let (Some(dialog), Some(number)) = (self.current(ctx), self.profile(profile)) else { return false };
        let mut facts = dialog.facts();
        self.profiles.leave(&mut facts, number, value)
    }

    pub(super) fn in_profile(&self, ctx: &RouteContext<'_>, profile: &[u8], value: Option<&[u8]>) -> bool {
        let (Some(dialog), Some(number)) = (self.current(ctx), self.profile(profile)) else { return false };
        let with_value = self.profiles.get(number).is_some_and(|p| p.with_value);
        let facts = dialog.facts();
        facts.profiles.iter().any(|(n, v)| *n == number && (!with_value || value.is_none_or(|w| **v == *w)))
    }

    pub(super) fn profile_size(
        &self,
        ctx: &mut RouteContext<'_>,
        profile: &[u8],
        value: Option<&[u8]>,
        into: &Pv,
    ) -> bool {
        match self.profile(profile) {
            Some(number) => into.set(ctx, Value::Int(self.profiles.size(number, value))),
            None => false,
        }
    }

    pub(super) fn profile(&self, name: &[u8]) -> Option<usize> {
        let number = self.profiles.find(name);
        if number.is_none() {
            tracing::error!(target: "dialog", "there is no profile {}", String::from_utf8_lossy(name));
        }
        number
    }

    pub(super) fn change_flags(
        &self,
        ctx: &mut RouteContext<'_>,
        flag: i64,
        change: impl Fn(u32, u32) -> u32,
    ) -> bool {
        let Some(bit) = u32::try_from(flag).ok().and_then(|f| 1_u32.checked_shl(f)) else { return false };
        match self.current(ctx) {
            Some(dialog) => {
                let mut facts = dialog.facts();
                facts.flags = change(facts.flags, bit);
                drop(facts);
                self.changed(&dialog);
            }
            None => {
                let pending = ctx.slots.slot::<Pending>();
                pending.flags = change(pending.flags, bit);
            }
        }
        true
    }

    pub(super) fn refer(
        &self,
        ctx: &mut RouteContext<'_>,
        dialog: &Arc<Dialog>,
        side: &[u8],
        to: &[u8],
    ) -> Outcome {
        let side = match side {
            b"1" => Some(Side::Caller),
            b"2" => Some(Side::Callee),
            other => Side::parse(other),
        };
        let clean = !to.is_empty() && !to.iter().any(|b| matches!(b, b'\r' | b'\n' | b'<' | b'>'));
        let Some(side) = side.filter(|_| clean) else { return Outcome::FALSE };
        let contact = self.settings.bridge_contact.as_bytes();
        let from = self.settings.bridge_controller.as_bytes();
        let rows = [b"Contact: <", contact, b">\r\nReferred-By: <", from, b">\r\nRefer-To: <", to, b">\r\n"]
            .concat();
        Outcome::from(self.send(ctx, dialog, side, b"REFER", &rows, b""))
    }
}
