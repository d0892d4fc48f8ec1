//! Module `dispatcher`: which of several gateways takes a request, and which of them are up.
//!
//! `sets.rs` is the list as it was read, `destination.rs` one row of it with its state, `select.rs` the algorithms, `route.rs` what a selection does
//! to the request, `load.rs` calls that count, `overload.rs` what overloaded ones asked for, `ping.rs` pings and events. Routes look at the list that is in use without waiting: a
//! reload makes another and swaps it in.

mod destination;
mod load;
mod overload;
mod ping;
mod pv;
mod route;
mod rpc;
mod select;
mod sets;
mod settings;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use message::{Method, Uri};
use script::{
    Core, Format, Function, Listener, LocalEnd, ModParam, Module, Outcome, ParamValue, PseudoVariable, Pv,
    RouteContext, RpcCommand, Services, Setup, SetupError, Value, ksr_module,
};
use store::Database;
use transaction::{Now, SocketId};

pub use destination::{Change, Destination, state};
use load::Calls;
use ping::Pings;
use pv::Fetched;
use route::Into;
pub use sets::{Peer, Row, Set, Sets};
use settings::ReplyCodes;
pub use settings::Settings;

/// Module `dispatcher`.
#[derive(Default)]
pub struct Dispatcher {
    settings: Settings,
    codes: ReplyCodes,
    listeners: Vec<Listener>,
    default_socket: Option<SocketId>,
    database: Option<Arc<dyn Database>>,
    /// Held for the swap and for taking a reference only.
    sets: RwLock<Arc<Sets>>,
    /// Held by operators who change rows, one at a time.
    changing: Mutex<()>,
    calls: Calls,
    pings: Pings,
    hash_format: OnceLock<Option<Format>>,
    setid_pv: OnceLock<Option<Pv>>,
    attrs_pv: OnceLock<Option<Pv>>,
    ping_state: AtomicI64,
    /// Unix times.
    next_ping: AtomicU32,
    next_check: AtomicU32,
    reloaded: AtomicU32,
    /// When the database is asked again for what it never gave; 0: it has given it.
    load_at: AtomicU32,
    load_pause: AtomicU32,
}

/// Why nothing was reloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// `reload_delta` seconds have not passed.
    TooSoon,
    /// The list could not be read; the old one stays.
    Failed(String),
}

fn unix(now: Now) -> u32 {
    u32::try_from(now.unix()).unwrap_or(u32::MAX)
}

