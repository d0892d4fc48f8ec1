//! The example deployment that Debian's packages ship (`kamailio-basic-kemi.cfg` and its Python script, byte for byte) on a real database.
//!
//! Only `kamailio-local.cfg`, the hook that the configuration itself imports, is ours: engine, database URL, local domain, and where the
//! script lies.

pub mod database;
pub mod scenarios;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::subject::{Kind, Setup, Subject};
use database::Database;

/// Where the packages keep the example.
const EXAMPLE: &str = "/usr/share/doc/kamailio/examples/kemi";
/// The domain that is local.
pub const DOMAIN: &str = "stock.test";
/// Address from which calls are let through without a password.
pub const TRUNK: &str = "127.0.0.31";

/// The deployment with its files and its database.
pub struct Deployment {
    /// The database.
    pub database: Database,
    folder: PathBuf,
    kind: Kind,
}

impl Deployment {
    /// Lays the files out. `database` is empty but for its tables; subscribers alice, bob and carol (passwords `secret-alice` ...) and
    /// the trunk's address are added.
    pub fn new(kind: Kind, database: Database) -> Deployment {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("trunkline-stock-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        for file in ["kamailio-basic-kemi.cfg", "kamailio-basic-kemi-python.py"] {
            std::fs::copy(Path::new(EXAMPLE).join(file), folder.join(file)).unwrap_or_else(|e| {
                panic!("{EXAMPLE}/{file}: {e}: install kamailio and kamailio-python3-modules")
            });
        }
        // The configuration itself loads MySQL's.
        let driver = match database.driver() {
            "db_mysql" => String::new(),
            other => format!("loadmodule \"{other}.so\""),
        };
        let local = format!(
            "#!define WITH_CFGPYTHON3\n#!define DBURL \"{}\"\n#!subst \"!/usr/local/etc/kamailio/!{}/!g\"\n\
             alias=\"{DOMAIN}\"\n{driver}\n\
             # Kamailio 5.6 leaves an exception pending where a script has no onsend route.\n\
             kemi.onsend_route_callback=\"none\"\n",
            database.url(),
            folder.display(),
        );
        std::fs::write(folder.join("kamailio-local.cfg"), local).expect("kamailio-local.cfg");
        for user in ["alice", "bob", "carol"] {
            database.sql(&format!(
                "INSERT INTO subscriber (username, domain, password) VALUES ('{user}', '{DOMAIN}', 'secret-{user}')"
            ));
        }
        database.sql(&format!("INSERT INTO address (grp, ip_addr, mask, port) VALUES (1, '{TRUNK}', 32, 0)"));
        Deployment { database, folder, kind }
    }

    /// Starts the server on it.
    pub fn start(&self) -> Subject {
        let config = self.folder.join("kamailio-basic-kemi.cfg");
        let script = self.folder.join("kamailio-basic-kemi-python.py");
        Subject::start_with(self.kind, &config, &script, &Setup::PLAIN)
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
