//! Module `jsonrpcs` over datagrams: a document in each, its answer back to where it came from.

use std::io;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use modules::jsonrpcs::JsonRpcs;
use script::{Core, rpc};
use serde_json::{Value as Json, json};

use super::files::{Access, make_room};
use super::pause;
use crate::clock;

/// The socket, open.
#[derive(Debug)]
pub enum Datagram {
    /// In the file system.
    Unix(UnixDatagram, PathBuf),
    /// UDP.
    Udp(UdpSocket),
}

impl Datagram {
    /// Opens a path, or `udp:host:port`.
    pub fn open(name: &Path, access: &Access, timeout: u32) -> io::Result<Datagram> {
        let timeout = Some(Duration::from_millis(u64::from(timeout.max(1))));
        if let Some(address) = name.to_str().and_then(|n| n.strip_prefix("udp:")) {
            let socket = UdpSocket::bind(address)?;
            socket.set_write_timeout(timeout)?;
            return Ok(Datagram::Udp(socket));
        }
        make_room(name)?;
        let socket = UnixDatagram::bind(name)?;
        access.apply(name)?;
        socket.set_write_timeout(timeout)?;
        Ok(Datagram::Unix(socket, name.to_owned()))
    }

    /// The file to remove at the end.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Datagram::Unix(_, path) => Some(path),
            Datagram::Udp(_) => None,
        }
    }

    /// Answers until the process ends.
    pub fn serve(&self, core: &Core) {
        match self {
            Datagram::Udp(s) => each(core, |b| s.recv_from(b), |answer, to| s.send_to(answer, to)),
            Datagram::Unix(s, _) => each(core, |b| s.recv_from(b), |answer, to| s.send_to_addr(answer, to)),
        }
    }
}

fn each<A>(
    core: &Core,
    receive: impl Fn(&mut [u8]) -> io::Result<(usize, A)>,
    send: impl Fn(&[u8], &A) -> io::Result<usize>,
) {
    let Some(module) = core.registry.module::<JsonRpcs>() else { return };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (length, peer) = match receive(&mut buffer) {
            Ok(r) => r,
            Err(error) => {
                tracing::warn!(target: "jsonrpcs", %error, "datagram not received");
                pause();
                continue;
            }
        };
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        let Some(answer) = rpc::answer(core, clock::now(), &text) else { continue };
        let sent = send(module.text(&answer).as_bytes(), &peer).or_else(|error| {
            let id = answer.get("id").cloned().unwrap_or(Json::Null);
            let message = format!("the answer cannot be sent as a datagram: {error}");
            let fault = json!({"jsonrpc": "2.0", "error": {"code": 500, "message": message}, "id": id});
            send(module.text(&fault).as_bytes(), &peer)
        });
        if let Err(error) = sent {
            tracing::debug!(target: "jsonrpcs", %error, "answer not sent");
        }
    }
}
