//! Dialogs: calls from their INVITE to their BYE, with variables, profiles, timeouts.
//!
//! `dialog.rs` is one of them, `table.rs` all, `follow.rs` what requests and replies make of them, `change.rs` what scripts do, `timer.rs` what time does,
//! `requests.rs` what is sent to their sides, `bridge.rs` calls made here, `profiles.rs` the sets they are counted in, `db.rs` their rows in a database.

mod bridge;
mod change;
mod db;
#[allow(clippy::module_inception)]
mod dialog;
mod follow;
mod profiles;
mod pv;
mod requests;
mod rpc;
mod settings;
mod table;
mod timer;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use message::Method;
use script::{
    Core, Function, Interest, LocalEnd, ModParam, Module, Moment, Outcome, ParamValue, PseudoVariable, Pv,
    RouteContext, RpcCommand, Services, Setup, SetupError, Value, ksr_module,
};
use transaction::Now;

pub use dialog::{Dialog, Direction, Facts, Leg, State};

use profiles::Profiles;
use requests::Side;
use settings::Settings;
use table::Table;
use timer::Job;

/// Module `dialog`.
pub struct DialogModule {
    settings: Settings,
    table: Table,
    profiles: Profiles,
    counters: Counters,
    timeout_pv: OnceLock<Option<Pv>>,
    jobs: Mutex<VecDeque<Job>>,
    rows: db::Rows,
    bridges: bridge::Bridges,
    /// Names of columns, for the thread that writes rows.
    names: OnceLock<Arc<Settings>>,
    /// Names of our sockets.
    sockets: OnceLock<Arc<Vec<String>>>,
}

impl Default for DialogModule {
    fn default() -> DialogModule {
        DialogModule {
            settings: Settings::default(),
            table: Table::new(1, 0, 0, 1, 0),
            profiles: Profiles::default(),
            counters: Counters::default(),
            timeout_pv: OnceLock::new(),
            jobs: Mutex::default(),
            rows: db::Rows::default(),
            bridges: bridge::Bridges::default(),
            names: OnceLock::new(),
            sockets: OnceLock::new(),
        }
    }
}

/// What a script sets before the dialog is made.
#[derive(Default)]
struct Pending {
    vars: Vec<(Box<[u8]>, Box<[u8]>)>,
    flags: u32,
    properties: u32,
    timeout: Option<u32>,
    timeout_route: Box<[u8]>,
}

/// Numbers of dialogs.
#[derive(Default)]
struct Counters {
    active: Arc<AtomicI64>,
    early: Arc<AtomicI64>,
    processed: Arc<AtomicI64>,
    expired: Arc<AtomicI64>,
    failed: Arc<AtomicI64>,
    shown: OnceLock<()>,
}

impl Counters {
    fn active(&self, n: i64) {
        self.active.fetch_add(n, Ordering::Relaxed);
    }
    fn early(&self, n: i64) {
        self.early.fetch_add(n, Ordering::Relaxed);
    }
    /// A dialog ended that was in this state.
    fn left(&self, state: State) {
        match state {
            State::Early => self.early(-1),
            State::Answered | State::Confirmed => self.active(-1),
            State::Unconfirmed | State::Ended => {}
        }
    }
    fn processed(&self) {
        self.processed.fetch_add(1, Ordering::Relaxed);
    }
    fn expired(&self) {
        self.expired.fetch_add(1, Ordering::Relaxed);
    }
    fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
    fn show(&self, core: &Core) {
        use script::statistics::Kind;
        for (name, kind, doc, number) in [
            ("active_dialogs", Kind::Level, "Dialogs that are confirmed.", &self.active),
            ("early_dialogs", Kind::Level, "Dialogs that ring.", &self.early),
            ("processed_dialogs", Kind::Counter, "Dialogs made.", &self.processed),
            ("expired_dialogs", Kind::Counter, "Dialogs that timed out.", &self.expired),
            ("failed_dialogs", Kind::Counter, "Dialogs whose INVITE failed.", &self.failed),
        ] {
            let number = number.clone();
            core.statistics.computed(
                "dialog",
                name,
                doc,
                kind,
                Box::new(move || number.load(Ordering::Relaxed)),
            );
        }
    }
}

#[ksr_module("dialog")]
impl DialogModule {
    /// Tracks the call: makes a dialog for an INVITE, or finds the one a request within it belongs to.
    ///
    /// Call it before `t_relay`; with `record_route` the name of the dialog goes into the Record-Route URI. Returns 1; -1 when the request
    /// makes no dialog or belongs to none.
    #[ksr(cfg = ["dlg_manage"])]
    fn dlg_manage(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(self.manage(ctx))
    }

