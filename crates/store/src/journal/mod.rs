//! Rows that must reach a database without anybody waiting for it: accounting.
//!
//! ```text
//! write() -> queue in memory -> thread `journal` -> insert
//!                                   | the database is away, or older rows still are in the file
//!                                   v
//!                                 file -> insert, in order, once the database is back
//! ```
//!
//! **The promise.** [`Journal::write`] returns at once. A row is in the database, or in the file and synced to the disk, as soon as the
//! thread comes to it: after one insert or one `fdatasync` per batch of the rows before it. What is killed before that (`kill -9`, power) loses
//! the rows in the queue; rows in the file are lost by nothing that leaves the file alone. Rows are inserted in the order they were
//! written. A process killed between an insert and the note of it in the file's `.at` inserts that one row twice. [`flush_all`], which the
//! server calls when it ends, leaves the queue empty.
//!
//! **Bounds.** The queue holds [`Settings::queue`] rows and the file [`Settings::limit`] bytes; a row that finds both full is lost,
//! counted and logged. Rows the database refuses (no such table, a value that does not fit) are counted, logged and dropped:
//! they would be refused for ever.

mod file;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::{Database, Error, Value};
use file::Backlog;

/// Rows worked on between two looks at the queue.
const BATCH: usize = 256;
/// First and longest wait before an absent database is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Between two tries to write a file that cannot be written, while somebody waits for it.
const PAUSE: Duration = Duration::from_millis(100);

static JOURNALS: Mutex<Vec<Weak<Journal>>> = Mutex::new(Vec::new());

/// One row for one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Table.
    pub table: Arc<str>,
    /// Columns, in the order of the values.
    pub columns: Arc<[String]>,
    /// Values.
    pub values: Vec<Value>,
}

/// Where a journal keeps what the database does not take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file; its folder is made when it is not there.
    pub file: PathBuf,
    /// Most rows waiting in memory.
    pub queue: usize,
    /// Most bytes in the file.
    pub limit: u64,
}

/// What became of the rows so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inserted.
    pub inserted: u64,
    /// In memory now.
    pub queued: u64,
    /// In the file now.
    pub filed: u64,
    /// Refused by the database.
    pub refused: u64,
    /// Lost because queue and file were full.
    pub lost: u64,
}

#[derive(Default)]
struct Queue {
    rows: VecDeque<Row>,
    /// The thread works on rows it has taken out.
    busy: bool,
    /// No more rows come: the thread ends when it has none.
    closed: bool,
    /// Somebody waits for the queue to be empty: rows that cannot be inserted at once go to the file.
    flushing: usize,
}

/// A queue of rows with the thread that writes them. The thread ends when the last owner has gone and its rows are written.
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Rows came, or the queue is to be flushed or closed.
    work: Condvar,
    /// The thread has nothing left.
    idle: Condvar,
    capacity: usize,
    inserted: AtomicU64,
    filed: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

impl Journal {
    /// Starts the thread. Rows that a former process left in the file come first.
    pub fn start(database: Arc<dyn Database>, settings: Settings) -> std::io::Result<Arc<Journal>> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            capacity: settings.queue.max(1),
            inserted: AtomicU64::new(0),
            filed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let writer = Writer::new(shared.clone(), database, settings);
        std::thread::Builder::new().name("journal".into()).spawn(move || writer.run())?;
        let journal = Arc::new(Journal { shared });
        let mut all = JOURNALS.lock().unwrap_or_else(|e| e.into_inner());
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&journal));
        Ok(journal)
    }

    /// Hands over a row and does not wait. False when it was lost because the queue is full.
    pub fn write(&self, row: Row) -> bool {
        let mut queue = self.shared.queue();
        if queue.rows.len() >= self.shared.capacity {
            drop(queue);
            self.shared.lost(1, "the queue is full");
            return false;
        }
        queue.rows.push_back(row);
        drop(queue);
        self.shared.work.notify_one();
        true
    }

    /// Waits until every row so far is in the database or in the file; false when that took too long.
    pub fn flush(&self, within: Duration) -> bool {
        let end = Instant::now() + within;
        let mut queue = self.shared.queue();
        queue.flushing += 1;
        self.shared.work.notify_one();
        while !queue.rows.is_empty() || queue.busy {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.shared.idle.wait_timeout(queue, left).unwrap_or_else(|e| e.into_inner()).0;
        }
        queue.flushing -= 1;
        queue.rows.is_empty() && !queue.busy
    }

    /// What became of the rows.
    pub fn counts(&self) -> Counts {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let s = &self.shared;
        Counts {
            inserted: of(&s.inserted),
            queued: s.queue().rows.len() as u64,
            filed: of(&s.filed),
            refused: of(&s.refused),
            lost: of(&s.lost),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_one();
    }
}

