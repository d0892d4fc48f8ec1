//! The databases that tests run on: SQLite in a temporary file, and the servers that `.ci/databases` started.
#![allow(dead_code)] // Each test takes its part.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("trunkline-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
    pub fn sqlite(&self) -> String {
        format!("sqlite://{}/test.db", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// URL of a database of its own on a server, `None` when the servers do not run.
pub fn server(kind: &str, name: &str) -> Option<String> {
    let variable = format!("TRUNKLINE_TEST_{}", kind.to_uppercase());
    let Ok(url) = std::env::var(&variable) else {
        assert!(std::env::var("TRUNKLINE_TEST_DATABASES").is_err(), "{variable} is missing");
        eprintln!("not run: {variable} is not set; `.ci/databases cargo test` starts the servers");
        return None;
    };
    let (server, _) = url.rsplit_once('/').expect("a database");
    let address = url.split('@').nth(1).and_then(|a| a.split('/').next()).expect("an address");
    let (host, port) = address.split_once(':').expect("a port");
    let sql = [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")];
    let mut command = match kind {
        "mysql" => {
            let mut c = Command::new("mariadb");
            c.args([
                "--no-defaults",
                "-h",
                host,
                "-P",
                port,
                "-u",
                "trunkline",
                "-psecret",
                "-e",
                &sql.join(";"),
            ]);
            c
        }
        _ => {
            let mut c = Command::new("psql");
            c.env("PGPASSWORD", "secret").args([
                "-q",
                "-h",
                host,
                "-p",
                port,
                "-U",
                "trunkline",
                "-d",
                "postgres",
            ]);
            c.args(["-c", &sql[0], "-c", &sql[1]]);
            c
        }
    };
    let done = command.output().expect("the database's client runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(format!("{server}/{name}"))
}

/// Held by tests of one file that stop servers, and by those that would notice.
pub fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(|e| e.into_inner())
}
