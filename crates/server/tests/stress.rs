//! No deadlock, shown: the running server with everything at once that ever stopped one. Workers and threads of the script, exceptions,
//! `sys.exit()`, blocking calls, log storms with a slow reader, signals, timers, callbacks inside of callbacks, reloads; in each mode
//! of threads and interpreters. It fails when a request or a question to the control socket is not answered in two seconds, and when
//! the callbacks did not run as often as the requests demand.
//!
//! A minute by default; `make soak SECONDS=3600` or `STRESS_SECONDS=3600` for longer.

#[path = "stress/clients.rs"]
mod clients;
mod common;

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clients::{Client, DEADLINE, Report};
use common::{Folder, Server, binary, kill, text};
use serde_json::json;
use testkit::proof::Times;

const WORKERS: u32 = 4;
const CLIENTS: u64 = 8;
const SCRIPT: &str = include_str!("stress/script.py");

/// Interpreter modes of the Python that was built in.
fn interpreters() -> Vec<&'static str> {
    let version = text(&binary().arg("version").output().expect("trunkline version").stdout);
    let minor = version.split("python: 3.").nth(1).and_then(|v| v.split(['.', ' ', '\n']).next());
    let minor: u32 =
        minor.and_then(|m| m.parse().ok()).unwrap_or_else(|| panic!("no version of Python in {version}"));
    if minor >= 13 { vec!["shared", "per_worker"] } else { vec!["shared"] }
}

