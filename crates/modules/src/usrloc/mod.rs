//! Module `usrloc`: where users can be reached. Keeps location tables in memory for [`registrar`](crate::registrar) and others.
//!
//! `domain.rs` is a table, `records.rs` its hash table, `record.rs` the bindings of one address-of-record, `contact.rs` one binding, `expiry.rs` what ends next;
//! `backing.rs` keeps tables in a database too, `store.rs` knows its rows. A table is made when it is first saved to (Kamailio wants it in `preload` when a script in another language does that).

mod attributes;
pub mod backing;
pub mod contact;
pub mod domain;
pub mod expiry;
pub mod record;
mod records;
mod rpc;
mod settings;
pub mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::thread::JoinHandle;

use message::Transport;
use script::{Core, Listener, ModParam, Module, ParamValue, RpcCommand, Setup, SetupError, Statistics};
use transaction::{Now, SocketId};

pub use backing::{Backing, Mode, SaveError};
pub use contact::{Contact, ContactInfo, Ruid, RuidFormat};
pub use domain::{Domain, Entry, Rules};
pub use record::{Matching, Order, Record, Sequence};
pub use settings::Settings;

/// Module `usrloc`.
#[derive(Debug, Default)]
pub struct Usrloc {
    settings: Settings,
    preload: Vec<String>,
    domains: Arc<Domains>,
    /// Shard at which the next tick goes on.
    cursor: AtomicUsize,
    /// The thread that brings changes to the database.
    writer: Mutex<Option<Writer>>,
}

#[derive(Debug)]
struct Writer {
    tell: SyncSender<u32>,
    thread: JoinHandle<()>,
}

/// The location tables, by name.
#[derive(Debug, Default)]
pub struct Domains {
    rules: Rules,
    /// Branch flag that marks contacts behind NAT.
    nat_flag: u32,
    /// Name of the XAVP kept with contacts.
    xavp_contact: Option<Vec<u8>>,
    /// The table that was made first: the only one in most deployments, found without a lock.
    first: OnceLock<Arc<Domain>>,
    others: RwLock<Vec<Arc<Domain>>>,
    /// Whether somebody wants to hear of ended contacts.
    watched: AtomicBool,
    ended: Mutex<VecDeque<Ended>>,
    /// The database of the tables, for `db_mode` other than 0.
    backing: Option<Arc<Backing>>,
}

/// A contact that ended without being renewed.
#[derive(Debug)]
pub struct Ended {
    /// Its table.
    pub domain: Arc<Domain>,
    /// Its address-of-record.
    pub aor: Box<[u8]>,
    /// The contact as it was.
    pub contact: Contact,
}

impl Domains {
    /// Most tables there can be: a script that invents names per call is refused.
    pub const LIMIT: usize = 256;

    /// No tables.
    pub fn new(rules: Rules) -> Domains {
        Domains { rules, ..Domains::default() }
    }
    /// What all tables share.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
    /// `nat_bflag` as a mask, 0 when not set.
    pub fn nat_flag(&self) -> u32 {
        self.nat_flag
    }
    /// `xavp_contact`.
    pub fn xavp_contact(&self) -> Option<&[u8]> {
        self.xavp_contact.as_deref()
    }
    /// A table by name.
    pub fn find(&self, name: &[u8]) -> Option<Arc<Domain>> {
        if let Some(first) = self.first.get().filter(|d| d.name() == name) {
            return Some(first.clone());
        }
        let others = self.others.read().unwrap_or_else(|e| e.into_inner());
        others.iter().find(|d| d.name() == name).cloned()
    }
    /// The database of the tables.
    pub fn backing(&self) -> Option<&Arc<Backing>> {
        self.backing.as_ref()
    }
    /// Whether changes wait for the database.
    pub fn saves_wait(&self) -> bool {
        self.backing.as_ref().is_some_and(|b| b.mode() != Mode::Back)
    }
    /// Whether lookups wait for the database.
    pub fn lookups_wait(&self) -> bool {
        self.backing.as_ref().is_some_and(|b| b.mode() == Mode::Only)
    }
    /// A table to look into. One that nobody has saved to is made when it may have rows in the database.
    pub fn look_into(&self, name: &[u8], statistics: &Statistics, now: Now) -> Option<Arc<Domain>> {
        match self.backing {
            Some(_) => self.open(name, statistics, now),
            None => self.find(name),
        }
    }
    /// A table by name, made when it is new. `None` for an empty name or at [`Domains::LIMIT`], and for a table that the database does not
    /// have.
    pub fn open(&self, name: &[u8], statistics: &Statistics, now: Now) -> Option<Arc<Domain>> {
        if let Some(found) = self.find(name) {
            return Some(found);
        }
        if let Some(backing) = &self.backing {
            let table = std::str::from_utf8(name).ok()?;
            if let Err(e @ (::store::Error::NoTable(_) | ::store::Error::BadUrl(_))) =
                backing.rows().database().columns(table)
            {
                backing.missing(table, &e);
                return None;
            }
        }
        let mut others = self.others.write().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = self.first.get().into_iter().chain(others.iter()).find(|d| d.name() == name) {
            return Some(found.clone());
        }
        if name.is_empty() || others.len() >= Self::LIMIT {
            return None;
        }
        let made = Arc::new(Domain::backed(name, self.rules, statistics, self.backing.clone()));
        if self.first.set(made.clone()).is_err() {
            others.push(made.clone());
        }
        drop(others);
        if let Some(backing) = &self.backing {
            backing.opened(&made, unix(now));
        }
        Some(made)
    }
    /// Most ended contacts waiting for [`Domains::next_ended`]; further ones are not told.
    pub const ENDED_LIMIT: usize = 10_000;

