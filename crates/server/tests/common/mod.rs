//! A running server for tests: started on a port the system chooses, asked over its control socket, ended by SIGTERM.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use testkit::proof::{Calls, Times, callbacks_ran};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A folder of its own, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("trunkline-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("folder");
        Folder(path)
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The modules and engine every test configuration has; `{script}` is the script's path.
pub const MODULES: &str = r#"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "app_python3.so"
modparam("app_python3", "load", "{script}")
cfgengine "python"
"#;

/// Answers everything with 200.
pub const ANSWER: &str = "
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        KSR.sl.send_reply(200, 'OK')
        return 1
def mod_init():
    return Handler()
";

pub fn binary() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    // The last one: bytecode is written, as for any operator.
    c.env_remove("TRUNKLINE_CTL").env_remove("JOURNAL_STREAM").env_remove("PYTHONDONTWRITEBYTECODE");
    c
}

/// Runs to the end; for what must not start, and for `check`.
pub fn run_to_end(args: &[&str]) -> Output {
    let mut child = binary()
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("trunkline");
    let (done, end) = channel::<()>();
    let pid = child.id();
    // A server that starts where it must not would run for ever.
    let guard = std::thread::spawn(move || {
        if end.recv_timeout(PATIENCE).is_err() {
            kill(pid, "KILL");
        }
    });
    let mut output = Output { status: Default::default(), stdout: Vec::new(), stderr: Vec::new() };
    let mut err = child.stderr.take().expect("stderr");
    let reader = std::thread::spawn(move || {
        let mut b = Vec::new();
        let _ = err.read_to_end(&mut b);
        b
    });
    let _ = child.stdout.take().expect("stdout").read_to_end(&mut output.stdout);
    output.stderr = reader.join().expect("reader");
    output.status = child.wait().expect("exit");
    let _ = done.send(());
    let _ = guard.join();
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn kill(pid: u32, signal: &str) {
    assert!(testkit::process::signal(pid, signal), "SIG{signal} to {pid}");
}

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub banner: String,
    control: PathBuf,
    pub folder: Folder,
    /// Whoever holds it keeps the server's log from being read.
    pub reading: Arc<Mutex<()>>,
    lines: Receiver<String>,
}

impl Server {
    /// Starts with `core` (parameters) before the standard modules.
    pub fn start(core: &str, script: &str) -> Server {
        Server::start_with(core, script, &[])
    }

    pub fn start_with(core: &str, script: &str, flags: &[&str]) -> Server {
        let folder = Folder::new();
        let script = folder.write("route.py", script);
        let modules = MODULES.replace("{script}", &script.display().to_string());
        let config = folder.write("kamailio.cfg", &format!("{core}\nlisten=udp:127.0.0.1:0\n{modules}"));
        Server::start_config(folder, &config, flags)
    }