impl Dispatcher {
    /// Parameters.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// The list in use.
    pub fn sets(&self) -> Arc<Sets> {
        self.sets.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
    fn put(&self, sets: Sets) {
        let sets = Arc::new(sets);
        let old = std::mem::replace(&mut *self.sets.write().unwrap_or_else(|e| e.into_inner()), sets);
        // Its memory may take a while: not under the lock.
        drop(old);
    }
    fn ping_state(&self) -> i64 {
        self.ping_state.load(Ordering::Relaxed)
    }
    fn set_ping_state(&self, new: i64) {
        self.ping_state.store(new, Ordering::Relaxed);
    }
    /// Reads the list. Waits for the database or the file.
    fn read(&self) -> Result<Sets, String> {
        let rows = match &self.database {
            Some(db) => sets::read(db.as_ref(), &self.settings).map_err(|e| e.to_string())?,
            None => {
                let file = &self.settings.list_file;
                let text = std::fs::read_to_string(file).map_err(|e| format!("list_file {file}: {e}"))?;
                let rows: Result<Vec<Row>, String> = text.lines().filter_map(Row::parse).collect();
                rows.map_err(|e| format!("list_file {file}: {e}"))?
            }
        };
        Sets::new(rows, &self.listeners, self.settings.ds_attrs_none, self.settings.ds_load_mode != 0)
    }
    fn load(&self) -> Result<(), String> {
        let new = self.read()?;
        if self.settings.ds_retain_latency_stats {
            new.keep_latencies(&self.sets());
        }
        self.put(new);
        self.calls.clear();
        Ok(())
    }
    /// Reads the list again, unless that was done just now.
    pub fn reload(&self, now: Now) -> Result<(), Reload> {
        let (now, before) = (unix(now), self.reloaded.load(Ordering::Relaxed));
        if before != 0 && now < before.saturating_add(self.settings.reload_delta) {
            return Err(Reload::TooSoon);
        }
        if self.reloaded.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(Reload::TooSoon);
        }
        self.load().map_err(Reload::Failed)?;
        self.load_at.store(0, Ordering::Relaxed);
        Ok(())
    }
    /// Changes the rows of the list in use; what stays keeps its state. False when `f` says so or they make no sense.
    fn change_rows(&self, f: impl FnOnce(&mut Vec<Row>) -> bool) -> bool {
        let _turn = self.changing.lock().unwrap_or_else(|e| e.into_inner());
        let old = self.sets();
        let mut rows = old.rows().to_vec();
        if !f(&mut rows) {
            return false;
        }
        match old.with_rows(rows, &self.listeners, self.settings.ds_attrs_none) {
            Ok(new) => self.put(new),
            Err(_) => return false,
        }
        true
    }
    /// The text that algorithm 7 hashes.
    fn hash_text(&self, ctx: &RouteContext<'_>) -> Option<Vec<u8>> {
        let format = self.hash_format.get_or_init(|| {
            let text = self.settings.hash_pvar.as_deref()?;
            match ctx.core.registry.parse_format(text.as_bytes()) {
                Ok(format) => Some(format),
                Err(why) => {
                    tracing::error!(target: "dispatcher", %why, "hash_pvar");
                    None
                }
            }
        });
        let Some(format) = format else {
            tracing::error!(target: "dispatcher", "algorithm 7 needs hash_pvar");
            return None;
        };
        Some(format.text(ctx).into_owned())
    }
    fn tell_pv(
        &self,
        ctx: &mut RouteContext<'_>,
        cell: &OnceLock<Option<Pv>>,
        name: &Option<String>,
        value: Value<'_>,
    ) {
        let Some(name) = name else { return };
        let pv = cell.get_or_init(|| match ctx.core.registry.parse_pv(name.as_bytes()) {
            Ok(pv) => Some(pv),
            Err(why) => {
                tracing::error!(target: "dispatcher", %why, "setid_pvname, attrs_pvname");
                None
            }
        });
        if let Some(pv) = pv {
            pv.set(ctx, value);
        }
    }
    fn is_from(&self, ctx: &mut RouteContext<'_>, set: i64, mode: i64, uri: &[u8]) -> Outcome {
        let socket = Some(ctx.inbound.socket);
        let peer = if uri.is_empty() {
            let source = ctx.inbound.source;
            Peer {
                ip: source.ip().to_canonical(),
                port: source.port(),
                transport: Some(ctx.inbound.transport),
                socket,
            }
        } else {
            let address = Uri::parse(uri).ok().and_then(|u| {
                let host = String::from_utf8_lossy(u.host).into_owned();
                let ip: IpAddr = match host.trim_matches(['[', ']']) {
                    "localhost" => IpAddr::from([127, 0, 0, 1]),
                    host => host.parse().ok()?,
                };
                Some((ip, u.port_or_default(), u.transport()))
            });
            let Some((ip, port, transport)) = address else {
                tracing::error!(target: "dispatcher", uri = %String::from_utf8_lossy(uri), "ds_is_from_list: this URI has no address");
                return Outcome::FALSE;
            };
            Peer { ip, port, transport, socket }
        };
        let sets = self.sets();
        let Some((id, destination)) = sets.from(set, mode, &peer) else { return Outcome::FALSE };
        if set == -1 {
            self.tell_pv(ctx, &self.setid_pv, &self.settings.setid_pvname, Value::Int(id));
        }
        if !destination.attributes.body.is_empty() {
            let attrs = Value::owned(destination.attributes.body.as_bytes());
            self.tell_pv(ctx, &self.attrs_pv, &self.settings.attrs_pvname, attrs);
        }
        Outcome::TRUE
    }
    fn mark(&self, ctx: &mut RouteContext<'_>, set: i64, uri: &str, letters: &[u8]) -> Outcome {
        let Some(new) = state::parse(letters) else {
            tracing::error!(target: "dispatcher", state = %String::from_utf8_lossy(letters), "a state is a, i, t or d, with p");
            return Outcome::FALSE;
        };
        let Some(destination) = self.sets().set(set).and_then(|s| s.find(uri).cloned()) else {
            return Outcome::FALSE;
        };
        let change = destination.set_state(new, self.settings.ds_probing_threshold);
        self.tell_change(ctx, change);
        Outcome::TRUE
    }
    fn select_one(&self, ctx: &mut RouteContext<'_>, set: i64, alg: i64, into: Into, limit: i64) -> Outcome {
        Outcome::from(self.select(ctx, &[(set, alg)], into, usize::try_from(limit).unwrap_or(0)))
    }
    fn select_rules(&self, ctx: &mut RouteContext<'_>, rules: &[u8], mode: &[u8], limit: i64) -> Outcome {
        let (Some(rules), Some(into)) = (route::parse_rules(rules), Into::parse(mode)) else {
            tracing::error!(target: "dispatcher", rules = %String::from_utf8_lossy(rules), mode = %String::from_utf8_lossy(mode),
                "ds_select_routes: expected rules like 1=4;2=8 and a mode d, r or x");
            return Outcome::FALSE;
        };
        Outcome::from(self.select(ctx, &rules, into, usize::try_from(limit).unwrap_or(0)))
    }
}