    /// From now on ended contacts are kept for [`Domains::next_ended`]. One listener takes them all.
    pub fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }
    /// The next contact that ended.
    pub fn next_ended(&self) -> Option<Ended> {
        self.ended.lock().unwrap_or_else(|e| e.into_inner()).pop_front()
    }
    fn tell(&self, ended: Vec<Ended>) {
        let mut waiting = self.ended.lock().unwrap_or_else(|e| e.into_inner());
        let room = Self::ENDED_LIMIT.saturating_sub(waiting.len());
        if ended.len() > room {
            tracing::warn!(target: "usrloc", lost = ended.len() - room, "contacts end faster than their event callback runs");
        }
        waiting.extend(ended.into_iter().take(room));
    }
    /// All tables, the first made first.
    pub fn all(&self) -> Vec<Arc<Domain>> {
        let others = self.others.read().unwrap_or_else(|e| e.into_inner());
        self.first.get().into_iter().chain(others.iter()).cloned().collect()
    }
}

impl Usrloc {
    /// The location tables, to be kept by modules that use them.
    pub fn domains(&self) -> &Arc<Domains> {
        &self.domains
    }
    /// The parameters.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Usrloc {
    fn tell_writer(&self, now: u32) {
        let writer = self.writer.lock().unwrap_or_else(|e| e.into_inner());
        // It is still at work with what it was told last: it hears the next one.
        if let Some(Err(TrySendError::Disconnected(_))) = writer.as_ref().map(|w| w.tell.try_send(now)) {
            tracing::error!(target: "usrloc", "the thread that writes to the database has ended");
        }
    }
}

