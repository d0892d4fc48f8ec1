//! A database of the deployment, spoken to by its own command line client: what the tests read is not read by the code under test.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::subject::binary;

/// Columns that `kamailio-basic-kemi.cfg` asks for in its comments.
const EXTRA: &[&str] = &[
    "src_user VARCHAR(64) NOT NULL DEFAULT ''",
    "src_domain VARCHAR(128) NOT NULL DEFAULT ''",
    "src_ip varchar(64) NOT NULL default ''",
    "dst_ouser VARCHAR(64) NOT NULL DEFAULT ''",
    "dst_user VARCHAR(64) NOT NULL DEFAULT ''",
    "dst_domain VARCHAR(128) NOT NULL DEFAULT ''",
];

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// The server of `TRUNKLINE_TEST_MYSQL`.
    Mariadb,
    /// The server of `TRUNKLINE_TEST_POSTGRES`.
    Postgres,
}

/// A database with Kamailio's tables; gone when dropped.
#[derive(Debug)]
pub struct Database {
    engine: Engine,
    url: String,
    name: String,
    /// The server's own database, in which ours was made.
    server: String,
}

impl Database {
    /// A fresh one. `None` when this machine has no such server.
    pub fn new(engine: Engine) -> Option<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stock_{}_{number}", std::process::id());
        let (url, server) = match engine {
            Engine::Sqlite => {
                let file = std::env::temp_dir().join(format!("trunkline-{name}.sqlite"));
                let _ = std::fs::remove_file(&file);
                (format!("sqlite:///{}", file.display()), String::new())
            }
            Engine::Mariadb => in_place_of(&std::env::var("TRUNKLINE_TEST_MYSQL").ok()?, &name),
            Engine::Postgres => in_place_of(&std::env::var("TRUNKLINE_TEST_POSTGRES").ok()?, &name),
        };
        let database = Database { engine, url, name, server };
        if engine != Engine::Sqlite {
            database.client(&database.server, &format!("CREATE DATABASE {}", database.name));
        }
        let made =
            Command::new(binary()).args(["db", "create", &database.url]).output().expect("trunkline db");
        assert!(made.status.success(), "db create: {}", String::from_utf8_lossy(&made.stderr));
        if engine == Engine::Sqlite {
            // The tests read while Kamailio writes, and it does not try again.
            database.sql("PRAGMA journal_mode=WAL");
        }
        for table in ["acc", "missed_calls"] {
            for column in EXTRA {
                database.sql(&format!("ALTER TABLE {table} ADD COLUMN {column}"));
            }
        }
        Some(database)
    }

    /// As `db_url` writes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kamailio's module for it.
    pub fn driver(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "db_sqlite",
            Engine::Mariadb => "db_mysql",
            Engine::Postgres => "db_postgres",
        }
    }

    /// Runs a statement; the rows of its answer, columns as text.
    pub fn sql(&self, statement: &str) -> Vec<Vec<String>> {
        self.client(&self.url, statement)
    }

    fn client(&self, url: &str, statement: &str) -> Vec<Vec<String>> {
        let mut command = match self.engine {
            Engine::Sqlite => {
                let mut c = Command::new("sqlite3");
                c.args(["-bail", "-batch", "-separator", "\t", "-cmd", ".timeout 5000"])
                    .arg(self.file())
                    .arg(statement);
                c
            }
            Engine::Mariadb => {
                let to = Address::of(url);
                let mut c = Command::new("mariadb");
                c.args([
                    "-N",
                    "-B",
                    "-h",
                    to.host,
                    "-P",
                    to.port,
                    "-u",
                    to.user,
                    "-e",
                    statement,
                    to.database,
                ])
                .env("MYSQL_PWD", to.password);
                c
            }
            Engine::Postgres => {
                let to = Address::of(url);
                let mut c = Command::new("psql");
                c.args(["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"])
                    .args(["-h", to.host, "-p", to.port, "-U", to.user, "-d", to.database, "-c", statement])
                    .env("PGPASSWORD", to.password);
                c
            }
        };
        let out = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        assert!(out.status.success(), "{statement}: {}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    fn file(&self) -> PathBuf {
        self.url.trim_start_matches("sqlite://").into()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match self.engine {
            Engine::Sqlite => {
                for more in ["", "-wal", "-shm", "-journal"] {
                    let _ = std::fs::remove_file(format!("{}{more}", self.file().display()));
                }
            }
            // The test says its own when it fails; a second panic would hide it.
            _ if std::thread::panicking() => {}
            engine => {
                // Kamailio's processes may still be about to end.
                let force = if engine == Engine::Postgres { " WITH (FORCE)" } else { "" };
                self.client(&self.server, &format!("DROP DATABASE {}{force}", self.name));
            }
        }
    }
}

/// The parts of `scheme://user:password@host:port/database`.
struct Address<'a> {
    user: &'a str,
    password: &'a str,
    host: &'a str,
    port: &'a str,
    database: &'a str,
}

impl Address<'_> {
    fn of(url: &str) -> Address<'_> {
        let parts = || {
            let (_, rest) = url.split_once("://")?;
            let (login, rest) = rest.split_once('@')?;
            let (user, password) = login.split_once(':')?;
            let (place, database) = rest.split_once('/')?;
            let (host, port) = place.split_once(':')?;
            Some(Address { user, password, host, port, database })
        };
        parts().unwrap_or_else(|| panic!("{url}: scheme://user:password@host:port/database is expected"))
    }
}

/// A server's URL with another database, and as it was.
fn in_place_of(url: &str, name: &str) -> (String, String) {
    let (place, _) = url.rsplit_once('/').unwrap_or((url, ""));
    (format!("{place}/{name}"), url.to_owned())
}
