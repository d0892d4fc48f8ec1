//! Module `htable`: tables that scripts keep things in, shared by all workers.
//!
//! `table.rs` is a table, `settings.rs` its definition, `matching.rs` which items a condition means, `iterator.rs` and `lock.rs` what scripts
//! hold open, `db.rs` the way to a database and back, `events.rs` what the script is told.

mod db;
mod events;
mod iterator;
mod lock;
mod matching;
mod pv;
mod rpc;
mod settings;
mod table;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use script::{
    Core, Function, ModParam, Module, Outcome, ParamValue, PseudoVariable, RouteContext, RpcCommand,
    Services, Setup, SetupError, Value, ksr_module,
};
use store::Database;
use transaction::Now;

use db::Pending;
use events::Events;
use lock::{Holder, Locks, PATIENCE};
use matching::Test;
pub use settings::{Definition, Settings};
pub use table::{Item, Life, Refused, Stored, Table};

/// Module `htable`.
#[derive(Default)]
pub struct Htable {
    settings: Settings,
    tables: Vec<Arc<Table>>,
    locks: Vec<Arc<Locks>>,
    database: Option<Arc<dyn Database>>,
    pending: Mutex<Vec<Pending>>,
    events: Events,
    /// When ended items are looked for next, Unix time.
    next_sweep: AtomicU32,
}

/// What `sht_inc` and `sht_dec` give when there is no integer.
const NO_INTEGER: Outcome = Outcome(-255);

/// Unix time as items keep it.
fn seconds(now: Now) -> u32 {
    u32::try_from(now.unix()).unwrap_or(u32::MAX)
}

/// How many items that are there pass.
fn count(table: &Table, now: u32, mut passes: impl FnMut(&Item) -> bool) -> i64 {
    let mut n = 0;
    table.each(now, |i| {
        n += i64::from(passes(i));
        true
    });
    n
}

