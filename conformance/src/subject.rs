//! The server under test: started on a free port, stopped when dropped.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use testkit::process;
use testkit::proof::{Calls, Times, callbacks_ran};

use crate::relay;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This project's `trunkline`.
    Trunkline,
    /// Debian's `kamailio`.
    Kamailio,
}

impl Kind {
    /// From `SIP_TEST_SUBJECT`, Trunkline when unset.
    pub fn from_env() -> Kind {
        match std::env::var("SIP_TEST_SUBJECT").as_deref() {
            Ok("kamailio") => Kind::Kamailio,
            Ok("trunkline") | Err(_) => Kind::Trunkline,
            Ok(other) => panic!("SIP_TEST_SUBJECT={other}: use trunkline or kamailio"),
        }
    }
}

/// Among the defines: media go through [`relay`].
pub const WITH_RELAY: &str = "WITH_RELAY";

/// What a server is started with.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Its sockets: an IP address, and after a blank the address it advertises.
    pub sockets: &'static [&'static str],
    /// `-A` arguments.
    pub defines: &'static [&'static str],
}

impl Setup {
    /// One socket, nothing defined.
    pub const PLAIN: Setup = Setup { sockets: &["127.0.0.1"], defines: &[] };
}

/// A running server.
pub struct Subject {
    /// Which.
    pub kind: Kind,
    /// Where it listens first.
    pub address: SocketAddr,
    /// All its sockets, with what they advertise.
    pub sockets: Vec<(SocketAddr, Option<String>)>,
    child: Child,
    folder: PathBuf,
    /// Callbacks that were accounted for.
    seen: Mutex<Calls>,
}

impl Subject {
    /// Starts it with the conformance configuration.
    pub fn start(kind: Kind, setup: &Setup) -> Subject {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        Subject::start_with(kind, &config.join("kamailio.cfg"), &config.join("route.py"), setup)
    }

