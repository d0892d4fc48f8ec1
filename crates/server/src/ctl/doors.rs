//! Every way in besides the control socket: BINRPC (`ctl`), FIFO and datagrams (`jsonrpcs`), HTTP (`--admin`). All are opened before
//! the server gives up its rights, and answered once it runs.
//!
//! What the configuration names must work, or the server does not start. Default paths are opened where that is possible: a second server on a
//! machine starts without them, and says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use modules::ctl::{Address, Ctl, Kind};
use modules::jsonrpcs::{self, Endpoint, JsonRpcs};
use script::Core;

use super::binrpc::Door;
use super::datagram::Datagram;
use super::fifo::Fifo;
use super::files::Access;
use super::http::Admin;
use crate::cli::RunArgs;
use crate::privileges::Identity;

/// Kamailio's runtime directory, where its tools look.
const RUNTIME: &str = "/run/kamailio";

/// What is open.
#[derive(Debug, Default)]
pub struct Doors {
    binrpc: Vec<Arc<Door>>,
    fifo: Option<Arc<Fifo>>,
    datagram: Option<Arc<Datagram>>,
    admin: Option<Arc<Admin>>,
}

/// Starts a thread: its name, what `core.psx` calls it, what it does.
pub type Start<'a> = dyn FnMut(&str, &str, Box<dyn FnOnce() + Send>) -> Result<(), String> + 'a;

impl Doors {
    /// Opens all that configuration and command line ask for.
    pub fn open(core: &Core, args: &RunArgs, identity: &Identity) -> Result<Doors, String> {
        let mut doors = Doors::default();
        let runtime = args.runtime.clone().unwrap_or_else(|| PathBuf::from(RUNTIME));
        if let Some(ctl) = core.registry.module::<Ctl>() {
            let (mode, user, group) = ctl.ownership();
            let access = Access::find(mode, user, group, identity).map_err(|e| format!("module ctl: {e}"))?;
            for address in ctl.addresses() {
                let door = Door::open(address, &access)
                    .map_err(|e| format!("module ctl: {}:{}: {e}", address.kind.word(), address.name))?;
                doors.binrpc.push(Arc::new(door));
            }
            if ctl.addresses().is_empty() {
                let path = default(&runtime, modules::ctl::SOCKET, identity);
                let name = path.display().to_string();
                let address = Address { kind: Kind::UnixStream, name, port: 0 };
                let door = Door::open(&address, &access);
                doors.binrpc.extend(optional("ctl", &path, door).map(Arc::new));
            }
        }
        if let Some(module) = core.registry.module::<JsonRpcs>() {
            let access = |e: &Endpoint<'_>| {
                let found = Access::find(e.mode, e.owner.user.as_deref(), e.owner.group.as_deref(), identity);
                found.map_err(|e| format!("module jsonrpcs: {e}"))
            };
            let wrong = |path: &Path, e| format!("module jsonrpcs: {}: {e}", path.display());
            if let Some(fifo) = module.fifo() {
                let access = access(&fifo)?;
                doors.fifo = match fifo.name {
                    Some(name) => {
                        let path = runtime.join(name);
                        Some(Fifo::open(&path, &access).map_err(|e| wrong(&path, e))?)
                    }
                    None => {
                        let path = default(&runtime, jsonrpcs::FIFO, identity);
                        optional("jsonrpcs", &path, Fifo::open(&path, &access))
                    }
                }
                .map(Arc::new);
            }
            if let Some(datagram) = module.datagram() {
                let (access, timeout) = (access(&datagram)?, module.datagram_timeout());
                doors.datagram = match datagram.name {
                    Some(name) => {
                        let udp = name.starts_with("udp:");
                        let path = if udp { PathBuf::from(name) } else { runtime.join(name) };
                        Some(Datagram::open(&path, &access, timeout).map_err(|e| wrong(&path, e))?)
                    }
                    None => {
                        let path = default(&runtime, jsonrpcs::SOCKET, identity);
                        optional("jsonrpcs", &path, Datagram::open(&path, &access, timeout))
                    }
                }
                .map(Arc::new);
            }
        }
        if let Some(wanted) = &args.admin {
            doors.admin = Some(Arc::new(Admin::open(wanted)?));
        }
        Ok(doors)
    }

    /// Answers at each, on a thread of its own, until the process ends.
    pub fn serve(&self, core: &Arc<Core>, start: &mut Start<'_>) -> Result<(), String> {
        for door in &self.binrpc {
            let (door, core) = (door.clone(), core.clone());
            start("binrpc", "ctl handler", Box::new(move || door.serve(&core)))?;
        }
        if let Some(fifo) = self.fifo.clone() {
            let core = core.clone();
            start("jsonrpc-fifo", "JSONRPCS FIFO", Box::new(move || fifo.serve(&core)))?;
        }
        if let Some(datagram) = self.datagram.clone() {
            let core = core.clone();
            start("jsonrpc-dgram", "JSONRPCS DATAGRAM", Box::new(move || datagram.serve(&core)))?;
        }
        if let Some(admin) = self.admin.clone() {
            let core = core.clone();
            start("admin", "admin HTTP", Box::new(move || admin.serve(&core)))?;
        }
        Ok(())
    }

    /// Where Kamailio's tools and programs find the server, for the start-up lines.
    pub fn listed(&self) -> Vec<String> {
        let binrpc = self.binrpc.iter().map(|d| format!("kamcmd -s {}", d.address()));
        let fifo = self.fifo.iter().map(|f| format!("kamctl at {}", f.file().display()));
        let datagram = self.datagram.iter().filter_map(|d| d.file());
        let datagram = datagram.map(|path| format!("JSON-RPC datagrams at {}", path.display()));
        binrpc.chain(fifo).chain(datagram).collect()
    }

    /// The admin address.
    pub fn admin(&self) -> Option<std::net::SocketAddr> {
        self.admin.as_ref().map(|a| a.address())
    }

    /// Removes the files; at the end, when the process is about to go.
    pub fn close(&self) {
        let binrpc = self.binrpc.iter().filter_map(|d| d.file());
        let fifo = self.fifo.iter().map(|f| f.file());
        let datagram = self.datagram.iter().filter_map(|d| d.file());
        for path in binrpc.chain(fifo).chain(datagram) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A start that fails leaves no files.
impl Drop for Doors {
    fn drop(&mut self) {
        self.close();
    }
}

/// A default path; its folder is made if it is not there, for whom the server runs as.
fn default(runtime: &Path, name: &str, identity: &Identity) -> PathBuf {
    if std::fs::create_dir(runtime).is_ok() && identity.uid().is_some() {
        let _ = nix::unistd::chown(runtime, identity.uid(), identity.gid());
    }
    runtime.join(name)
}

fn optional<T>(module: &str, path: &Path, opened: std::io::Result<T>) -> Option<T> {
    opened
        .inspect_err(|error| {
            tracing::warn!(target: "ctl", %error, path = %path.display(), "module {module}: not opened at its default path; name another one in the configuration");
        })
        .ok()
}
