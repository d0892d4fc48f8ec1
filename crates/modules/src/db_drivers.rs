//! Modules `db_mysql`, `db_postgres`, `db_sqlite`, `db_text`: drivers that are built in. Their timeouts hold for all databases of their kind;
//! what a URL says behind its `?` goes before them.

use std::time::Duration;

use script::{ModParam, ModParams, Module, ParamValue, Setup, SetupError};

/// Parameters of module `db_mysql`.
#[derive(Debug, Clone, Default, ModParams)]
pub struct MysqlSettings {
    /// Seconds that making a connection may take; 0: as the URL says, else 3.
    pub connect_timeout: u32,
    /// Seconds that an answer may take; 0: as the URL says, else 5.
    pub receive_timeout: u32,
    /// Seconds that sending may take; 0: as `receive_timeout`.
    pub send_timeout: u32,
    /// Seconds for all three, as older versions have it; 0: none.
    pub timeout_interval: u32,
    /// Encryption: 0 to 2 (as far as the server likes) are taken, connections are not encrypted here; 3 to 5, which demand it, are refused.
    pub opt_ssl_mode: i64,
    /// Has no meaning here: connections are not encrypted.
    pub opt_ssl_ca: Option<String>,
    /// Has no meaning here: a connection that was idle is asked before it is used.
    pub ping_interval: u32,
    /// Has no meaning here: connections are always made again.
    pub auto_reconnect: i64,
    /// Has no meaning here: what can be repeated is repeated once.
    pub retries: u32,
    /// Has no meaning here: servers no longer have delayed inserts.
    pub insert_delayed: i64,
    /// Has no meaning here: times are local time.
    pub server_timezone: i64,
    /// Has no meaning here: the sign of an integer is known.
    pub unsigned_type: i64,
    /// Has no meaning here: rows that were found count.
    pub update_affected_found: i64,
}

/// Parameters of module `db_postgres`.
#[derive(Debug, Clone, Default, ModParams)]
pub struct PostgresSettings {
    /// Seconds that an answer may take; 0: as the URL says, else 5.
    pub timeout: u32,
    /// Parameter of a connection, `name=value`; several times. `sslmode` that demands encryption is refused, others have no meaning here.
    pub con_param: Option<String>,
    /// Has no meaning here: idle connections are asked before they are used.
    pub tcp_keepalive: i64,
    /// Has no meaning here: what can be repeated is repeated once.
    pub retries: u32,
    /// Has no meaning here: a row is replaced in one statement.
    pub lockset: i64,
    /// Has no meaning here: bytes are sent as bytes.
    pub bytea_output_escape: i64,
}

/// Parameters of module `db_sqlite`.
#[derive(Debug, Clone, Default, ModParams)]
pub struct SqliteSettings {
    /// `path=milliseconds`. Has no meaning here: `timeout` of the URL is how long a locked file is waited for.
    pub db_set_busy_timeout: Option<String>,
    /// `path=mode`. Has no meaning here: files are in write-ahead mode.
    pub db_set_journal_mode: Option<String>,
    /// Path of a file that is only read. Has no meaning here: the file's rights say who may write.
    pub db_set_readonly: Option<String>,
}

/// Parameters of module `db_text`.
#[derive(Debug, Clone, Default, ModParams)]
pub struct TextSettings {
    /// Has no meaning here: a colon stands between values.
    pub db_delim: Option<String>,
    /// Has no meaning here: a file that changed is read again.
    pub db_mode: i64,
    /// Has no meaning here.
    pub default_connection: Option<String>,
    /// Has no meaning here: what is empty in a column for numbers is NULL.
    pub emptystring: i64,
    /// Has no meaning here.
    pub file_buffer_size: i64,
    /// Has no meaning here.
    pub max_result_rows: i64,
}

fn seconds(n: u32) -> Option<Duration> {
    (n > 0).then(|| Duration::from_secs(n.into()))
}

const NOT_ENCRYPTED: &str = "connections to databases are not encrypted here: use a socket or a network you trust, and take this parameter out";

/// What differs between the drivers.
trait Driver: Default + Send + Sync + 'static {
    const NAME: &'static str;
    const ROWS: &'static [ModParam];
    fn set_row(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError>;
    fn apply(&self) -> Result<(), SetupError> {
        Ok(())
    }
}

impl Driver for MysqlSettings {
    const NAME: &'static str = "db_mysql";
    const ROWS: &'static [ModParam] = MysqlSettings::PARAMS;
    fn set_row(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.set(name, value)
    }
    fn apply(&self) -> Result<(), SetupError> {
        if self.opt_ssl_mode > 2 {
            return Err(SetupError(format!("opt_ssl_mode {}: {NOT_ENCRYPTED}", self.opt_ssl_mode)));
        }
        let all = seconds(self.timeout_interval);
        let answer = seconds(self.receive_timeout.max(self.send_timeout));
        store::set_timeouts("mysql", seconds(self.connect_timeout).or(all), answer.or(all));
        Ok(())
    }
}

impl Driver for PostgresSettings {
    const NAME: &'static str = "db_postgres";
    const ROWS: &'static [ModParam] = PostgresSettings::PARAMS;
    fn set_row(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        if let ("con_param", ParamValue::Str(text)) = (name, &value) {
            let demands = ["sslmode=require", "sslmode=verify"];
            if demands.iter().any(|d| text.replace(' ', "").starts_with(d)) {
                return Err(SetupError(format!("{text}: {NOT_ENCRYPTED}")));
            }
        }
        self.set(name, value)
    }
    fn apply(&self) -> Result<(), SetupError> {
        store::set_timeouts("postgres", None, seconds(self.timeout));
        Ok(())
    }
}

impl Driver for SqliteSettings {
    const NAME: &'static str = "db_sqlite";
    const ROWS: &'static [ModParam] = SqliteSettings::PARAMS;
    fn set_row(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.set(name, value)
    }
}

impl Driver for TextSettings {
    const NAME: &'static str = "db_text";
    const ROWS: &'static [ModParam] = TextSettings::PARAMS;
    fn set_row(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.set(name, value)
    }
}

/// A driver as a module.
#[derive(Debug, Default)]
pub struct DbDriver<D>(D);

/// Module `db_mysql`.
pub type DbMysql = DbDriver<MysqlSettings>;
/// Module `db_postgres`.
pub type DbPostgres = DbDriver<PostgresSettings>;
/// Module `db_sqlite`.
pub type DbSqlite = DbDriver<SqliteSettings>;
/// Module `db_text`.
pub type DbText = DbDriver<TextSettings>;

impl<D: Driver> Module for DbDriver<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }
    fn params(&self) -> &'static [ModParam] {
        D::ROWS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.0.set_row(name, value)
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        self.0.apply()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_that_is_demanded_is_refused() {
        let mut mysql = DbMysql::default();
        assert_eq!(mysql.set_param("opt_ssl_mode", ParamValue::Int(3)), Ok(()));
        assert!(mysql.0.apply().is_err_and(|e| e.0.contains("not encrypted")));
        let mut postgres = DbPostgres::default();
        let set = |m: &mut DbPostgres, text: &str| m.set_param("con_param", ParamValue::Str(text.into()));
        assert!(set(&mut postgres, "sslmode = require").is_err());
        assert_eq!(set(&mut postgres, "sslmode=prefer"), Ok(()));
    }
}