#[ksr_module("dispatcher")]
impl Dispatcher {
    /// Selects a destination of a set and makes it `$du`. With flag 2 the others follow in the list for `ds_next_dst`.
    ///
    /// `alg`: 0 hash of Call-ID, 1 of From URI, 2 of To URI, 3 of Request-URI, 4 round robin, 5 hash of the user of the credentials, 6 random, 7
    /// hash of `hash_pvar`, 8 highest priority, 9 weight, 10 fewest calls, 11 relative weight, 12 all at once, 13 lowest latency, 14
    /// round robin when all have one priority above 0, else as 8, 64 round robin that skips those in overload as often as they asked for
    /// (`ds_oc_set_attrs`; all skipped: -1, nobody takes this one). Returns 1, or -1 when there is no such set or nobody takes calls.
    #[ksr(cfg = ["ds_select_dst"])]
    fn ds_select_dst(&self, ctx: &mut RouteContext<'_>, set: i64, alg: i64) -> Outcome {
        self.select_one(ctx, set, alg, Into::NextHop, 0)
    }
    /// As `ds_select_dst`, with at most `limit` destinations in the list; 0 all.
    #[ksr(cfg = ["ds_select_dst"])]
    fn ds_select_dst_limit(&self, ctx: &mut RouteContext<'_>, set: i64, alg: i64, limit: i64) -> Outcome {
        self.select_one(ctx, set, alg, Into::NextHop, limit)
    }
    /// As `ds_select_dst`, into host, port and parameters of the Request-URI.
    #[ksr(cfg = ["ds_select_domain"])]
    fn ds_select_domain(&self, ctx: &mut RouteContext<'_>, set: i64, alg: i64) -> Outcome {
        self.select_one(ctx, set, alg, Into::RequestUri, 0)
    }
    /// As `ds_select_domain`, with at most `limit` destinations in the list; 0 all.
    #[ksr(cfg = ["ds_select_domain"])]
    fn ds_select_domain_limit(&self, ctx: &mut RouteContext<'_>, set: i64, alg: i64, limit: i64) -> Outcome {
        self.select_one(ctx, set, alg, Into::RequestUri, limit)
    }
    /// As `ds_select_dst`, only into the list: `ds_set_dst` or `ds_set_domain` use its first.
    #[ksr(cfg = ["ds_select"])]
    fn ds_select(&self, ctx: &mut RouteContext<'_>, set: i64, alg: i64) -> Outcome {
        self.select_one(ctx, set, alg, Into::List, 0)
    }
    /// As `ds_select`, with at most `limit` destinations in the list; 0 all.
    #[ksr(cfg = ["ds_select"])]
    fn ds_select_limit(&self, ctx: &mut RouteContext<'_>, set: i64, alg: i64, limit: i64) -> Outcome {
        self.select_one(ctx, set, alg, Into::List, limit)
    }
    /// Selects from several sets in order: `rules` is `set=alg;set=alg`. `mode`: `d` the first becomes `$du`, `r` the Request-URI, `x` neither.
    #[ksr(cfg = ["ds_select_routes"])]
    fn ds_select_routes(&self, ctx: &mut RouteContext<'_>, rules: &[u8], mode: &[u8]) -> Outcome {
        self.select_rules(ctx, rules, mode, 0)
    }
    /// As `ds_select_routes`, with at most `limit` destinations in all; 0 any number.
    #[ksr(cfg = ["ds_select_routes"])]
    fn ds_select_routes_limit(
        &self,
        ctx: &mut RouteContext<'_>,
        rules: &[u8],
        mode: &[u8],
        limit: i64,
    ) -> Outcome {
        self.select_rules(ctx, rules, mode, limit)
    }
    /// Makes the next destination of the list `$du`. Returns -1 when there is none.
    #[ksr(cfg = ["ds_next_dst"])]
    fn ds_next_dst(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(self.use_list(ctx, true, Into::NextHop))
    }
    /// Puts the next destination of the list into the Request-URI. Returns -1 when there is none.
    #[ksr(cfg = ["ds_next_domain"])]
    fn ds_next_domain(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(self.use_list(ctx, true, Into::RequestUri))
    }
    /// Makes the current destination of the list `$du`. Returns -1 when there is none.
    #[ksr(cfg = ["ds_set_dst"])]
    fn ds_set_dst(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(self.use_list(ctx, false, Into::NextHop))
    }
    /// Puts the current destination of the list into the Request-URI. Returns -1 when there is none.
    #[ksr(cfg = ["ds_set_domain"])]
    fn ds_set_domain(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(self.use_list(ctx, false, Into::RequestUri))
    }
    /// Makes the current destination of the list inactive. Returns -1 when there is none (flag 2 keeps the list).
    #[ksr(cfg = ["ds_mark_dst"])]
    fn ds_mark_dst(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.ds_mark_dst_state(ctx, b"i")
    }
    /// Sets the state of the current destination of the list: `a` active, `i` inactive, `d` disabled, `t` it failed once more; with `p` it is
    /// pinged. The callback `event_callback` runs when it takes calls no longer, or again.
    #[ksr(cfg = ["ds_mark_dst"])]
    fn ds_mark_dst_state(&self, ctx: &mut RouteContext<'_>, state: &[u8]) -> Outcome {
        let Some((set, uri, _)) = self.current(ctx) else { return Outcome::FALSE };
        self.mark(ctx, set, &uri, state)
    }
    /// Sets the state of a destination, as `ds_mark_dst_state`. Returns -1 when there is no such.
    #[ksr(no_message, cfg = ["ds_mark_addr"])]
    fn ds_mark_addr(&self, ctx: &mut RouteContext<'_>, state: &[u8], setid: i64, uri: &[u8]) -> Outcome {
        self.mark(ctx, setid, &String::from_utf8_lossy(uri), state)
    }
    /// Whether the request comes from a destination of any set, by address and port.
    #[ksr(cfg = ["ds_is_from_list"])]
    fn ds_is_from_lists(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.is_from(ctx, -1, 2, b"")
    }
    /// Whether the request comes from a destination of this set (-1: of any), by address and port.
    #[ksr(cfg = ["ds_is_from_list"])]
    fn ds_is_from_list(&self, ctx: &mut RouteContext<'_>, setid: i64) -> Outcome {
        self.is_from(ctx, setid, 2, b"")
    }
    /// Whether the request comes from a destination of this set (-1: of any). `mode` bits: 1 any port, 2 any transport, 4 only those that
    /// take calls, 8 to the destination's socket, 16 the nearest of those with the address. Without bit 2 a destination that names no
    /// transport is no match for a request.
    #[ksr(cfg = ["ds_is_from_list"])]
    fn ds_is_from_list_mode(&self, ctx: &mut RouteContext<'_>, setid: i64, mode: i64) -> Outcome {
        self.is_from(ctx, setid, mode, b"")
    }
    /// As `ds_is_from_list_mode` for the address of a URI, empty: of the request.
    #[ksr(no_message, cfg = ["ds_is_from_list"])]
    fn ds_is_from_list_uri(&self, ctx: &mut RouteContext<'_>, setid: i64, mode: i64, uri: &[u8]) -> Outcome {
        self.is_from(ctx, setid, mode, uri)
    }
    /// Whether there is such a set.
    #[ksr(no_message, cfg = ["ds_list_exists", "ds_list_exist"])]
    fn ds_list_exists(&self, set: i64) -> Outcome {
        Outcome::from(self.sets().set(set).is_some())
    }
    /// Whether a destination of the set takes calls.
    #[ksr(no_message, cfg = ["ds_is_active"])]
    fn ds_is_active(&self, set: i64) -> Outcome {
        Outcome::from(self.sets().set(set).is_some_and(|s| s.list.iter().any(|d| d.is_used())))
    }
    /// Whether this destination of the set takes calls.
    #[ksr(no_message, cfg = ["ds_is_active"])]
    fn ds_is_active_uri(&self, set: i64, uri: &[u8]) -> Outcome {
        if uri.is_empty() {
            return self.ds_is_active(set);
        }
        let uri = String::from_utf8_lossy(uri);
        Outcome::from(self.sets().set(set).and_then(|s| s.find(&uri)).is_some_and(|d| d.is_used()))
    }
    /// Keeps the load of algorithm 10 right: BYE and CANCEL end a call, a 2xx to the INVITE confirms it.
    ///
    /// Returns 0, as Kamailio does.
    #[ksr(cfg = ["ds_load_update"])]
    fn ds_load_update(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let call_id = ctx.message.call_id();
        if ctx.message.is_request() {
            if matches!(ctx.message.method(), Method::Bye | Method::Cancel) {
                self.calls.remove(call_id);
            }
            return Outcome(0);
        }
        let invite = ctx.message.cseq().is_ok_and(|c| c.method == Method::Invite);
        if !invite || !(200..300).contains(&ctx.message.status()) {
            return Outcome(0);
        }
        let expires = unix(ctx.now).saturating_add(self.settings.ds_hash_expire);
        self.calls.confirm(call_id, expires);
        Outcome(0)
    }
    /// The call no longer counts as load. Returns -1 when it did not; 0 for an INVITE that algorithm 10 chose no destination for.
    #[ksr(cfg = ["ds_load_unset"])]
    fn ds_load_unset(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let invite = ctx.message.is_request() && ctx.message.method() == Method::Invite;
        if invite && !self.current(ctx).is_some_and(|(_, _, counted)| counted) {
            return Outcome(0);
        }
        Outcome::from(self.calls.remove(ctx.message.call_id()))
    }
    /// Reads the list again. Returns -1 when that fails or `reload_delta` seconds have not passed: the old list is used on.
    #[ksr(no_message, blocking, cfg = ["ds_reload"])]
    fn ds_reload(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        match self.reload(ctx.now) {
            Ok(()) => Outcome::TRUE,
            Err(why) => {
                tracing::error!(target: "dispatcher", ?why, "not reloaded");
                Outcome::FALSE
            }
        }
    }
    /// Chooses the set that `$dsg(..)` tells of. Returns -1 when there is no such.
    #[ksr(cfg = ["ds_dsg_fetch"])]
    fn ds_dsg_fetch(&self, ctx: &mut RouteContext<'_>, setid: i64) -> Outcome {
        let set = self.sets().set(setid).cloned();
        let known = set.is_some();
        *ctx.slots.slot::<Fetched>() = Fetched { set, destination: None };
        Outcome::from(known)
    }
    /// As `ds_dsg_fetch`, with a destination of it, whose overload control `$dsg(ocrate)` and others tell. Returns -1 when there is no such.
    #[ksr(cfg = ["ds_dsg_fetch_uri"])]
    fn ds_dsg_fetch_uri(&self, ctx: &mut RouteContext<'_>, setid: i64, uri: &[u8]) -> Outcome {
        let set = self.sets().set(setid).cloned();
        let destination = set.as_ref().and_then(|s| s.find(&String::from_utf8_lossy(uri))).cloned();
        let known = destination.is_some();
        *ctx.slots.slot::<Fetched>() = Fetched { set: set.filter(|_| known), destination };
        Outcome::from(known)
    }
    /// A destination in overload is skipped by algorithm 64, after RFC 7339: `rval` times in 100 selections (0 to 100; above 0 at least its
    /// attribute `ocmin`), for `tval` milliseconds (500 when not above 0). `sval`: `oc-seq` of the reply that asked for it.
    ///
    /// Returns -1 for another `rval`, -2 when there is no such destination or `sval` is not above its last.
    #[ksr(cfg = ["ds_oc_set_attrs"])]
    fn ds_oc_set_attrs(
        &self,
        ctx: &mut RouteContext<'_>,
        setid: i64,
        uri: &[u8],
        rval: i64,
        tval: i64,
        sval: i64,
    ) -> Outcome {
        let Some(rate) = u32::try_from(rval).ok().filter(|r| *r <= 100) else {
            tracing::error!(target: "dispatcher", rval, "ds_oc_set_attrs: a rate is 0 to 100");
            return Outcome::FALSE;
        };
        let uri = String::from_utf8_lossy(uri);
        let known = self.sets().set(setid).and_then(|s| s.find(&uri).cloned());
        match known.is_some_and(|d| d.overload().set(ctx.now, rate, tval, sval)) {
            true => Outcome::TRUE,
            false => Outcome(-2),
        }
    }
}