/// Seconds from a script: below zero as zero.
fn life(seconds: i64) -> Life {
    Life::Seconds(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

impl Htable {
    /// All tables in the order of their definition.
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }
    fn position(&self, name: &[u8]) -> Option<usize> {
        self.tables.iter().position(|t| t.name().as_bytes() == name)
    }
    /// A table by name.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Table>> {
        self.tables.get(self.position(name)?)
    }
    /// As [`Htable::find`], for scripts: says so when there is none.
    fn named(&self, name: &[u8]) -> Option<&Arc<Table>> {
        let found = self.find(name);
        if found.is_none() {
            tracing::error!(target: "htable", table = %String::from_utf8_lossy(name), "there is no such table");
        }
        found
    }
    fn value(&self, ctx: &RouteContext<'_>, table: &[u8], key: &[u8]) -> Option<Value<'static>> {
        self.named(table)?.get(key, seconds(ctx.now)).map(|v| v.to_value())
    }
    fn store(&self, ctx: &RouteContext<'_>, table: &[u8], key: &[u8], value: Stored, life: Life) -> Outcome {
        let Some(table) = self.named(table) else { return Outcome::FALSE };
        Outcome::from(table.set(key, value, life, seconds(ctx.now)).is_ok())
    }
    fn add(&self, ctx: &RouteContext<'_>, table: &[u8], key: &[u8], by: i64) -> Outcome {
        let sum = self.named(table).and_then(|t| t.add(key, by, seconds(ctx.now)));
        sum.map_or(NO_INTEGER, Outcome)
    }
    fn remove_where(
        &self,
        ctx: &RouteContext<'_>,
        table: &[u8],
        operator: &[u8],
        text: &[u8],
        passes: fn(&Test, &Item) -> bool,
    ) -> Outcome {
        let Some(table) = self.named(table) else { return Outcome::FALSE };
        if !matches!(operator, b"re" | b"sw" | b"ew" | b"in") {
            tracing::error!(target: "htable", operator = %String::from_utf8_lossy(operator), "expected re, sw, ew or in");
            return Outcome::FALSE;
        }
        let Some(test) = Test::operator(ctx, operator, text) else { return Outcome::FALSE };
        table.remove_where(|i| passes(&test, i));
        Outcome::TRUE
    }
    fn any(
        &self,
        ctx: &RouteContext<'_>,
        table: &[u8],
        operator: &[u8],
        text: &[u8],
        passes: fn(&Test, &Item) -> bool,
    ) -> Outcome {
        let Some(table) = self.named(table) else { return Outcome::FALSE };
        let Some(test) = Test::operator(ctx, operator, text) else { return Outcome::FALSE };
        let mut found = false;
        table.each(seconds(ctx.now), |i| {
            found = passes(&test, i);
            !found
        });
        Outcome::from(found)
    }
    /// Writes to the item an iterator stands on; `None` as life leaves its end alone.
    fn through_iterator(
        &self,
        ctx: &RouteContext<'_>,
        name: &[u8],
        f: impl FnOnce(&Table, &[u8]),
    ) -> Outcome {
        let Some((table, key)) = iterator::current(ctx, name) else {
            tracing::error!(target: "htable", iterator = %String::from_utf8_lossy(name), "the iterator stands on no item");
            return Outcome::FALSE;
        };
        f(&table, &key);
        Outcome::TRUE
    }
    fn has_database(&self) -> bool {
        self.database.is_some()
    }
    /// Reads a table from the database. Waits for it.
    fn load(&self, at: usize, now: u32) -> Result<(), String> {
        let (Some(table), Some(database)) = (self.tables.get(at), &self.database) else {
            return Err("no database".into());
        };
        if table.definition().dbtable.is_empty() {
            return Err("the table has no dbtable".into());
        }
        let items = db::read(database.as_ref(), &self.settings, table, now).map_err(|e| e.to_string())?;
        table.replace(items, now);
        Ok(())
    }
    /// Writes a table to the database. Waits for it.
    fn write(&self, at: usize, now: u32) -> Result<(), String> {
        let (Some(table), Some(database)) = (self.tables.get(at), &self.database) else {
            return Err("no database".into());
        };
        if table.definition().dbtable.is_empty() {
            return Err("the table has no dbtable".into());
        }
        db::write(database.as_ref(), &self.settings, table, now).map_err(|e| e.to_string())
    }
    fn reloaded(&self, at: usize) {
        if let Some(table) = self.tables.get(at).filter(|_| self.settings.event_callback.is_some()) {
            self.events.tell(&format!("htable:reloaded:{}", table.name()));
        }
    }
    /// Loads what could not be loaded before. The lock is not held over it: only the timer comes here.
    fn load_pending(&self, now: u32) {
        let mut pending = std::mem::take(&mut *self.pending());
        if pending.is_empty() {
            return;
        }
        pending.retain_mut(|p| {
            if p.at > now {
                return true;
            }
            let name = self.tables.get(p.table).map_or("", |t| t.name());
            match self.load(p.table, now) {
                Ok(()) => {
                    if p.at > 0 {
                        tracing::info!(target: "htable", table = name, "loaded from the database");
                    }
                    return false;
                }
                Err(why) if p.at == 0 => {
                    tracing::error!(target: "htable", table = name, %why, "not loaded from the database; it is empty until that works");
                }
                Err(_) => {}
            }
            p.put_off(now);
            true
        });
        self.pending().extend(pending);
    }
    fn pending(&self) -> std::sync::MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[ksr_module("htable")]
impl Htable {
    /// The value of an item, or null. With `initval` that number stands for an item that is not there.
    #[ksr(no_message)]
    fn sht_get<'c>(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Value<'c> {
        self.value(ctx, htname, itname).unwrap_or(Value::Null)
    }
    /// As `sht_get`, with an empty text for null.
    #[ksr(no_message)]
    fn sht_gete<'c>(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Value<'c> {
        self.value(ctx, htname, itname).unwrap_or(Value::from(""))
    }
    /// As `sht_get`, with `<null>` for null.
    #[ksr(no_message)]
    fn sht_getw<'c>(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Value<'c> {
        self.value(ctx, htname, itname).unwrap_or(Value::from("<null>"))
    }
    /// Whether an item is not there: 1, or -2 when the table's `initval` stands for it; -1 when it is there. 2 when there is no such table.
    #[ksr(no_message)]
    fn sht_is_null(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Outcome {
        let Some(table) = self.find(htname) else { return Outcome(2) };
        match table.look(itname, seconds(ctx.now), |_| ()) {
            Some(()) => Outcome::FALSE,
            None if table.definition().initval.is_some() => Outcome(-2),
            None => Outcome::TRUE,
        }
    }
    /// Sets an item to a text. Returns 1, or -1 when there is no such table or it takes no more.
    #[ksr(no_message)]
    fn sht_sets(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8], itval: &[u8]) -> Outcome {
        self.store(ctx, htname, itname, Stored::Str(itval.into()), Life::Auto)
    }
    /// Sets an item to an integer. Returns 1, or -1 when there is no such table or it takes no more.
    #[ksr(no_message)]
    fn sht_seti(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8], itval: i64) -> Outcome {
        self.store(ctx, htname, itname, Stored::Int(itval), Life::Auto)
    }
    /// Sets the seconds an item still lives, 0 for ever. Returns 1 also when the item is not there; nothing happens in a table without
    /// `autoexpire`. -1 when there is no such table.
    #[ksr(no_message)]
    fn sht_setex(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8], exval: i64) -> Outcome {
        let Some(table) = self.named(htname) else { return Outcome::FALSE };
        table.set_expiry(itname, u32::try_from(exval.max(0)).unwrap_or(u32::MAX), seconds(ctx.now));
        Outcome::TRUE
    }
    /// Sets an item to a text that lives `exval` seconds; 0: as the table says. In a table without `autoexpire` it does not end.
    #[ksr(no_message)]
    fn sht_setxs(
        &self,
        ctx: &mut RouteContext<'_>,
        htname: &[u8],
        itname: &[u8],
        itval: &[u8],
        exval: i64,
    ) -> Outcome {
        self.store(ctx, htname, itname, Stored::Str(itval.into()), life(exval))
    }
    /// Sets an item to an integer that lives `exval` seconds, as `sht_setxs`. Returns 0, as Kamailio does; -1 when there is no such table or it
    /// takes no more.
    #[ksr(no_message)]
    fn sht_setxi(
        &self,
        ctx: &mut RouteContext<'_>,
        htname: &[u8],
        itname: &[u8],
        itval: i64,
        exval: i64,
    ) -> Outcome {
        match self.store(ctx, htname, itname, Stored::Int(itval), life(exval)) {
            Outcome::TRUE => Outcome(0),
            other => other,
        }
    }
    /// Adds one to an integer and returns it. One that is not there begins with `initval`; -255 without it, for texts, and when there is no
    /// such table.
    #[ksr(no_message)]
    fn sht_inc(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Outcome {
        self.add(ctx, htname, itname, 1)
    }
    /// Takes one from an integer and returns it, as `sht_inc`.
    #[ksr(no_message)]
    fn sht_dec(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Outcome {
        self.add(ctx, htname, itname, -1)
    }
    /// Removes an item. Returns 1 also when it is not there; -1 when there is no such table.
    #[ksr(no_message, cfg = ["sht_rm"])]
    fn sht_rm(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Outcome {
        let Some(table) = self.named(htname) else { return Outcome::FALSE };
        table.remove(itname, seconds(ctx.now));
        Outcome::TRUE
    }
    /// Removes the items whose key a regular expression is found in, without case. -1 when the expression is bad or there is no such table.
    #[ksr(no_message)]
    fn sht_rm_name_re(&self, ctx: &mut RouteContext<'_>, htname: &[u8], rexp: &[u8]) -> Outcome {
        self.remove_where(ctx, htname, b"re", rexp, |t, i| t.text(i.key()))
    }
    /// Removes the items whose text a regular expression is found in, without case.
    #[ksr(no_message)]
    fn sht_rm_value_re(&self, ctx: &mut RouteContext<'_>, htname: &[u8], rexp: &[u8]) -> Outcome {
        self.remove_where(ctx, htname, b"re", rexp, |t, i| t.value(i))
    }
    /// Removes the items whose key passes: `re` regular expression, `sw` begins with, `ew` ends with, `in` has in it. -1 for another
    /// operator.
    #[ksr(no_message, cfg = ["sht_rm_name"])]
    fn sht_rm_name(&self, ctx: &mut RouteContext<'_>, htname: &[u8], op: &[u8], val: &[u8]) -> Outcome {
        self.remove_where(ctx, htname, op, val, |t, i| t.text(i.key()))
    }
    /// Removes the items whose text passes, as `sht_rm_name`. Integers stay.
    #[ksr(no_message, cfg = ["sht_rm_value"])]
    fn sht_rm_value(&self, ctx: &mut RouteContext<'_>, htname: &[u8], op: &[u8], val: &[u8]) -> Outcome {
        self.remove_where(ctx, htname, op, val, |t, i| t.value(i))
    }
    /// Whether the key of an item passes: `eq`, `ne`, `re` regular expression, `sw` begins with, `ew` ends with, `in` has in it.
    #[ksr(no_message, cfg = ["sht_has_name"])]
    fn sht_match_name(&self, ctx: &mut RouteContext<'_>, htname: &[u8], op: &[u8], mval: &[u8]) -> Outcome {
        self.any(ctx, htname, op, mval, |t, i| t.text(i.key()))
    }
    /// Whether the text of an item passes, as `sht_match_name`.
    #[ksr(no_message, cfg = ["sht_has_str_value"])]
    fn sht_match_str_value(
        &self,
        ctx: &mut RouteContext<'_>,
        htname: &[u8],
        op: &[u8],
        mval: &[u8],
    ) -> Outcome {
        self.any(ctx, htname, op, mval, |t, i| t.value(i))
    }
    /// Number of items whose key passes, as `sht_match_name`; -1 for another operator and when there is no such table.
    #[ksr(no_message)]
    fn sht_cn(&self, ctx: &mut RouteContext<'_>, htname: &[u8], op: &[u8], mval: &[u8]) -> Outcome {
        let Some(table) = self.named(htname) else { return Outcome::FALSE };
        let Some(test) = Test::operator(ctx, op, mval) else { return Outcome::FALSE };
        Outcome(count(table, seconds(ctx.now), |i| test.text(i.key())))
    }
    /// Removes all items. Returns 0, as Kamailio does; -1 when there is no such table.
    #[ksr(no_message, cfg = ["sht_reset"])]
    fn sht_reset(&self, htname: &[u8]) -> Outcome {
        let Some(table) = self.named(htname) else { return Outcome::FALSE };
        table.clear();
        Outcome(0)
    }
    /// Keeps others out of `sht_lock` for this key until `sht_unlock`, or until the route ends.
    ///
    /// Who waits for longer than a second gets -1 and goes on without. Reading and writing items does not wait for it. May be taken
    /// several times by one route. -1 also when there is no such table.
    #[ksr(no_message, blocking)]
    fn sht_lock(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Outcome {
        let locks = self.named(htname).and_then(|_| self.locks.get(self.position(htname)?));
        let Some(locks) = locks else { return Outcome::FALSE };
        let locked = ctx.slots.slot::<Holder>().lock(locks, itname, PATIENCE);
        if !locked {
            tracing::error!(target: "htable", call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                table = %String::from_utf8_lossy(htname), key = %String::from_utf8_lossy(itname),
                "sht_lock: another route holds it for too long; going on without");
        }
        Outcome::from(locked)
    }
    /// Gives back what `sht_lock` took. Returns 1 also when it was not taken; -1 when there is no such table.
    #[ksr(no_message)]
    fn sht_unlock(&self, ctx: &mut RouteContext<'_>, htname: &[u8], itname: &[u8]) -> Outcome {
        let locks = self.named(htname).and_then(|_| self.locks.get(self.position(htname)?));
        let Some(locks) = locks else { return Outcome::FALSE };
        ctx.slots.slot::<Holder>().unlock(locks, itname);
        Outcome::TRUE
    }
    /// Opens an iterator over a table, before its first item; there are four per worker, told apart by their names. -1 when too many are
    /// open or there is no such table. It holds no lock: items may be written and removed meanwhile.
    #[ksr(no_message, cfg = ["sht_iterator_start"])]
    fn sht_iterator_start(&self, ctx: &mut RouteContext<'_>, iname: &[u8], hname: &[u8]) -> Outcome {
        let Some(table) = self.named(hname) else { return Outcome::FALSE };
        Outcome::from(iterator::start(ctx, iname, table))
    }
    /// To the next item: `$shtitkey(iname)` and `$shtitval(iname)`. -1 after the last.
    #[ksr(no_message, cfg = ["sht_iterator_next"])]
    fn sht_iterator_next(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        Outcome::from(iterator::next(ctx, iname, seconds(ctx.now)))
    }
    /// Closes an iterator. -1 when there is none of that name.
    #[ksr(no_message, cfg = ["sht_iterator_end"])]
    fn sht_iterator_end(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        Outcome::from(iterator::end(ctx, iname))
    }
    /// Removes the item an iterator stands on.
    #[ksr(no_message, cfg = ["sht_iterator_rm"])]
    fn sht_iterator_rm(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        let now = seconds(ctx.now);
        self.through_iterator(ctx, iname, |table, key| {
            table.remove(key, now);
        })
    }
    /// Sets the item an iterator stands on to a text.
    #[ksr(no_message, cfg = ["sht_iterator_sets"])]
    fn sht_iterator_sets(&self, ctx: &mut RouteContext<'_>, iname: &[u8], ival: &[u8]) -> Outcome {
        let now = seconds(ctx.now);
        self.through_iterator(ctx, iname, |table, key| {
            let _ = table.set(key, Stored::Str(ival.into()), Life::Auto, now);
        })
    }
    /// Sets the item an iterator stands on to an integer.
    #[ksr(no_message, cfg = ["sht_iterator_seti"])]
    fn sht_iterator_seti(&self, ctx: &mut RouteContext<'_>, iname: &[u8], ival: i64) -> Outcome {
        let now = seconds(ctx.now);
        self.through_iterator(ctx, iname, |table, key| {
            let _ = table.set(key, Stored::Int(ival), Life::Auto, now);
        })
    }
    /// Sets the seconds the item an iterator stands on still lives.
    #[ksr(no_message, cfg = ["sht_iterator_setex"])]
    fn sht_iterator_setex(&self, ctx: &mut RouteContext<'_>, iname: &[u8], exval: i64) -> Outcome {
        let now = seconds(ctx.now);
        self.through_iterator(ctx, iname, |table, key| {
            table.set_expiry(key, u32::try_from(exval.max(0)).unwrap_or(u32::MAX), now);
        })
    }
}

impl Module for Htable {
    fn name(&self) -> &'static str {
        "htable"
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
        if let ("htable", ParamValue::Str(text)) = (name, &value) {
            let definition = Definition::parse(text)?;
            if self.find(definition.name.as_bytes()).is_some() {
                return Err(SetupError(format!("there are two tables {}", definition.name)));
            }
            self.tables.push(Arc::new(Table::new(definition)));
            self.locks.push(Arc::default());
        }
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        rpc::COMMANDS
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        if self.settings.enable_dmq {
            return Err(SetupError("enable_dmq: replication over DMQ is not available here yet".into()));
        }
        if let Some(url) = self.settings.db_url.as_deref().filter(|u| !u.is_empty()) {
            self.database = Some(store::open(url).map_err(|e| SetupError(format!("db_url: {e}")))?);
            let from_database = |(_, t): &(usize, &Arc<Table>)| !t.definition().dbtable.is_empty();
            let pending = self.tables.iter().enumerate().filter(from_database).map(|(i, _)| Pending::new(i));
            self.pending = Mutex::new(pending.collect());
        }
        if self.settings.event_callback.is_some() {
            self.events.tell("htable:mod-init");
        }
        Ok(())
    }
    fn tick(&self, _: &Core, now: Now) {
        /// Most items looked at in one tick; what is left waits for the next.
        const BUDGET: usize = 50_000;
        let now = seconds(now);
        self.load_pending(now);
        if now < self.next_sweep.load(Ordering::Relaxed) {
            return;
        }
        let mut budget = BUDGET;
        for table in &self.tables {
            let listens = self.settings.event_callback.is_some();
            let looked = table.sweep(now, budget, &mut |item| {
                if listens {
                    self.events.expired(table.name(), item);
                }
            });
            budget = budget.saturating_sub(looked);
        }
        if budget > 0 {
            self.next_sweep.store(now.saturating_add(self.settings.timer_interval.max(1)), Ordering::Relaxed);
        }
    }
    fn events(&self, services: &Services<'_>, now: Now) {
        match &self.settings.event_callback {
            Some(callback) => self.events.run(callback, services, now),
            None => self.events.clear(),
        }
    }
    fn stop(&self, _: &Core, now: Now) {
        let now = seconds(now);
        for (at, table) in self.tables.iter().enumerate().filter(|(_, t)| t.definition().dbmode) {
            // What never came from the database must not overwrite it.
            if self.database.is_none() || self.pending().iter().any(|p| p.table == at) {
                continue;
            }
            if let Err(why) = self.write(at, now) {
                tracing::error!(target: "htable", table = %table.name(), %why, "not written back to the database");
            }
        }
    }
}
