//! Dialogs in a database: Kamailio's tables `dialog` and `dialog_vars`.
//!
//! Only answered dialogs have a row. It is written by a thread of its own, which takes the dialog as it is when its turn comes; a database
//! that is away gets what changed when it is back.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use script::Core;
use store::{Condition, Database, Error, Query, Value, Worker};

use super::DialogModule;
use super::dialog::{Dialog, Facts, Leg, State};
use super::requests::socket_name;
use super::settings::Settings;

/// Jobs of the thread that can wait.
const QUEUE: usize = 65_536;
/// Seconds after which an absent database is tried again.
const RETRY: i64 = 10;
/// How long the server's end may take here.
const AT_THE_END: Duration = Duration::from_secs(10);

/// What the module keeps for its rows.
#[derive(Default)]
pub(super) struct Rows {
    database: Option<Arc<dyn Database>>,
    writer: OnceLock<Option<Worker>>,
    shared: Arc<Shared>,
    loaded: AtomicBool,
    /// Unix time of the next look at what waits.
    next: AtomicI64,
}

#[derive(Default)]
struct Shared {
    /// Dialogs that wait: with `db_mode` 2 for the time, otherwise for the database to be back.
    waiting: Mutex<Vec<Arc<Dialog>>>,
    away: AtomicBool,
}

impl Shared {
    fn wait(&self, dialog: Arc<Dialog>) {
        self.waiting.lock().unwrap_or_else(|e| e.into_inner()).push(dialog);
    }
    /// Logs when the database goes or comes.
    fn seen<T>(&self, result: &Result<T, Error>) {
        match result {
            Err(error @ Error::Unavailable(_)) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::error!(target: "dialog", "{error}: dialogs are written when it is back");
                }
            }
            Err(error) => tracing::error!(target: "dialog", "{error}"),
            Ok(_) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::warn!(target: "dialog", "the database is back");
                }
            }
        }
    }
}

impl Rows {
    pub(super) fn new(database: Arc<dyn Database>) -> Rows {
        Rows { database: Some(database), ..Rows::default() }
    }
    fn writer(&self) -> Option<&Worker> {
        let start = || {
            Worker::start("dialog-db", QUEUE)
                .inspect_err(|e| tracing::error!(target: "dialog", "no thread for rows of dialogs: {e}"))
                .ok()
        };
        self.writer.get_or_init(start).as_ref()
    }
}

impl DialogModule {
    /// A dialog changed: its row is written, now or later, as `db_mode` says.
    pub(super) fn changed(&self, dialog: &Arc<Dialog>) {
        if !matches!(self.settings.db_mode, 1 | 2) {
            return;
        }
        {
            let mut facts = dialog.facts();
            let has_row = facts.stored || matches!(facts.state, State::Answered | State::Confirmed);
            if !has_row || std::mem::replace(&mut facts.dirty, true) {
                return;
            }
        }
        match self.settings.db_mode {
            1 => self.write_row(dialog.clone()),
            _ => self.rows.shared.wait(dialog.clone()),
        }
    }

    fn write_row(&self, dialog: Arc<Dialog>) {
        let (Some(database), Some(writer)) = (self.rows.database.clone(), self.rows.writer()) else { return };
        let (shared, names, sockets) = (self.rows.shared.clone(), self.names(), self.sockets());
        let late = dialog.clone();
        let job = move || {
            let result = save(&*database, &names, &sockets, &dialog);
            shared.seen(&result);
            if matches!(result, Err(Error::Unavailable(_))) {
                shared.wait(dialog);
            }
        };
        if !writer.run(job) {
            self.rows.shared.wait(late);
        }
    }

    fn names(&self) -> Arc<Settings> {
        self.names.get_or_init(|| Arc::new(self.settings.clone())).clone()
    }

    fn sockets(&self) -> Arc<Vec<String>> {
        self.sockets.get().cloned().unwrap_or_default()
    }

    /// Once a second: loads at the start, writes what waits.
    pub(super) fn tick_rows(&self, core: &Core, now: i64) {
        if self.settings.db_mode == 0 {
            return;
        }
        self.sockets.get_or_init(|| Arc::new(core.listeners.iter().map(socket_name).collect()));
        if now < self.rows.next.load(Ordering::Relaxed) {
            return;
        }
        if !self.rows.loaded.load(Ordering::Relaxed) && !self.settings.db_skip_load {
            match self.load(None, core, now) {
                Ok(n) => {
                    self.rows.loaded.store(true, Ordering::Relaxed);
                    if n > 0 {
                        tracing::info!(target: "dialog", "{n} dialogs read from the database");
                    }
                }
                Err(_) => return self.rows.next.store(now + RETRY, Ordering::Relaxed),
            }
        }
        let period = match self.settings.db_mode {
            2 => i64::from(self.settings.db_update_period),
            _ => RETRY,
        };
        self.rows.next.store(now + period, Ordering::Relaxed);
        let waiting =
            std::mem::take(&mut *self.rows.shared.waiting.lock().unwrap_or_else(|e| e.into_inner()));
        for dialog in waiting {
            self.write_row(dialog);
        }
    }