/// Where a journal's file is when nobody says: in systemd's state directory, else in `/var/lib/trunkline`; one for each name and URL.
pub fn usual_file(name: &str, url: &str) -> PathBuf {
    let folder =
        std::env::var_os("STATE_DIRECTORY").map_or_else(|| "/var/lib/trunkline".into(), PathBuf::from);
    // FNV-1a: the same in every version.
    let hash =
        url.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    folder.join(format!("{name}-{hash:016x}.journal"))
}

/// Flushes every journal of the process; false when one took too long.
pub fn flush_all(within: Duration) -> bool {
    let all: Vec<Arc<Journal>> =
        JOURNALS.lock().unwrap_or_else(|e| e.into_inner()).iter().filter_map(Weak::upgrade).collect();
    let end = Instant::now() + within;
    all.iter().filter(|j| !j.flush(end.saturating_duration_since(Instant::now()))).count() == 0
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|e| e.into_inner())
    }
    fn lost(&self, rows: u64, why: &str) {
        let before = self.lost.fetch_add(rows, Ordering::Relaxed);
        // Once at the first, then at every thousandth.
        if before == 0 || before / 1000 != (before + rows) / 1000 {
            tracing::error!(target: "journal", lost = before + rows, "rows for the database are lost: {why}");
        }
    }
}

/// The thread's side.
struct Writer {
    shared: Arc<Shared>,
    database: Arc<dyn Database>,
    backlog: Backlog,
    /// The database did not answer; when to try again and how long to wait after that.
    away: Option<(Instant, Duration)>,
    /// The file cannot be written, which was logged.
    no_file: bool,
    /// When rows last found no place but the memory.
    tried: Instant,
}

impl Writer {
    fn new(shared: Arc<Shared>, database: Arc<dyn Database>, settings: Settings) -> Writer {
        let backlog = Backlog::open(settings.file, settings.limit);
        shared.filed.store(backlog.rows(), Ordering::Relaxed);
        if backlog.rows() > 0 {
            tracing::info!(target: "journal", rows = backlog.rows(), file = %backlog.path().display(),
                "rows of a former run are written to the database first");
        }
        Writer { shared, database, backlog, away: None, no_file: false, tried: Instant::now() }
    }

    fn run(mut self) {
        while let Some(rows) = self.next() {
            self.work(rows);
            let mut queue = self.shared.queue();
            queue.busy = false;
            if queue.rows.is_empty() {
                self.shared.idle.notify_all();
            }
        }
    }