    /// Whether the message belongs to a dialog that is tracked. Returns 1 or -1.
    #[ksr(cfg = ["is_known_dlg"])]
    fn is_known_dlg(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(self.of_message(ctx).is_some())
    }

    /// Makes the dialog with this Call-ID and these tags the current one; an empty To tag finds a call that rings. Returns 1 or -1.
    #[ksr(cfg = ["dlg_get"])]
    fn dlg_get(&self, ctx: &mut RouteContext<'_>, callid: &[u8], ftag: &[u8], ttag: &[u8]) -> Outcome {
        match self.table.find(callid, ftag, ttag) {
            Some((dialog, _)) => {
                ctx.kept.put(dialog);
                Outcome::TRUE
            }
            None => Outcome::FALSE,
        }
    }

    /// Sets the state of the current dialog by number, without anything else happening. Returns 1 or -1.
    #[ksr]
    fn dlg_set_state(&self, ctx: &mut RouteContext<'_>, state: &[u8]) -> Outcome {
        let number = std::str::from_utf8(state).ok().and_then(|s| s.trim().parse().ok());
        let state = match state {
            b"early" => Some(State::Early),
            b"confirmed_na" | b"answered" => Some(State::Answered),
            b"confirmed" => Some(State::Confirmed),
            b"deleted" | b"ended" => Some(State::Ended),
            _ => number.and_then(State::from_number),
        };
        match (self.current(ctx), state) {
            (Some(dialog), Some(state)) => {
                self.force_state(&dialog, state, follow::unix(ctx));
                Outcome::TRUE
            }
            _ => Outcome::FALSE,
        }
    }

    /// Takes the message into account for the state of its dialog, as `loose_route` does. Returns 1, or -1 when it belongs to none.
    #[ksr]
    fn dlg_update_state(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(self.manage(ctx))
    }

    /// Sends BYE to `caller`, `callee` or `all` of the current dialog, which ends; a call that rings is answered with
    /// `bye_early_code`. Returns 1, or -1 when there is no dialog or nothing could be sent.
    #[ksr(cfg = ["dlg_bye"])]
    fn dlg_bye(&self, ctx: &mut RouteContext<'_>, side: &[u8]) -> Outcome {
        let Some(side) = Side::parse(side) else {
            tracing::error!(target: "dialog", "dlg_bye: caller, callee or all");
            return Outcome::FALSE;
        };
        match self.current(ctx) {
            Some(dialog) => Outcome::from(self.bye(ctx, &dialog, side, b"")),
            None => Outcome::FALSE,
        }
    }

    /// Forgets the dialogs of another node; there is no other node without DMQ. Returns -1.
    #[ksr]
    fn dlg_remove_dialogs_from_node(&self, ctx: &mut RouteContext<'_>, _node: &[u8]) -> Outcome {
        tracing::error!(target: "dialog", call_id = %String::from_utf8_lossy(ctx.message.call_id()), "dlg_remove_dialogs_from_node: DMQ is not available");
        Outcome::FALSE
    }

    /// Seconds from now after which the current dialog ends. Returns 1 or -1.
    #[ksr(cfg = ["dlg_set_timeout"])]
    fn dlg_set_timeout(&self, ctx: &mut RouteContext<'_>, timeout: i64) -> Outcome {
        match self.current(ctx) {
            Some(dialog) => Outcome::from(self.set_timeout(&dialog, timeout, follow::unix(ctx))),
            None => Outcome::FALSE,
        }
    }

    /// As `dlg_set_timeout`, for the dialog of that name. Returns 1 or -1.
    #[ksr(cfg = ["dlg_set_timeout"])]
    fn dlg_set_timeout_id(
        &self,
        ctx: &mut RouteContext<'_>,
        timeout: i64,
        h_entry: i64,
        h_id: i64,
    ) -> Outcome {
        match self.by_id(h_entry, h_id) {
            Some(dialog) => Outcome::from(self.set_timeout(&dialog, timeout, follow::unix(ctx))),
            None => Outcome::FALSE,
        }
    }

    /// Sets a property of the current dialog: `ka-src`, `ka-dst` (keepalives to caller, callee), `timeout-noreset`. Returns 1 or -1.
    #[ksr(cfg = ["dlg_set_property"])]
    fn dlg_set_property(&self, ctx: &mut RouteContext<'_>, attr: &[u8]) -> Outcome {
        Outcome::from(self.property(ctx, attr, true))
    }