impl Module for Usrloc {
    fn name(&self) -> &'static str {
        "usrloc"
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        if let ("preload", ParamValue::Str(table)) = (name, &value) {
            self.preload.push(table.clone());
        }
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        rpc::COMMANDS
    }
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        let rules = self.settings.rules(setup)?;
        let server_id = setup.config.server_id;
        let backing = Backing::new(&self.settings, setup.listeners, server_id);
        let backing = backing.map_err(|e| SetupError(format!("db_url: {e}")))?.map(Arc::new);
        self.domains = Arc::new(Domains {
            rules,
            nat_flag: u32::try_from(self.settings.nat_bflag)
                .ok()
                .and_then(|b| 1u32.checked_shl(b))
                .unwrap_or(0),
            xavp_contact: self.settings.xavp_contact.clone().map(String::into_bytes),
            backing,
            ..Domains::default()
        });
        Ok(())
    }
    fn start(&self, core: &Core, now: Now) -> Result<(), SetupError> {
        let Some(backing) = self.domains.backing.clone() else { return Ok(()) };
        for table in &self.preload {
            backing.check(table).map_err(SetupError)?;
            self.domains.open(table.as_bytes(), &core.statistics, now);
        }
        let (domains, settings) = (self.domains.clone(), self.settings.clone());
        let (tell, told) = sync_channel::<u32>(1);
        let interval = settings.timer_interval.max(1);
        let turn = (1usize << domains.rules.shard_bits).div_ceil(interval as usize);
        let work = move || {
            let mut cleaned = 0;
            for now in told {
                let clean = now.wrapping_sub(cleaned) >= interval;
                if clean {
                    cleaned = now;
                }
                backing.work(&domains.all(), now, turn, clean);
            }
        };
        let thread = std::thread::Builder::new().name("usrloc-db".into()).spawn(work);
        let thread = thread.map_err(|e| SetupError(format!("no thread for the database: {e}")))?;
        *self.writer.lock().unwrap_or_else(|e| e.into_inner()) = Some(Writer { tell, thread });
        Ok(())
    }
    /// What memory has and the database has not is written.
    fn stop(&self, _: &Core, _: Now) {
        let writer = self.writer.lock().unwrap_or_else(|e| e.into_inner()).take();
        let Some(Writer { tell, thread }) = writer else { return };
        drop(tell);
        let _ = thread.join();
        if self.domains.backing.as_ref().is_some_and(|b| !b.flush_all(&self.domains.all())) {
            tracing::error!(target: "usrloc", "the database is away: contacts that changed since they were last written are lost");
        }
    }
    /// Removes ended contacts: every shard has its turn once per `timer_interval`.
    fn tick(&self, core: &Core, now: Now) {
        /// Most records looked at in one tick; what is left waits for the next.
        const BUDGET: usize = 20_000;
        for table in &self.preload {
            self.domains.open(table.as_bytes(), &core.statistics, now);
        }
        let now = unix(now);
        self.tell_writer(now);
        let shards = 1usize << self.domains.rules.shard_bits;
        let turn = shards.div_ceil(self.settings.timer_interval.max(1) as usize);
        let start = self.cursor.load(Ordering::Relaxed);
        let mut budget = BUDGET;
        let mut next = start;
        let tables = self.domains.all();
        let watched = self.domains.watched.load(Ordering::Relaxed);
        let mut ended = Vec::new();
        for step in 0..turn {
            let shard = (start + step) & (shards - 1);
            for domain in &tables {
                let looked = domain.expire(shard, now, budget, &mut |aor, contact| {
                    if let Some(backing) = domain.backing() {
                        backing.ended(domain, &contact);
                    }
                    if watched {
                        ended.push(Ended { domain: domain.clone(), aor: aor.into(), contact });
                    }
                });
                budget = budget.saturating_sub(looked);
            }
            next = if budget == 0 { shard } else { shard + 1 };
            if budget == 0 {
                break;
            }
        }
        self.cursor.store(next & (shards - 1), Ordering::Relaxed);
        if !ended.is_empty() {
            self.domains.tell(ended);
        }
    }
}

/// Unix time as contacts keep it.
pub fn unix(now: Now) -> u32 {
    u32::try_from(now.unix()).unwrap_or(u32::MAX)
}

/// `udp:127.0.0.1:5060`, Kamailio's way to name a socket.
pub fn socket_text(listener: &Listener, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing into a vector cannot fail.
    let _ = write!(out, "{}:{}", listener.transport.lower(), listener.address);
}

/// The socket that a text like `udp:127.0.0.1:5060` names: bound or advertised address, the port may be left out.
pub fn parse_socket(listeners: &[Listener], text: &[u8]) -> Option<SocketId> {
    let text = std::str::from_utf8(text).ok()?;
    let (transport, address) = match text.split_once(':') {
        Some((name, rest)) if Transport::parse(name.as_bytes()).is_some() => {
            (Transport::parse(name.as_bytes()), rest)
        }
        _ => (None, text),
    };
    let fits = |l: &Listener| {
        let (host, port) = (l.address.ip().to_string(), l.address.port());
        let bare = if l.address.is_ipv6() { format!("[{host}]") } else { host };
        let advertised = l.advertise.as_ref().is_some_and(|(h, p)| address == format!("{h}:{p}"));
        transport.is_none_or(|t| t == l.transport)
            && (advertised || address == format!("{bare}:{port}") || address == bare)
    };
    listeners.iter().position(fits).and_then(|i| u16::try_from(i).ok()).map(SocketId)
}