    /// Waits for something to do; `None` at the end.
    fn next(&mut self) -> Option<VecDeque<Row>> {
        let mut queue = self.shared.queue();
        loop {
            let now = Instant::now();
            let due = self.away.is_none_or(|(again, _)| now >= again);
            // Rows that have no place but the memory wait there until the database is tried again.
            let stay = self.no_file && !due && (queue.flushing == 0 || now < self.tried + PAUSE);
            if (!queue.rows.is_empty() && !stay) || (self.backlog.rows() > 0 && due && !queue.closed) {
                queue.busy = true;
                let n = queue.rows.len().min(BATCH);
                return Some(queue.rows.drain(..n).collect());
            }
            if queue.closed && (queue.rows.is_empty() || self.no_file) {
                return None;
            }
            if queue.rows.is_empty() {
                self.shared.idle.notify_all();
            }
            let wait = match self.away {
                Some(_) if stay && queue.flushing > 0 => PAUSE,
                Some((again, _)) if stay || self.backlog.rows() > 0 => again.saturating_duration_since(now),
                _ => Duration::from_secs(3600),
            };
            queue = self.shared.work.wait_timeout(queue, wait).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    fn work(&mut self, mut rows: VecDeque<Row>) {
        let due = self.away.is_none_or(|(again, _)| Instant::now() >= again);
        if self.backlog.rows() == 0 && due {
            while let Some(row) = rows.front() {
                if !self.insert(row) {
                    break;
                }
                rows.pop_front();
            }
        }
        self.put_aside(rows);
        if due && self.backlog.rows() > 0 && self.away.is_none_or(|(again, _)| Instant::now() >= again) {
            self.catch_up();
        }
    }

    /// Whether the row is done with: inserted, or refused for good.
    fn insert(&mut self, row: &Row) -> bool {
        let columns: Vec<&str> = row.columns.iter().map(String::as_str).collect();
        match self.database.insert(&row.table, &columns, &row.values) {
            Ok(()) => {
                self.shared.inserted.fetch_add(1, Ordering::Relaxed);
                if self.away.take().is_some() {
                    tracing::warn!(target: "journal", database = self.database.name(), filed = self.backlog.rows(),
                        "the database is back");
                }
                true
            }
            Err(Error::Unavailable(why)) => {
                let next = match self.away {
                    None => {
                        tracing::error!(target: "journal", database = self.database.name(), file = %self.backlog.path().display(),
                            "{why}; rows are kept in the file until it is back");
                        RETRY.0
                    }
                    Some((_, before)) => (before * 2).min(RETRY.1),
                };
                self.away = Some((Instant::now() + next, next));
                false
            }
            Err(error) => {
                let before = self.shared.refused.fetch_add(1, Ordering::Relaxed);
                if before < 10 || before.is_multiple_of(1000) {
                    tracing::error!(target: "journal", table = %row.table, refused = before + 1, "a row is refused and dropped: {error}");
                }
                true
            }
        }
    }

    /// Rows that could not be inserted go behind those in the file; where there is no file, back into memory.
    fn put_aside(&mut self, mut rows: VecDeque<Row>) {
        if rows.is_empty() {
            return;
        }
        let fits = self.backlog.room(rows.make_contiguous());
        let over = rows.split_off(fits);
        match self.backlog.append(rows.make_contiguous()) {
            Ok(()) => {
                self.no_file = false;
                self.shared.filed.store(self.backlog.rows(), Ordering::Relaxed);
                if !over.is_empty() {
                    self.shared.lost(over.len() as u64, "the file is full");
                }
            }
            Err(error) => {
                self.tried = Instant::now();
                if !std::mem::replace(&mut self.no_file, true) {
                    tracing::error!(target: "journal", file = %self.backlog.path().display(),
                        "{error}: rows stay in memory until the database is back");
                }
                let mut queue = self.shared.queue();
                for row in rows.into_iter().chain(over).rev() {
                    queue.rows.push_front(row);
                }
                let too_many = queue.rows.len().saturating_sub(self.shared.capacity);
                let keep = queue.rows.len() - too_many;
                queue.rows.truncate(keep);
                drop(queue);
                if too_many > 0 {
                    self.shared.lost(too_many as u64, "the queue is full");
                }
            }
        }
    }

    /// Inserts from the file.
    fn catch_up(&mut self) {
        let rows = match self.backlog.read(BATCH) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(target: "journal", file = %self.backlog.path().display(), "{error}: tried again later");
                self.away = Some((Instant::now() + RETRY.1, RETRY.1));
                return;
            }
        };
        for (row, end) in rows {
            match row {
                Some(row) if !self.insert(&row) => break,
                Some(_) => {}
                None => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(target: "journal", file = %self.backlog.path().display(), "a line of the file cannot be read: left out");
                }
            }
            self.backlog.done(end);
        }
        self.shared.filed.store(self.backlog.rows(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, Condition, Memory, Query, Rows};
    use std::sync::atomic::AtomicBool;

    /// A database that can be away.
    struct Fickle {
        memory: Memory,
        away: AtomicBool,
    }

    impl Fickle {
        fn new() -> Arc<Fickle> {
            let memory = Memory::new();
            memory.create("acc", &["n", "text"], &[]);
            Arc::new(Fickle { memory, away: AtomicBool::new(false) })
        }
        fn numbers(&self) -> Vec<i64> {
            let query = Query { table: "acc", columns: &["n"], ..Query::default() };
            let rows = self.memory.query(&query).expect("there is such a table");
            rows.iter().filter_map(|r| r.first()?.as_int()).collect()
        }
    }

    impl Database for Fickle {
        fn name(&self) -> &'static str {
            "fickle"
        }
        fn capabilities(&self) -> Capabilities {
            self.memory.capabilities()
        }
        fn query(&self, query: &Query<'_>) -> Result<Rows, Error> {
            self.memory.query(query)
        }
        fn insert(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error> {
            if self.away.load(Ordering::SeqCst) {
                return Err(Error::Unavailable("gone".into()));
            }
            self.memory.insert(table, columns, row)
        }
        fn replace(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error> {
            self.memory.replace(table, columns, row)
        }
        fn update(&self, _: &str, _: &[&str], _: &[Value], _: &[Condition<'_>]) -> Result<u64, Error> {
            Err(Error::Unsupported("update"))
        }
        fn delete(&self, table: &str, conditions: &[Condition<'_>]) -> Result<u64, Error> {
            self.memory.delete(table, conditions)
        }
    }

    fn row(n: i64) -> Row {
        let columns: Arc<[String]> = ["n".to_owned(), "text".to_owned()].into();
        Row { table: "acc".into(), columns, values: vec![Value::Int(n), Value::text("a\tb\n%")] }
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder =
                std::env::temp_dir().join(format!("trunkline-journal-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            Folder(folder)
        }
        fn settings(&self, queue: usize, limit: u64) -> Settings {
            Settings { file: self.0.join("acc.journal"), queue, limit }
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    fn wait(what: &str, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < end, "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn rows_wait_in_the_file_while_the_database_is_away_and_keep_their_order() {
        let folder = Folder::new("order");
        let db = Fickle::new();
        let journal = Journal::start(db.clone(), folder.settings(100, 1 << 20)).expect("a thread");
        assert!(journal.write(row(1)) && journal.flush(PATIENCE));
        assert_eq!(db.numbers(), [1]);
        db.away.store(true, Ordering::SeqCst);
        for n in 2..=4 {
            journal.write(row(n));
        }
        assert!(journal.flush(PATIENCE));
        assert_eq!((db.numbers(), journal.counts().filed), (vec![1], 3));
        db.away.store(false, Ordering::SeqCst);
        journal.write(row(5));
        wait("the file is worked off", || journal.counts().filed == 0 && journal.counts().inserted == 5);
        assert_eq!(db.numbers(), [1, 2, 3, 4, 5]);
        assert_eq!(std::fs::metadata(folder.0.join("acc.journal")).map(|m| m.len()).unwrap_or(0), 0);
    }

    #[test]
    fn the_next_process_goes_on_where_the_last_one_was_killed() {
        let folder = Folder::new("restart");
        let db = Fickle::new();
        db.away.store(true, Ordering::SeqCst);
        let journal = Journal::start(db.clone(), folder.settings(100, 1 << 20)).expect("a thread");
        journal.write(row(1));
        journal.write(row(2));
        assert!(journal.flush(PATIENCE));
        // Killed while it wrote a line.
        std::mem::forget(journal);
        let path = folder.0.join("acc.journal");
        let mut text = std::fs::read(&path).expect("the file");
        text.extend_from_slice(b"acc\tn=i3");
        std::fs::write(&path, text).expect("the file");

        let back = Fickle::new();
        let journal = Journal::start(back.clone(), folder.settings(100, 1 << 20)).expect("a thread");
        journal.write(row(4));
        wait("all rows are there", || back.numbers().len() == 3);
        assert_eq!(back.numbers(), [1, 2, 4]);
        let query = Query { table: "acc", columns: &["text"], limit: 1, ..Query::default() };
        assert_eq!(back.memory.query(&query).expect("query"), [[Value::text("a\tb\n%")]]);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let folder = Folder::new("full");
        let db = Fickle::new();
        db.away.store(true, Ordering::SeqCst);
        let journal = Journal::start(db.clone(), folder.settings(1000, 100)).expect("a thread");
        for n in 0..20 {
            journal.write(row(n));
        }
        assert!(journal.flush(PATIENCE));
        let counts = journal.counts();
        assert!(counts.filed > 0 && counts.lost > 0 && counts.filed + counts.lost == 20, "{counts:?}");
    }

    #[test]
    fn without_a_file_rows_wait_in_memory() {
        let db = Fickle::new();
        db.away.store(true, Ordering::SeqCst);
        let nowhere = Settings { file: "/dev/null/acc.journal".into(), queue: 3, limit: 1 << 20 };
        let journal = Journal::start(db.clone(), nowhere).expect("a thread");
        journal.write(row(1));
        wait("the database was asked", || db_asked(&journal));
        for n in 2..=6 {
            journal.write(row(n));
        }
        assert!(journal.counts().lost >= 2, "{:?}", journal.counts());
        db.away.store(false, Ordering::SeqCst);
        wait("rows that stayed", || db.numbers().len() == 3);
        assert_eq!(db.numbers(), [1, 2, 3]);
    }

    fn db_asked(journal: &Journal) -> bool {
        let queue = journal.shared.queue();
        !queue.busy && !queue.rows.is_empty()
    }

    #[test]
    fn rows_that_never_fit_do_not_stop_the_others() {
        let folder = Folder::new("refused");
        let db = Fickle::new();
        let journal = Journal::start(db.clone(), folder.settings(10, 1000)).expect("a thread");
        journal.write(Row { table: "no_such".into(), ..row(1) });
        journal.write(row(2));
        assert!(journal.flush(PATIENCE));
        assert_eq!((db.numbers(), journal.counts().refused), (vec![2], 1));
    }
}