    /// Starts with a configuration that exists.
    pub fn start_config(folder: Folder, config: &Path, flags: &[&str]) -> Server {
        let control = folder.path().join("ctl.sock");
        let mut child = binary()
            .args(["run", "-f", &config.display().to_string(), "--ctl", &control.display().to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("trunkline");
        let stderr = child.stderr.take().expect("stderr");
        let (tell, lines) = channel();
        let reading = Arc::new(Mutex::new(()));
        let gate = reading.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                drop(gate.lock());
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let mut banner = String::new();
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    banner.push_str(&line);
                    banner.push('\n');
                    if line.starts_with("Ready.") {
                        break;
                    }
                }
                Err(e) => panic!("not started: {e}\n{banner}"),
            }
        }
        // What was logged before may name other addresses.
        let listening = banner.lines().find(|l| l.trim_start().starts_with("listening ")).unwrap_or_default();
        let address = listening
            .split("udp:")
            .nth(1)
            .and_then(|rest| rest.split(',').next())
            .and_then(|a| a.trim().parse().ok())
            .unwrap_or_else(|| panic!("no address in\n{banner}"));
        Server { child, address, banner, control, folder, reading, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The result of an RPC command.
    pub fn ask(&self, method: &str, params: Json) -> Json {
        let mut stream = UnixStream::connect(&self.control).expect("control socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        let request = serde_json::json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1});
        stream.write_all(format!("{request}\n").as_bytes()).expect("request");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("answer");
        let answer: Json = serde_json::from_str(&line).expect("JSON");
        answer.get("result").cloned().unwrap_or_else(|| panic!("{method}: {answer}"))
    }

    pub fn statistic(&self, name: &str) -> i64 {
        let all = self.ask("stats.fetchn", serde_json::json!([name]));
        all.as_object().and_then(|o| o.values().next()).and_then(Json::as_i64).unwrap_or(-1)
    }

    pub fn ctl(&self, args: &[&str]) -> Output {
        binary().args(["ctl", "--ctl", &self.control.display().to_string()]).args(args).output().expect("ctl")
    }

    /// Panics unless the script's callbacks ran as the messages demand since the start, and no others.
    pub fn ran(&self, demanded: &[(&str, u64)]) {
        let demanded: Vec<_> = demanded.iter().map(|(name, n)| (*name, Times::Exactly(*n))).collect();
        self.ran_within(&demanded);
    }

    /// The same, where the messages do not demand one number.
    pub fn ran_within(&self, demanded: &[(&str, Times)]) {
        callbacks_ran("callbacks", demanded, &Calls::new(), || self.all_calls());
    }

    /// How often a callback has run so far; to wait for it. What must have run is said with [`Server::ran`].
    pub fn calls(&self, callback: &str) -> u64 {
        self.all_calls().get(callback).copied().unwrap_or(0)
    }

    fn all_calls(&self) -> Calls {
        let answer = self.ask("kemi.callbacks", serde_json::json!([]));
        let rows = answer["callbacks"].as_array().unwrap_or_else(|| panic!("a list: {answer}"));
        let text = |row: &Json| row["name"].as_str().map(str::to_owned);
        rows.iter().filter_map(|row| Some((text(row)?, row["calls"].as_u64()?))).collect()
    }

    /// The next line of the log, waited for as long as this.
    pub fn log_line(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }

    /// Waits until a line of the log contains this.
    pub fn logged(&self, wanted: &str) -> String {
        let mut before = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(wanted) => return line,
                Ok(line) => before = before + &line + "\n",
                Err(e) => panic!("{wanted:?} was not logged: {e}\n{before}"),
            }
        }
    }

    pub fn phone(&self) -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        socket.connect(self.address).expect("connect");
        Phone { socket }
    }

    /// What is logged up to the line with this text.
    pub fn log_until(&self, what: &str) -> String {
        let mut log = String::new();
        while !log.contains(what) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => log.push_str(&(line + "\n")),
                Err(e) => panic!("{what:?} was not logged: {e}\n{log}"),
            }
        }
        log
    }

    /// SIGTERM; the exit code and what was logged after the start.
    pub fn end(mut self) -> (i32, String) {
        kill(self.child.id(), "TERM");
        let mut log = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            log.push_str(&line);
            log.push('\n');
        }
        let status = self.child.wait().expect("exit");
        (status.code().unwrap_or(-1), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log: Vec<String> = self.lines.iter().collect();
            eprintln!("--- log of the server, as far as the test had not read it\n{}", log.join("\n"));
        }
    }
}

pub struct Phone {
    socket: UdpSocket,
}

impl Phone {
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("address")
    }
    pub fn send(&self, method: &str, call_id: &str) {
        let local = self.socket.local_addr().expect("address");
        let text = format!(
            "{method} sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}\r\n\
             From: <sip:a@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 {method}\r\nMax-Forwards: 10\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send(text.as_bytes()).expect("send");
    }
    pub fn send_raw(&self, bytes: &[u8]) {
        self.socket.send(bytes).expect("send");
    }
    /// The next datagram.
    pub fn receive(&self) -> Vec<u8> {
        let mut b = vec![0u8; 65_536];
        let n = self.socket.recv(&mut b).expect("a reply");
        b.truncate(n);
        b
    }
    /// The next datagram, if one comes within this time.
    pub fn receive_within(&self, time: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(time)).expect("timeout");
        let mut b = vec![0u8; 65_536];
        let n = self.socket.recv(&mut b).ok();
        self.socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        n.map(|n| {
            b.truncate(n);
            b
        })
    }
    /// Status code and Call-ID of the next reply.
    pub fn reply(&self) -> (u16, String) {
        let text = text(&self.receive());
        let code = text.split(' ').nth(1).and_then(|c| c.parse().ok()).unwrap_or(0);
        let id = text.lines().find_map(|l| l.strip_prefix("Call-ID: ")).unwrap_or("").to_owned();
        (code, id)
    }
}
