//! The control socket: JSON-RPC 2.0 over a Unix stream socket, one JSON document per line. The ways in of Kamailio's tools are beside it.

mod binrpc;
pub mod client;
mod datagram;
pub mod doors;
mod fifo;
mod files;
mod http;
mod print;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use script::Core;

use crate::clock;

/// Longest request line.
const REQUEST_MAX: u64 = 1 << 20;
/// Clients at one time.
const CLIENTS_MAX: usize = 32;
/// A client that sends or reads nothing this long is let go.
const IDLE: Duration = Duration::from_secs(60);

/// Where sockets are looked for and made, best first.
pub fn default_paths() -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from("/run/trunkline/trunkline.sock")];
    if let Some(dir) = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
        all.push(Path::new(&dir).join("trunkline.sock"));
    }
    all.push(PathBuf::from(format!("/tmp/trunkline-{}.sock", nix::unistd::Uid::effective())));
    all
}

/// A control socket that is bound; its file goes when this does.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Binds `wanted`, or the first default path that works. A second server on one machine gets a name with its process id.
    pub fn bind(wanted: Option<&Path>) -> Result<Control, String> {
        if let Some(path) = wanted {
            return Control::at(path).map_err(|e| format!("control socket {}: {e}", path.display()));
        }
        let mut last = String::new();
        for path in default_paths() {
            if path.starts_with("/run/trunkline")
                && let Some(dir) = path.parent()
            {
                let _ = std::fs::create_dir(dir);
            }
            match Control::at(&path) {
                Ok(c) => return Ok(c),
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                    let own = path.with_file_name(format!("trunkline-{}.sock", std::process::id()));
                    if let Ok(c) = Control::at(&own) {
                        return Ok(c);
                    }
                }
                Err(e) => last = format!("control socket {}: {e}", path.display()),
            }
        }
        Err(last)
    }

    fn at(path: &Path) -> io::Result<Control> {
        files::make_room(path)?;
        let listener = UnixListener::bind(path)?;
        // Whoever may connect may add contacts and read all of them: only the owner (and root).
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Control { listener, path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file to the user the server will run as.
    pub fn give_to(&self, user: Option<nix::unistd::Uid>, group: Option<nix::unistd::Gid>) {
        if let Err(e) = nix::unistd::chown(&self.path, user, group) {
            tracing::warn!(target: "ctl", path = %self.path.display(), error = %e, "control socket keeps its owner");
        }
    }

    /// Answers until the process ends.
    pub fn serve(&self, core: &Arc<Core>) {
        let clients = Arc::new(AtomicUsize::new(0));
        for stream in self.listener.incoming() {
            let stream = match stream {
                Ok(s) => s,
                Err(e) => {
                    tracing::warn!(target: "ctl", error = %e, "control client not taken");
                    pause();
                    continue;
                }
            };
            if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
                clients.fetch_sub(1, Ordering::Relaxed);
                tracing::warn!(target: "ctl", "control client refused: {CLIENTS_MAX} are connected");
                continue;
            }
            let (core, count) = (core.clone(), clients.clone());
            let spawned = std::thread::Builder::new()
                .name("ctl-client".into())
                .stack_size(crate::engine::STACK)
                .spawn(move || {
                    if let Err(e) = talk(&stream, &core) {
                        tracing::debug!(target: "ctl", error = %e, "control client gone");
                    }
                    count.fetch_sub(1, Ordering::Relaxed);
                });
            if spawned.is_err() {
                clients.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Out of descriptors or the like: lets others close theirs.
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

fn talk(stream: &UnixStream, core: &Core) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.by_ref().take(REQUEST_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.len() as u64 == REQUEST_MAX && !line.ends_with('\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "request line too long"));
        }
        if line.trim().is_empty() {
            continue;
        }
        if let Some(answer) = script::rpc::answer(core, clock::now(), &line) {
            let mut text = answer.to_string();
            text.push('\n');
            writer.write_all(text.as_bytes())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("trunkline-ctl-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let path = folder("stale").join("t.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a closed socket leaves its file");
        let first = Control::bind(Some(&path)).unwrap();
        let error = Control::bind(Some(&path)).unwrap_err();
        assert!(error.contains("another server answers"), "{error}");
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn other_files_are_left_alone() {
        let path = folder("file").join("precious");
        std::fs::write(&path, "data").unwrap();
        assert!(Control::bind(Some(&path)).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }

    #[test]
    fn only_the_owner_may_connect() {
        let path = folder("mode").join("t.sock");
        let c = Control::bind(Some(&path)).unwrap();
        assert_eq!(std::fs::metadata(c.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