    /// The server ends: everything that is not in the database yet.
    pub(super) fn write_all(&self, core: &Core) {
        if self.settings.db_mode == 0 {
            return;
        }
        self.sockets.get_or_init(|| Arc::new(core.listeners.iter().map(socket_name).collect()));
        for dialog in self.table.all() {
            let wanted = {
                let facts = dialog.facts();
                facts.stored || matches!(facts.state, State::Answered | State::Confirmed)
            };
            if wanted && (self.settings.db_mode == 3 || dialog.facts().dirty) {
                self.write_row(dialog);
            }
        }
        if let Some(writer) = self.rows.writer()
            && !writer.flush(AT_THE_END)
        {
            tracing::error!(target: "dialog", "the database takes too long: not all dialogs are written");
        }
    }

    /// Reads dialogs that are not here: all, or those of a Call-ID. Returns how many there were.
    pub(super) fn load(&self, call_id: Option<&[u8]>, core: &Core, now: i64) -> Result<usize, Error> {
        let Some(database) = &self.rows.database else {
            return Err(Error::Unsupported("store dialogs: db_mode is 0"));
        };
        let result = self.read(&**database, call_id, core, now);
        self.rows.shared.seen(&result);
        result
    }

    fn read(&self, db: &dyn Database, call_id: Option<&[u8]>, core: &Core, now: i64) -> Result<usize, Error> {
        let s = &self.settings;
        let columns = columns(s);
        let conditions: Vec<Condition<'_>> =
            call_id.map(|id| Condition::equal(&s.call_id_column, Value::text(id))).into_iter().collect();
        let query =
            Query { table: &s.table_name, columns: &columns, conditions: &conditions, ..Query::default() };
        let mut loaded = 0;
        for row in db.query(&query)? {
            let Some(dialog) = from_row(&row, core, now) else {
                tracing::error!(target: "dialog", table = %s.table_name, "a row is no dialog: left out");
                continue;
            };
            if self.table.get((dialog.entry, dialog.id)).is_some() {
                continue;
            }
            for (name, value) in self.read_vars(db, &dialog)? {
                dialog.set_var(&name, Some(&value));
            }
            let dialog = Arc::new(dialog);
            let (state, timeout) = {
                let f = dialog.facts();
                (f.state, f.timeout)
            };
            if self.table.insert(dialog.clone()) {
                self.table.schedule(&dialog, timeout);
                if matches!(state, State::Answered | State::Confirmed) {
                    self.counters.active(1);
                }
                loaded += 1;
            }
        }
        Ok(loaded)
    }

    fn read_vars(&self, db: &dyn Database, dialog: &Dialog) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let s = &self.settings;
        let query = Query {
            table: &s.vars_table_name,
            columns: &[&s.vars_key_column, &s.vars_value_column],
            conditions: &of(dialog, &s.vars_h_entry_column, &s.vars_h_id_column),
            ..Query::default()
        };
        let text = |v: &Value| v.as_text().map(<[u8]>::to_vec);
        let pair = |row: Vec<Value>| Some((text(row.first()?)?, text(row.get(1)?)?));
        Ok(db.query(&query)?.into_iter().filter_map(pair).collect())
    }
}

fn of<'a>(dialog: &Dialog, entry: &'a str, id: &'a str) -> [Condition<'a>; 2] {
    [
        Condition::equal(entry, Value::Int(i64::from(dialog.entry))),
        Condition::equal(id, Value::Int(i64::from(dialog.id))),
    ]
}

/// In the order of [`row`] and [`from_row`].
fn columns(s: &Settings) -> [&str; 22] {
    [
        &s.h_entry_column,
        &s.h_id_column,
        &s.call_id_column,
        &s.from_uri_column,
        &s.from_tag_column,
        &s.to_uri_column,
        &s.to_tag_column,
        &s.from_cseq_column,
        &s.to_cseq_column,
        &s.from_route_column,
        &s.to_route_column,
        &s.from_contact_column,
        &s.to_contact_column,
        &s.from_sock_column,
        &s.to_sock_column,
        &s.state_column,
        &s.start_time_column,
        &s.timeout_column,
        &s.sflags_column,
        "iflags",
        &s.toroute_name_column,
        "req_uri",
    ]
}