    /// Starts it with another configuration and script.
    pub fn start_with(kind: Kind, cfg: &Path, script: &Path, setup: &Setup) -> Subject {
        let sockets = free_sockets(setup.sockets);
        let address = sockets[0].0;
        let folder = std::env::temp_dir().join(format!(
            "trunkline-conformance-{}-{}",
            std::process::id(),
            address.port()
        ));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let log = std::fs::File::create(folder.join("log")).expect("log file");
        let mut command = match kind {
            Kind::Trunkline => {
                let mut c = Command::new(binary());
                c.arg("run").env("TRUNKLINE_CTL", folder.join("ctl"));
                c
            }
            Kind::Kamailio => {
                let mut c = Command::new("/usr/sbin/kamailio");
                c.args(["-m", "64", "-M", "8"]).arg("-Y").arg(&folder);
                c
            }
        };
        command.args(["-DD", "-E", "-f"]).arg(cfg);
        for (socket, advertised) in &sockets {
            let advertised = advertised.as_ref().map(|a| format!("/{a}")).unwrap_or_default();
            command.arg("-l").arg(format!("udp:{socket}{advertised}"));
        }
        command.arg("-A").arg(format!("SCRIPT=\"{}\"", script.display()));
        for define in setup.defines {
            command.arg("-A").arg(define);
        }
        if setup.defines.contains(&WITH_RELAY) {
            command.arg("-A").arg(format!("RELAY=\"udp:127.0.0.1:{}\"", *relay::PORT));
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {kind:?}: {e}"));
        let mut subject = Subject { kind, address, sockets, child, folder, seen: Mutex::default() };
        subject.wait_until_up();
        if let Some(calls) = subject.callbacks() {
            subject.seen = Mutex::new(calls);
        }
        subject
    }

    fn wait_until_up(&mut self) {
        let socket = UdpSocket::bind((self.address.ip(), 0)).expect("probe socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
        let me = socket.local_addr().expect("address");
        let to = self.address;
        let end = Instant::now() + Duration::from_secs(30);
        let mut n = 0;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{:?} ended at start: {status}\n{}", self.kind, self.log());
            }
            if !self.has_started() {
                std::thread::yield_now();
                continue;
            }
            n += 1;
            let probe = format!(
                "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKup{n}\r\nMax-Forwards: 5\r\nFrom: <sip:up@{me}>;tag=up\r\n\
                 To: <sip:{to}>\r\nCall-ID: up{n}@{me}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = socket.send_to(probe.as_bytes(), to);
            // Asked again: an early probe finds a log without the line that says how many processes there will be.
            if socket.recv_from(&mut [0; 4096]).is_ok() && self.has_started() {
                return;
            }
        }
        panic!("{:?} did not answer\n{}", self.kind, self.log());
    }

    /// As far as its log tells. Before all of Trunkline has started, a probe that its queue keeps would count as a message of the test;
    /// Kamailio's first processes answer while the others start, even before the one that loads the location has.
    fn has_started(&self) -> bool {
        match self.kind {
            Kind::Trunkline => self.log().contains("\nReady."),
            Kind::Kamailio => all_processes_up(&self.log()),
        }
    }

    /// Ends it at once, as a crash would.
    pub fn crash(mut self) {
        process::crash(&mut self.child);
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Panics unless the script's callbacks ran as the messages demand since the start or the last time this was asked, and no others.
    /// Kamailio does not tell.
    pub fn ran(&self, what: &str, demanded: &[(&str, Times)]) {
        if self.kind == Kind::Kamailio {
            return;
        }
        let mut seen = self.seen.lock().expect("no test panicked with it");
        *seen = callbacks_ran(what, demanded, &seen, || self.callbacks().unwrap_or_default());
    }

    fn callbacks(&self) -> Option<Calls> {
        if self.kind == Kind::Kamailio {
            return None;
        }
        let rows = self.ctl(&["kemi.callbacks"]);
        let rows =
            rows["callbacks"].as_array().unwrap_or_else(|| panic!("kemi.callbacks has a list: {rows}"));
        Some(
            rows.iter()
                .map(|row| {
                    let name = row["name"].as_str().expect("callback name").to_string();
                    (name, row["calls"].as_u64().expect("calls"))
                })
                .collect(),
        )
    }

    /// `trunkline ctl --json ...`
    pub fn ctl(&self, args: &[&str]) -> serde_json::Value {
        let out = Command::new(binary())
            .arg("ctl")
            .arg("--json")
            .args(args)
            .env("TRUNKLINE_CTL", self.folder.join("ctl"))
            .output()
            .expect("trunkline ctl");
        let complaint = [&out.stdout[..], &out.stderr].concat();
        let complaint = String::from_utf8_lossy(&complaint);
        assert!(out.status.success(), "ctl {args:?}: {}: {complaint}", out.status);
        serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("ctl {args:?}: {e}: {}", String::from_utf8_lossy(&out.stdout)))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let by_itself = process::end(&mut self.child);
        if std::thread::panicking() {
            eprintln!("--- log of {:?}\n{}", self.kind, self.log());
        } else {
            assert!(by_itself, "{:?} did not end after SIGTERM\n{}", self.kind, self.log());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whether each process of Kamailio's has told of its start. True when the log says nothing of processes: that depends on `debug`.
fn all_processes_up(log: &str) -> bool {
    let processes = log.split_once("processes (at least): ").and_then(|(_, rest)| rest.split(' ').next());
    processes.and_then(|n| n.parse().ok()).is_none_or(|n| log.matches("child_init(").count() >= n)
}

/// The built binary: beside the test's own, as cargo lays them out; `TRUNKLINE_BIN` overrides.
pub fn binary() -> PathBuf {
    if let Ok(path) = std::env::var("TRUNKLINE_BIN") {
        return path.into();
    }
    let exe = std::env::current_exe().expect("own path");
    let path = exe.ancestors().nth(2).expect("target folder").join("trunkline");
    assert!(path.exists(), "{} is not built: run `cargo build -p trunkline-server` first", path.display());
    path
}

/// A free port for each; all are held until the last is found, so that no two are the same.
fn free_sockets(wanted: &[&str]) -> Vec<(SocketAddr, Option<String>)> {
    let bound = |text: &&str| {
        let (ip, advertised) =
            text.split_once(' ').map_or((*text, None), |(ip, a)| (ip, Some(a.to_string())));
        let socket = UdpSocket::bind(format!("{ip}:0")).expect("a free port");
        (socket, advertised)
    };
    let held: Vec<_> = wanted.iter().map(bound).collect();
    held.into_iter().map(|(s, a)| (s.local_addr().expect("its address"), a)).collect()
}
