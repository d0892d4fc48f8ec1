//! The database of a module: opened by URL when the module is set up, asked by value, and complaining once when its queries
//! begin to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use script::SetupError;
use store::{Database, Error, Query, Rows};

/// What Kamailio's modules ask when no `db_url` is given.
pub(crate) const DEFAULT_URL: &str = "mysql://kamailioro:kamailioro@localhost/kamailio";

/// A module's database.
pub(crate) struct Source {
    module: &'static str,
    database: Arc<dyn Database>,
    /// The last call failed: it was logged already.
    failing: AtomicBool,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.database.name(), self.module)
    }
}

impl Source {
    /// Opens the database of a URL; this does not wait for it.
    pub fn open(module: &'static str, url: &str) -> Result<Source, SetupError> {
        let database = store::open(url).map_err(|e| SetupError(format!("db_url: {e}")))?;
        Ok(Source { module, database, failing: AtomicBool::new(false) })
    }

    /// Reads rows. A database that cannot be reached logs that itself; any other failure is logged here when the one before was none.
    pub fn query(&self, query: &Query<'_>) -> Result<Rows, Error> {
        let answer = self.database.query(query);
        match &answer {
            Ok(_) => {
                if self.failing.load(Ordering::Relaxed) {
                    self.failing.store(false, Ordering::Relaxed);
                }
            }
            Err(Error::Unavailable(_)) => {}
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(module = self.module, table = query.table, %error, "a query failed");
                }
            }
        }
        answer
    }
}

/// A value of a row as scripts see it; null for NULL.
pub(crate) fn to_script(value: &store::Value) -> script::Value<'_> {
    match value {
        store::Value::Null => script::Value::Null,
        store::Value::Int(n) | store::Value::Time(n) => script::Value::Int(*n),
        store::Value::Float(f) => script::Value::owned(f.to_string()),
        store::Value::Text(text) => script::Value::str(text),
    }
}

/// A value of a row as text; empty for NULL.
pub(crate) fn to_text(value: Option<&store::Value>) -> Vec<u8> {
    value.map_or(Vec::new(), |v| to_script(v).to_text().into_owned())
}

/// A value of a row as a number: numbers, and text that is one.
pub(crate) fn to_int(value: Option<&store::Value>) -> Option<i64> {
    value.and_then(|v| to_script(v).to_int())
}
