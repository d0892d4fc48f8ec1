//! Databases by URL, one for each URL however many modules name it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use crate::{Database, Error, Memory, without_password};

static OPEN: LazyLock<Mutex<HashMap<String, Weak<dyn Database>>>> = LazyLock::new(Mutex::default);

/// The database of a `db_url`. It is opened once and shared while anybody holds it. This does not wait for a server: one that is down
/// is [`Error::Unavailable`] when it is asked, and may come back. An error here is the URL's.
pub fn open(url: &str) -> Result<Arc<dyn Database>, Error> {
    let mut open = OPEN.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(known) = open.get(url).and_then(Weak::upgrade) {
        return Ok(known);
    }
    let made = make(url)?;
    open.retain(|_, database| database.strong_count() > 0);
    open.insert(url.into(), Arc::downgrade(&made));
    Ok(made)
}

static THREADS: AtomicUsize = AtomicUsize::new(16);

/// How many threads may ask at a time: as many connections a database opened from now on has at most, unless its URL says `pool`.
pub fn expect_threads(threads: usize) {
    THREADS.store(threads.clamp(1, 1000), Ordering::Relaxed);
}
/// See [`expect_threads`].
pub(crate) fn expected_threads() -> usize {
    THREADS.load(Ordering::Relaxed)
}

type Timeouts = HashMap<String, (Option<Duration>, Option<Duration>)>;
static TIMEOUTS: LazyLock<Mutex<Timeouts>> = LazyLock::new(Mutex::default);

/// How long making a connection and an answer may take with databases of a kind (`mysql`, `postgres`) opened from now on, unless their URL
/// says otherwise. `None`: the default.
pub fn set_timeouts(kind: &str, connect: Option<Duration>, answer: Option<Duration>) {
    let mut timeouts = TIMEOUTS.lock().unwrap_or_else(|e| e.into_inner());
    // A handful of kinds, named by the code.
    timeouts.insert(kind.into(), (connect, answer));
}
/// See [`set_timeouts`].
pub(crate) fn timeouts(kind: &str) -> (Option<Duration>, Option<Duration>) {
    TIMEOUTS.lock().unwrap_or_else(|e| e.into_inner()).get(kind).copied().unwrap_or_default()
}

/// Puts a database in the place of a URL, for as long as the caller holds it: for tests of modules.
pub fn substitute(url: &str, database: &Arc<dyn Database>) {
    let mut open = OPEN.lock().unwrap_or_else(|e| e.into_inner());
    open.insert(url.into(), Arc::downgrade(database));
}

/// As [`open`], for commands that set a database up: SQLite makes the file when there is none. It is the caller's own, not shared.
pub fn open_or_create(url: &str) -> Result<Arc<dyn Database>, Error> {
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite://") {
        return Ok(Arc::new(crate::sqlite::open(url, true)?));
    }
    open(url)
}

fn make(url: &str) -> Result<Arc<dyn Database>, Error> {
    Ok(match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("memory") => Arc::new(Memory::new()),
        Some("text") => Arc::new(crate::text::Text::open(url)?),
        #[cfg(feature = "sqlite")]
        Some("sqlite") => Arc::new(crate::sqlite::open(url, false)?),
        #[cfg(feature = "mysql")]
        Some("mysql") => Arc::new(crate::mysql::open(url)?),
        #[cfg(feature = "postgres")]
        Some("postgres" | "postgresql") => Arc::new(crate::postgres::open(url)?),
        _ => {
            return Err(Error::BadUrl(format!(
                "{}: a database is sqlite:///absolute/path, postgres://user:password@host/name, \
                 mysql://user:password@host/name, text:///folder or memory://name",
                without_password(url)
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_the_same_url_has_the_same_database() {
        let one = open("memory://shared").expect("opens");
        let same = open("memory://shared").expect("opens");
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &open("memory://other").expect("opens")));
        assert!(matches!(open("nonsense"), Err(Error::BadUrl(_))));
    }

    #[test]
    fn a_test_can_put_its_own_in_place() {
        let mine: Arc<dyn Database> = Arc::new(Memory::new());
        substitute("mysql://in/place", &mine);
        assert!(Arc::ptr_eq(&mine, &open("mysql://in/place").expect("opens")));
    }
}