    /// Takes a property away. Returns 1 or -1.
    #[ksr(cfg = ["dlg_reset_property"])]
    fn dlg_reset_property(&self, ctx: &mut RouteContext<'_>, attr: &[u8]) -> Outcome {
        Outcome::from(self.property(ctx, attr, false))
    }

    /// Takes the Contact of the message for the side it comes from. Returns 1 or -1.
    #[ksr]
    fn dlg_update_contact(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let contact = follow::contact(&ctx.message);
        Outcome::from(!contact.is_empty() && self.update_leg(ctx, |leg| leg.contact = contact))
    }

    /// Takes the socket the message came in through for the side it comes from. Returns 1 or -1.
    #[ksr]
    fn dlg_update_socket(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let socket = ctx.inbound.socket;
        Outcome::from(self.update_leg(ctx, |leg| leg.socket = Some(socket)))
    }

    /// A variable of the dialog with this Call-ID and these tags; null when there is none.
    #[ksr]
    fn dlg_get_var<'c>(
        &'c self,
        _ctx: &'c mut RouteContext<'_>,
        callid: &[u8],
        ftag: &[u8],
        ttag: &[u8],
        key: &[u8],
    ) -> Value<'c> {
        match self.table.find(callid, ftag, ttag).and_then(|(dialog, _)| dialog.var(key)) {
            Some(value) => Value::owned(value),
            None => Value::Null,
        }
    }

    /// Sets a variable of the dialog with this Call-ID and these tags. Returns 1 or -1.
    #[ksr]
    fn dlg_set_var(
        &self,
        _ctx: &mut RouteContext<'_>,
        callid: &[u8],
        ftag: &[u8],
        ttag: &[u8],
        key: &[u8],
        val: &[u8],
    ) -> Outcome {
        match self.table.find(callid, ftag, ttag) {
            Some((dialog, _)) => {
                let set = dialog.set_var(key, Some(val));
                self.changed(&dialog);
                Outcome::from(set)
            }
            None => Outcome::FALSE,
        }
    }

    /// Puts the current dialog into a profile without value. Returns 1 or -1.
    #[ksr(cfg = ["set_dlg_profile"])]
    fn set_dlg_profile_static(&self, ctx: &mut RouteContext<'_>, sprofile: &[u8]) -> Outcome {
        Outcome::from(self.enter_profile(ctx, sprofile, b""))
    }

    /// Puts the current dialog into a profile with a value. Returns 1 or -1.
    #[ksr(cfg = ["set_dlg_profile"])]
    fn set_dlg_profile(&self, ctx: &mut RouteContext<'_>, sprofile: &[u8], svalue: &[u8]) -> Outcome {
        Outcome::from(self.enter_profile(ctx, sprofile, svalue))
    }

    /// Takes the current dialog out of a profile without value. Returns 1 or -1.
    #[ksr(cfg = ["unset_dlg_profile"])]
    fn unset_dlg_profile_static(&self, ctx: &mut RouteContext<'_>, sprofile: &[u8]) -> Outcome {
        Outcome::from(self.leave_profile(ctx, sprofile, b""))
    }

    /// Takes the current dialog out of a profile with that value. Returns 1 or -1.
    #[ksr(cfg = ["unset_dlg_profile"])]
    fn unset_dlg_profile(&self, ctx: &mut RouteContext<'_>, sprofile: &[u8], svalue: &[u8]) -> Outcome {
        Outcome::from(self.leave_profile(ctx, sprofile, svalue))
    }

    /// Whether the current dialog is in a profile, with whatever value. Returns 1 or -1.
    #[ksr(cfg = ["is_in_profile"])]
    fn is_in_profile_static(&self, ctx: &mut RouteContext<'_>, sprofile: &[u8]) -> Outcome {
        Outcome::from(self.in_profile(ctx, sprofile, None))
    }

    /// Whether the current dialog is in a profile with that value. Returns 1 or -1.
    #[ksr(cfg = ["is_in_profile"])]
    fn is_in_profile(&self, ctx: &mut RouteContext<'_>, sprofile: &[u8], svalue: &[u8]) -> Outcome {
        Outcome::from(self.in_profile(ctx, sprofile, Some(svalue)))
    }

    /// How many dialogs are in a profile, into a pseudo-variable. Returns 1, -1 when there is no such profile.
    #[ksr(cfg = ["get_profile_size"])]
    fn get_profile_size_static(&self, ctx: &mut RouteContext<'_>, sprofile: &[u8], spv: &Pv) -> Outcome {
        Outcome::from(self.profile_size(ctx, sprofile, None, spv))
    }

    /// How many dialogs are in a profile with that value, into a pseudo-variable. Returns 1, -1 when there is no such profile.
    #[ksr(cfg = ["get_profile_size"])]
    fn get_profile_size(
        &self,
        ctx: &mut RouteContext<'_>,
        sprofile: &[u8],
        svalue: &[u8],
        spv: &Pv,
    ) -> Outcome {
        Outcome::from(self.profile_size(ctx, sprofile, Some(svalue), spv))
    }

    /// Sets a flag (0..31) of the dialog. Returns 1 or -1.
    #[ksr(cfg = ["dlg_setflag"])]
    fn dlg_setflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> Outcome {
        Outcome::from(self.change_flags(ctx, flag, |flags, bit| flags | bit))
    }

    /// Resets a flag of the dialog. Returns 1 or -1.
    #[ksr(cfg = ["dlg_resetflag"])]
    fn dlg_resetflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> Outcome {
        Outcome::from(self.change_flags(ctx, flag, |flags, bit| flags & !bit))
    }

    /// Whether a flag of the dialog is set. Returns 1 or -1.
    #[ksr(cfg = ["dlg_isflagset"])]
    fn dlg_isflagset(&self, ctx: &mut RouteContext<'_>, flag: i64) -> Outcome {
        let Some(bit) = u32::try_from(flag).ok().and_then(|f| 1_u32.checked_shl(f)) else {
            return Outcome::FALSE;
        };
        let flags = match self.current(ctx) {
            Some(dialog) => dialog.facts().flags,
            None => ctx.slots.peek::<Pending>().map_or(0, |p| p.flags),
        };
        Outcome::from(flags & bit != 0)
    }

    /// Reads the dialogs with this Call-ID from the database. Returns 1 when there was one, else -1.
    #[ksr(cfg = ["dlg_db_load_callid"], blocking)]
    fn dlg_db_load_callid(&self, ctx: &mut RouteContext<'_>, cival: &[u8]) -> Outcome {
        Outcome::from(self.load(Some(cival), ctx.core, follow::unix(ctx)).is_ok_and(|n| n > 0))
    }

    /// Reads all dialogs from the database that are not here. Returns 1, or -1 when the database cannot be read.
    #[ksr(cfg = ["dlg_db_load_extra"], blocking)]
    fn dlg_db_load_extra(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(self.load(None, ctx.core, follow::unix(ctx)).is_ok())
    }

    /// Sets `$dlg_var(key)`. Returns 1 or -1.
    #[ksr]
    fn var_sets(&self, ctx: &mut RouteContext<'_>, key: &[u8], val: &[u8]) -> Outcome {
        Outcome::from(pv::set_var(self, ctx, key, Some(val)))
    }

    /// `$dlg_var(key)`; null when there is none.
    #[ksr]
    fn var_get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, key: &[u8]) -> Value<'c> {
        pv::var(self, ctx, key).map_or(Value::Null, Value::owned)
    }

    /// `$dlg_var(key)`; an empty text when there is none.
    #[ksr]
    fn var_gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, key: &[u8]) -> Value<'c> {
        pv::var(self, ctx, key).map_or(Value::str(b""), Value::owned)
    }

    /// `$dlg_var(key)`; `<null>` when there is none.
    #[ksr]
    fn var_getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, key: &[u8]) -> Value<'c> {
        pv::var(self, ctx, key).map_or(Value::str(b"<null>"), Value::owned)
    }

    /// Removes `$dlg_var(key)`. Returns 1 or -1.
    #[ksr]
    fn var_rm(&self, ctx: &mut RouteContext<'_>, key: &[u8]) -> Outcome {
        Outcome::from(pv::set_var(self, ctx, key, None))
    }

    /// Whether `$dlg_var(key)` has no value. Returns 1 or -1.
    #[ksr]
    fn var_is_null(&self, ctx: &mut RouteContext<'_>, key: &[u8]) -> Outcome {
        Outcome::from(pv::var(self, ctx, key).is_none())
    }

    /// Calls `from`, and refers it to `to` when it answers. `op` is a proxy to send to, empty none.
    ///
    /// The call comes from `bridge_controller`, with media on hold. Returns 1 when the INVITE was sent, else -1.
    #[ksr(cfg = ["dlg_bridge"])]
    fn dlg_bridge(&self, ctx: &mut RouteContext<'_>, from: &[u8], to: &[u8], op: &[u8]) -> Outcome {
        Outcome::from(self.bridge(ctx, from, to, op, &bridge::Body::Hold))
    }

    /// Sends REFER to a side (1 or `caller`, 2 or `callee`) of the dialog of that name. Returns 1 or -1.
    #[ksr]
    fn dlg_refer_did(
        &self,
        ctx: &mut RouteContext<'_>,
        h_entry: i64,
        h_id: i64,
        side: &[u8],
        to: &[u8],
    ) -> Outcome {
        match self.by_id(h_entry, h_id) {
            Some(dialog) => self.refer(ctx, &dialog, side, to),
            None => Outcome::FALSE,
        }
    }

    /// Sends REFER to a side (`caller`, `callee`) of the dialog with that Call-ID. Returns 1 or -1.
    #[ksr]
    fn dlg_refer_cid(&self, ctx: &mut RouteContext<'_>, callid: &[u8], side: &[u8], to: &[u8]) -> Outcome {
        match self.table.of_call(callid).into_iter().find(|d| d.facts().state < State::Ended) {
            Some(dialog) => self.refer(ctx, &dialog, side, to),
            None => Outcome::FALSE,
        }
    }

    /// Sends a request within the current dialog to `caller`, `callee` or `all`, with a body of this type when there is one. Returns
    /// 1 or -1.
    #[ksr(cfg = ["dlg_req_within"])]
    fn dlg_req_within4(
        &self,
        ctx: &mut RouteContext<'_>,
        side: &[u8],
        method: &[u8],
        ctype: &[u8],
        content: &[u8],
    ) -> Outcome {
        let (Some(dialog), Some(side)) = (self.current(ctx), Side::parse(side)) else {
            return Outcome::FALSE;
        };
        if method.is_empty() || method.iter().any(|b| !b.is_ascii_alphanumeric()) {
            return Outcome::FALSE;
        }
        let rows = match content.is_empty() {
            true => Vec::new(),
            false => [b"Content-Type: ", ctype, b"\r\n"].concat(),
        };
        Outcome::from(self.send(ctx, &dialog, side, method, &rows, content))
    }
}

