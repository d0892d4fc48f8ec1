//! SIPp as a peer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A SIPp scenario file of this folder.
pub fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(name)
}

/// A SIPp run.
pub struct Sipp {
    child: Child,
    folder: PathBuf,
    name: String,
}

impl Sipp {
    /// Starts a scenario against the server; `args` are more SIPp arguments.
    pub fn start(name: &str, server: SocketAddr, port: u16, args: &[&str]) -> Sipp {
        let folder =
            std::env::temp_dir().join(format!("trunkline-sipp-{}-{port}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let out = std::fs::File::create(folder.join("screen")).expect("screen file");
        let child = Command::new("sipp")
            .arg("-sf")
            .arg(scenario(name))
            .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin", "-trace_err", "-error_file"])
            .arg(folder.join("errors"))
            .args(args)
            .arg(server.to_string())
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("screen"))
            .stderr(out)
            .spawn()
            .expect("sipp (Debian package sip-tester) is installed");
        Sipp { child, folder, name: name.into() }
    }
    /// Waits for its end; panics with its errors when a call failed.
    pub fn finish(mut self) {
        let status = self.child.wait().expect("sipp ends");
        let read = |f: &str| std::fs::read_to_string(self.folder.join(f)).unwrap_or_default();
        let screen = read("screen");
        let tail: Vec<&str> = screen.lines().rev().take(45).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        assert!(
            status.success(),
            "{}: {status}\n{}\n{}",
            self.name,
            read("errors").chars().take(4000).collect::<String>(),
            tail.join("\n")
        );
        let _ = std::fs::remove_dir_all(&self.folder);
    }
    /// Ends a scenario that would run on (a UAS).
    pub fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A free UDP port for SIPp.
pub fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a free port").port()
}