#[test]
fn nothing_ever_waits_for_ever() {
    let seconds = std::env::var("STRESS_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60.0);
    let rounds: Vec<(&str, u32)> =
        interpreters().into_iter().flat_map(|mode| [(mode, 0), (mode, 1)]).collect();
    let each = Duration::from_secs_f64(seconds / rounds.len() as f64);
    for (interpreters, threads_mode) in rounds {
        let round = Round::start(interpreters, threads_mode);
        let report = round.run(each);
        eprintln!(
            "interpreters {interpreters}, threads_mode {threads_mode}, {} s: {report:?}",
            each.as_secs()
        );
        round.end(&report);
    }
}

struct Round {
    server: Server,
    script: String,
    threads_mode: u32,
    name: String,
    callee: UdpSocket,
    slow: TcpListener,
    /// Calls to it time out.
    _silent: UdpSocket,
}

impl Round {
    fn start(interpreters: &str, threads_mode: u32) -> Round {
        let port = |address: std::io::Result<SocketAddr>| address.expect("address").port().to_string();
        let socket = || UdpSocket::bind("127.0.0.1:0").expect("socket");
        let (callee, silent) = (socket(), socket());
        let slow = TcpListener::bind("127.0.0.1:0").expect("listener");
        let script = SCRIPT
            .replace("@SLOW_PEER@", &port(slow.local_addr()))
            .replace("@SILENT@", &port(silent.local_addr()))
            .replace("@CALLEE@", &port(callee.local_addr()));
        let folder = Folder::new();
        let path = folder.write("route.py", &script);
        let mut config = format!("debug=2\nchildren={WORKERS}\nlisten=udp:127.0.0.1:0\n");
        for module in ["tm", "sl", "pv", "usrloc", "registrar", "app_python3"] {
            config.push_str(&format!("loadmodule \"{module}.so\"\n"));
        }
        for (module, name, value) in [
            ("tm", "fr_timer", "600"),
            ("tm", "wt_timer", "200"),
            ("sl", "event_callback_lres_sent", "\"ksr_local_response\""),
            ("usrloc", "preload", "\"location\""),
            ("usrloc", "timer_interval", "1"),
            ("registrar", "min_expires", "1"),
            ("registrar", "event_callback", "\"ksr_expired\""),
            ("app_python3", "load", &format!("\"{}\"", path.display())),
            ("app_python3", "interpreters", &format!("\"{interpreters}\"")),
            ("app_python3", "threads_mode", &threads_mode.to_string()),
        ] {
            config.push_str(&format!("modparam(\"{module}\", \"{name}\", {value})\n"));
        }
        config.push_str("cfgengine \"python\"\n");
        let config = folder.write("kamailio.cfg", &config);
        let name = format!("interpreters {interpreters}, threads_mode {threads_mode}");
        let server = Server::start_config(folder, &config, &[]);
        Round { server, script, threads_mode, name, callee, slow, _silent: silent }
    }

    fn run(&self, during: Duration) -> Report {
        let (stop, over) = (AtomicBool::new(false), AtomicBool::new(false));
        let mut report = Report::default();
        std::thread::scope(|scope| {
            let (stop, over) = (&stop, &over);
            let (server, threads_mode) = (self.server.address, self.threads_mode);
            let (callee, slow) = (&self.callee, &self.slow);
            scope.spawn(move || clients::callee(callee, over));
            scope.spawn(move || clients::slow_peer(slow, over));
            let load: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let client = Client { number, server, threads_mode };
                    scope.spawn(move || client.run(stop))
                })
                .collect();
            let disturbed =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.disturb(during, stop)));
            stop.store(true, Relaxed);
            let reports: Vec<_> = load.into_iter().map(|client| client.join()).collect();
            // Last, because requests under way need whom the script asks. A loop looks at `over` when somebody connects.
            over.store(true, Relaxed);
            drop(TcpStream::connect(self.slow.local_addr().expect("address")));
            reports.into_iter().for_each(|client| report.add(client.expect("client")));
            if let Err(panic) = disturbed {
                std::panic::resume_unwind(panic);
            }
        });
        if let Some(wrong) = &report.wrong {
            let asked = self.server.ctl(&["kemi.callbacks"]);
            panic!("{}: {wrong}\n{}{}", self.name, text(&asked.stdout), text(&asked.stderr));
        }
        report
    }

    /// Signals, questions, reloads and a log that nobody reads for a while, until the time is over or a client has stopped.
    fn disturb(&self, during: Duration, stop: &AtomicBool) {
        let until = Instant::now() + during;
        let list = self.ask("system.listMethods");
        let reloads = list.as_array().is_some_and(|names| names.contains(&json!("app_python.reload")));
        for turn in 0u32.. {
            if stop.load(Relaxed) || Instant::now() >= until {
                return;
            }
            self.read_log(Duration::from_millis(50));
            kill(self.server.pid(), "USR1");
            let command =
                ["kemi.callbacks", "kemi.threads", "stats.prometheus", "kemi.engine"][turn as usize % 4];
            self.ask(command);
            if turn % 20 == 10 {
                let unread = self.server.reading.lock();
                let held = Instant::now() + Duration::from_millis(300);
                while Instant::now() < held {
                    self.ask("core.uptime");
                }
                drop(unread);
            }
            if reloads && turn % 10 == 5 {
                let sound = turn % 30 != 15;
                let more = if sound { format!("# {turn}\n") } else { "def broken(:\n".to_owned() };
                self.server.folder.write("route.py", &(self.script.clone() + &more));
                if turn % 20 == 5 {
                    kill(self.server.pid(), "HUP");
                } else {
                    let begin = Instant::now();
                    let output = self.server.ctl(&["app_python.reload"]);
                    let said = text(&output.stderr);
                    let known = said.contains("already under way") || said.contains("SyntaxError");
                    assert!(output.status.success() || known, "{}: {said}", self.name);
                    // Every worker loads the script; the others route on meanwhile, which the clients watch.
                    assert!(
                        begin.elapsed() < DEADLINE * 5,
                        "{}: reload took {:?}",
                        self.name,
                        begin.elapsed()
                    );
                }
            }
        }
    }

    fn ask(&self, command: &str) -> serde_json::Value {
        let begin = Instant::now();
        let answer = self.server.ask(command, json!([]));
        assert!(begin.elapsed() < DEADLINE, "{}: {command} took {:?}", self.name, begin.elapsed());
        answer
    }

    fn read_log(&self, during: Duration) {
        let until = Instant::now() + during;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if let Some(line) = self.server.log_line(left) {
                assert!(!is_fatal(&line), "{}: {line}", self.name);
            }
        }
    }

    fn end(self, report: &Report) {
        let calls = report.of(&["relay", "timeout"]);
        let answered = report.of(&["relay"]);
        let ok = report.routed.values().sum::<u64>() - calls - report.of(&["raise", "deep", "silent"]);
        let (execs, registered) = (report.of(&["exec"]), report.of(&["register"]));
        let exactly = Times::Exactly;
        self.server.ran_within(&[
            ("ksr_request_route", exactly(report.routed.values().sum())),
            ("ksr_branch", exactly(calls)),
            // Two workers may take the two replies in the other order; a 180 after the final one is nobody's.
            ("ksr_onreply", Times::Between(answered, answered * 2)),
            ("ksr_failure", exactly(report.of(&["timeout"]) + report.refused)),
            ("ksr_nested_p1", exactly(execs)),
            // Of contacts that ended: renewed ones did not.
            ("ksr_expired", Times::Between(u64::from(registered > 100), registered)),
            ("ksr_nested", Times::Between(execs * 2 + calls, execs * 2 + calls + registered)),
            // What was suspended is answered by its transaction, without that event.
            ("ksr_local_response", Times::Between(ok - report.of(&["await"]), ok)),
        ]);
        assert!(report.routed.len() > 10, "{}: {report:?}", self.name);
        match self.threads_mode {
            0 => assert_eq!(report.ticks, 0, "{}: held threads made progress", self.name),
            _ => assert!(report.ticked > 5, "{}: threads of the script stand still: {report:?}", self.name),
        }
        let name = self.name.clone();
        let begin = Instant::now();
        let (code, log) = self.server.end();
        assert_eq!(code, 0, "{name}: {log}");
        assert!(begin.elapsed() < DEADLINE * 2, "{name}: it took {:?} to end", begin.elapsed());
        assert!(!log.contains("left behind") && !log.lines().any(is_fatal), "{name}: {log}");
    }
}

/// Defects of the server, or of Python inside it, in its log.
fn is_fatal(line: &str) -> bool {
    ["BUG", "panicked", "Fatal Python error", "Segmentation"].iter().any(|word| line.contains(word))
}