fn row(dialog: &Dialog, f: &Facts, sockets: &[String]) -> [Value; 22] {
    let int = |n: u32| Value::Int(i64::from(n));
    let socket = |leg: &Leg| {
        let name = leg.socket.and_then(|s| sockets.get(usize::from(s.0)));
        Value::text(name.map_or("", String::as_str))
    };
    [
        int(dialog.entry),
        int(dialog.id),
        Value::text(&dialog.call_id),
        Value::text(&dialog.from_uri),
        Value::text(&dialog.from_tag),
        Value::text(&dialog.to_uri),
        Value::text(&f.to_tag),
        Value::text(f.caller.cseq.to_string()),
        Value::text(f.callee.cseq.to_string()),
        Value::text(&f.caller.route_set),
        Value::text(&f.callee.route_set),
        Value::text(&f.caller.contact),
        Value::text(&f.callee.contact),
        socket(&f.caller),
        socket(&f.callee),
        Value::Int(f.state as i64),
        Value::Int(f.started),
        Value::Int(f.timeout),
        int(f.flags),
        int(f.properties),
        Value::text(&f.timeout_route),
        Value::text(&dialog.request_uri),
    ]
}

fn from_row(row: &[Value], core: &Core, now: i64) -> Option<Dialog> {
    let text = |i: usize| row.get(i).and_then(Value::as_text).unwrap_or_default();
    let number = |i: usize| match row.get(i)? {
        Value::Text(t) => std::str::from_utf8(t).ok()?.trim().parse().ok(),
        other => other.as_int(),
    };
    let small = |i: usize| number(i).and_then(|n| u32::try_from(n).ok());
    let leg = |cseq: usize, route: usize, contact: usize, socket: usize| Leg {
        contact: text(contact).into(),
        cseq: small(cseq).unwrap_or(0),
        route_set: text(route).into(),
        socket: core
            .listeners
            .iter()
            .position(|l| socket_name(l).as_bytes() == text(socket))
            .map(|at| transaction::SocketId(at as u16)),
    };
    if text(2).is_empty() || text(4).is_empty() {
        return None;
    }
    let state = State::from_number(number(15)?)?;
    let started = number(16).unwrap_or(0);
    let timeout = number(17).filter(|t| *t > 0).unwrap_or(now + 1);
    let mut facts = Facts::new(started, u32::try_from(timeout - started).unwrap_or(1));
    facts.state = state;
    facts.to_tag = text(6).into();
    facts.caller = leg(7, 9, 11, 13);
    facts.callee = leg(8, 10, 12, 14);
    facts.started = started;
    facts.timeout = timeout;
    facts.flags = small(18).unwrap_or(0);
    facts.properties = small(19).unwrap_or(0);
    facts.timeout_route = text(20).into();
    facts.stored = true;
    let key = (small(0)?, small(1)?);
    let cseq = facts.caller.cseq;
    Some(Dialog::new(key, text(2), text(4), text(3), text(5), text(21), cseq, facts))
}

/// Brings a dialog's rows up to date.
fn save(db: &dyn Database, s: &Settings, sockets: &[String], dialog: &Dialog) -> Result<(), Error> {
    let facts = {
        let mut facts = dialog.facts();
        facts.dirty = false;
        facts.clone()
    };
    let result = write(db, s, sockets, dialog, &facts);
    // What the database refused it refuses again, until the dialog changes.
    if matches!(result, Err(Error::Unavailable(_))) {
        dialog.facts().dirty = true;
    }
    result
}

fn write(
    db: &dyn Database,
    s: &Settings,
    sockets: &[String],
    dialog: &Dialog,
    facts: &Facts,
) -> Result<(), Error> {
    let mine = of(dialog, &s.h_entry_column, &s.h_id_column);
    let vars = of(dialog, &s.vars_h_entry_column, &s.vars_h_id_column);
    if facts.state == State::Ended {
        if facts.stored {
            db.delete(&s.table_name, &mine)?;
            db.delete(&s.vars_table_name, &vars)?;
            dialog.facts().stored = false;
        }
        return Ok(());
    }
    let (columns, row) = (columns(s), row(dialog, facts, sockets));
    if facts.stored {
        db.update(&s.table_name, &columns, &row, &mine)?;
        db.delete(&s.vars_table_name, &vars)?;
    } else {
        db.insert(&s.table_name, &columns, &row)?;
        dialog.facts().stored = true;
    }
    let columns = [&s.vars_h_entry_column, &s.vars_h_id_column, &s.vars_key_column, &s.vars_value_column]
        .map(String::as_str);
    let mut outcome = Ok(());
    for (name, value) in facts.vars.iter().rev() {
        let id = |n: u32| Value::Int(i64::from(n));
        let row = [id(dialog.entry), id(dialog.id), Value::text(name), Value::text(value)];
        match db.insert(&s.vars_table_name, &columns, &row) {
            Ok(()) => {}
            Err(gone @ Error::Unavailable(_)) => return Err(gone),
            // A variable that does not fit must not cost the others.
            Err(why) => outcome = outcome.and(Err(why)),
        }
    }
    outcome
}