impl Module for Dispatcher {
    fn name(&self) -> &'static str {
        "dispatcher"
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
        self.codes = ReplyCodes::parse(&self.settings.ds_ping_reply_codes)
            .map_err(|e| SetupError(format!("ds_ping_reply_codes: {e}")))?;
        self.listeners = setup.listeners.to_vec();
        let name = self.settings.ds_default_sockname.clone().unwrap_or_default();
        let address = self.settings.ds_default_socket.clone().unwrap_or_default();
        if !name.is_empty() || !address.is_empty() {
            let found = destination::socket(&self.listeners, &name, &address);
            let socket = found.ok_or_else(|| SetupError(format!("there is no socket {name}{address}")))?;
            self.default_socket = Some(socket);
        }
        self.ping_state = AtomicI64::new(1);
        let first = unix(setup.now).saturating_add(self.settings.ds_ping_interval);
        self.next_ping = AtomicU32::new(first);
        match self.settings.db_url.as_deref().filter(|u| !u.is_empty()) {
            // It is asked in the first tick: it may be down.
            Some(url) => {
                self.database = Some(store::open(url).map_err(|e| SetupError(format!("db_url: {e}")))?);
                self.load_at = AtomicU32::new(1);
            }
            None => self.load().map_err(SetupError)?,
        }
        Ok(())
    }
    fn tick(&self, _: &Core, now: Now) {
        /// Longest pause between two attempts to read the database at the start.
        const PAUSE_LIMIT: u32 = 60;
        let now = unix(now);
        let at = self.load_at.load(Ordering::Relaxed);
        if at != 0 && at <= now {
            match self.load() {
                Ok(()) => self.load_at.store(0, Ordering::Relaxed),
                Err(why) => {
                    if at == 1 {
                        tracing::error!(target: "dispatcher", %why, "no destinations until the database can be read");
                    }
                    let pause = self.load_pause.load(Ordering::Relaxed).clamp(1, PAUSE_LIMIT);
                    self.load_at.store(now.saturating_add(pause), Ordering::Relaxed);
                    self.load_pause.store(pause * 2, Ordering::Relaxed);
                }
            }
        }
        if self.next_check.load(Ordering::Relaxed) <= now {
            let next = now.saturating_add(self.settings.ds_hash_check_interval.max(1));
            self.next_check.store(next, Ordering::Relaxed);
            self.calls.expire(now);
        }
    }
    fn events(&self, services: &Services<'_>, now: Now) {
        self.tell_events(services, now);
        let interval = self.settings.ds_ping_interval;
        let at = unix(now);
        if interval == 0 || self.ping_state() == 0 || at < self.next_ping.load(Ordering::Relaxed) {
            return;
        }
        self.next_ping.store(at.saturating_add(interval), Ordering::Relaxed);
        self.ping_all(services, now);
    }
    fn local_reply(&self, _: &Services<'_>, now: Now, end: LocalEnd) {
        self.ping_reply(now, &end);
    }
}