impl Module for DialogModule {
    fn name(&self) -> &'static str {
        "dialog"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        pv::ROWS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        rpc::COMMANDS
    }
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        self.settings.check()?;
        let s = &self.settings;
        let first = match s.h_id_start {
            -1 => setup.config.server_id,
            n => u32::try_from(n).unwrap_or(0),
        };
        // Numbers that must not meet those of another server are taken as they are.
        let seed = if s.h_id_step > 1 || s.h_id_start != 0 { 0 } else { setup.config.seed };
        self.table = Table::new(s.hash_size, seed, first, s.h_id_step, seconds(setup.now));
        self.profiles = Profiles::new(&s.profiles_no_value, &s.profiles_with_value);
        if s.db_mode != 0 {
            let database = store::open(&s.db_url).map_err(|e| SetupError(format!("db_url: {e}")))?;
            self.rows = db::Rows::new(database);
        }
        Ok(())
    }
    fn interest(&self) -> Interest {
        let all = Interest::PROVISIONAL
            .or(Interest::FINAL)
            .or(Interest::FREED)
            .or(Interest::LOOSE_ROUTED)
            .or(Interest::ROUTE_ENDED);
        if self.settings.dlg_flag >= 0 { all.or(Interest::CREATED) } else { all }
    }
    fn hear(&self, ctx: &mut RouteContext<'_>, moment: &Moment<'_>) {
        match moment {
            Moment::Created => {
                let flagged =
                    (0..32).contains(&self.settings.dlg_flag) && ctx.flags & 1 << self.settings.dlg_flag != 0;
                if flagged && ctx.message.method() == Method::Invite {
                    self.manage(ctx);
                }
            }
            Moment::Provisional => self.provisional(ctx),
            Moment::Final => self.finished(ctx),
            Moment::Freed => self.freed(ctx),
            Moment::LooseRouted { params } => self.loose_routed(ctx, params),
            Moment::RouteEnded => self.route_ended(ctx),
            _ => {}
        }
    }
    fn tick(&self, core: &Core, now: Now) {
        if self.settings.enable_stats && self.counters.shown.set(()).is_ok() {
            self.counters.show(core);
        }
        self.tick_rows(core, seconds(now));
    }
    fn events(&self, services: &Services<'_>, now: Now) {
        self.run_due(services, now);
    }
    fn local_reply(&self, services: &Services<'_>, now: Now, end: LocalEnd) {
        if end.token & bridge::TOKEN == 0 {
            return self.kept_alive(now, &end);
        }
        if let Some(mut ctx) = RouteContext::stand_in(services, now) {
            self.bridged(&mut ctx, &end);
        }
    }
    fn stop(&self, core: &Core, _: Now) {
        self.write_all(core);
    }
}

/// Unix time in seconds.
fn seconds(now: Now) -> i64 {
    i64::try_from(now.unix_micros / 1_000_000).unwrap_or(i64::MAX)
}
