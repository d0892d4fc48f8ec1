//! Module `jsonrpcs` over a FIFO: JSON-RPC documents come in, one after the other; each answer goes to the FIFO that the document's
//! `reply_name` names. This is how `kamctl` asks.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use modules::jsonrpcs::JsonRpcs;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use script::{Core, rpc};
use serde_json::Value as Json;

use super::files::Access;
use super::{CLIENTS_MAX, pause};
use crate::clock;

/// Longest document.
const REQUEST_MAX: usize = 1 << 20;
/// A document that is not complete this many milliseconds after its last bytes is given up, so that the next one is read for itself.
const PATIENCE: u16 = 1000;
/// How long a client may take to read its answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The FIFO, open.
#[derive(Debug)]
pub struct Fifo {
    file: File,
    path: PathBuf,
}

impl Fifo {
    /// Makes it. One that somebody reads is left alone, one left behind is made anew.
    pub fn open(path: &Path, access: &Access) -> io::Result<Fifo> {
        if let Ok(meta) = std::fs::symlink_metadata(path) {
            if !meta.file_type().is_fifo() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is a file of that name that is no FIFO",
                ));
            }
            if for_writing(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server reads it"));
            }
            std::fs::remove_file(path)?;
        }
        nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(io::Error::from)?;
        access.apply(path)?;
        // Open for writing too: it does not end when a client has gone.
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Fifo { file, path: path.to_owned() })
    }

    /// The file to remove at the end.
    pub fn file(&self) -> &Path {
        &self.path
    }

    /// Answers until the process ends.
    pub fn serve(&self, core: &Arc<Core>) {
        let mut documents = Documents::default();
        let mut chunk = vec![0; 64 * 1024];
        let busy = Arc::new(AtomicUsize::new(0));
        loop {
            let patience = if documents.waiting() { PollTimeout::from(PATIENCE) } else { PollTimeout::NONE };
            let mut one = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut one, patience) {
                Ok(0) => documents.give_up(),
                Ok(_) => match (&self.file).read(&mut chunk) {
                    Ok(n) => documents.add(chunk.get(..n).unwrap_or_default()),
                    Err(error) => {
                        tracing::warn!(target: "jsonrpcs", %error, "FIFO not read");
                        pause();
                    }
                },
                Err(_) => continue,
            }
            while let Some(document) = documents.next() {
                answer(core, document, &busy);
            }
        }
    }
}

/// Answers on a thread of its own: a client that does not read keeps nobody else waiting.
fn answer(core: &Arc<Core>, document: Vec<u8>, busy: &Arc<AtomicUsize>) {
    if busy.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
        busy.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!(target: "jsonrpcs", "request over the FIFO dropped: {CLIENTS_MAX} are being answered");
        return;
    }
    let (core, count) = (core.clone(), busy.clone());
    let builder = std::thread::Builder::new().name("ctl-client".into()).stack_size(crate::engine::STACK);
    let spawned = builder.spawn(move || {
        if let Err(error) = answer_one(&core, &document) {
            tracing::warn!(target: "jsonrpcs", %error, "answer over the FIFO not sent");
        }
        count.fetch_sub(1, Ordering::Relaxed);
    });
    if spawned.is_err() {
        busy.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer_one(core: &Core, document: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(document);
    let answer = rpc::answer(core, clock::now(), &text);
    let document: Json = serde_json::from_str(&text).unwrap_or_default();
    let (Some(answer), Some(name)) = (answer, document.get("reply_name").and_then(Json::as_str)) else {
        return Ok(());
    };
    let Some(module) = core.registry.module::<JsonRpcs>() else { return Ok(()) };
    let path = reply_path(module.reply_folder(), name)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "reply_name is no name of a file"))?;
    let mut bytes = module.text(&answer).into_bytes();
    bytes.push(b'\n');
    write(&path, &bytes)
}

/// A file of the folder and nothing outside of it.
fn reply_path(folder: &str, name: &str) -> Option<PathBuf> {
    let fits = !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && !name.contains(['/', '\0']);
    fits.then(|| Path::new(folder).join(name))
}

fn for_writing(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    OpenOptions::new().write(true).custom_flags(flags.bits()).open(path)
}

fn write(path: &Path, mut bytes: &[u8]) -> io::Result<()> {
    let until = Instant::now() + ANSWER;
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("{} is not read", path.display()));
    // Until its reader is there it cannot be opened (ENXIO).
    let mut fifo = loop {
        match for_writing(path) {
            Ok(f) => break f,
            Err(e) if e.raw_os_error() != Some(nix::errno::Errno::ENXIO as i32) => return Err(e),
            Err(_) if Instant::now() >= until => return Err(late()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if !fifo.metadata()?.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no FIFO", path.display())));
    }
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let left = u16::try_from(left).unwrap_or(u16::MAX);
        let mut one = [PollFd::new(fifo.as_fd(), PollFlags::POLLOUT)];
        if left == 0 || poll(&mut one, PollTimeout::from(left)).is_ok_and(|n| n == 0) {
            return Err(late());
        }
        match fifo.write(bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// JSON documents out of a stream of bytes, also such that have line breaks inside.
#[derive(Debug, Default)]
struct Documents {
    bytes: Vec<u8>,
}

impl Documents {
    fn waiting(&self) -> bool {
        !self.bytes.is_empty()
    }
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    fn give_up(&mut self) {
        tracing::warn!(target: "jsonrpcs", bytes = self.bytes.len(), "request over the FIFO dropped: it does not end");
        self.bytes.clear();
    }
    /// The next that is complete. What is no JSON goes up to the end of its line.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let blanks = self.bytes.iter().take_while(|b| b.is_ascii_whitespace() || **b == 0).count();
            self.bytes.drain(..blanks);
            match self.bytes.first()? {
                b'{' | b'[' => break,
                _ => {
                    let line = self.bytes.iter().position(|b| *b == b'\n');
                    let Some(line) = line else {
                        if self.bytes.len() > REQUEST_MAX {
                            self.give_up();
                        }
                        return None;
                    };
                    tracing::warn!(target: "jsonrpcs", "a line over the FIFO is no JSON");
                    self.bytes.drain(..=line);
                }
            }
        }
        match end_of_document(&self.bytes) {
            Some(end) => Some(self.bytes.drain(..end).collect()),
            None => {
                if self.bytes.len() > REQUEST_MAX {
                    self.give_up();
                }
                None
            }
        }
    }
}

fn end_of_document(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (i, b) in bytes.iter().enumerate() {
        match (quoted, b) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_taken_one_by_one() {
        let mut d = Documents::default();
        d.add(b"{\"a\": \"}\\\"\"}\n [1,\n2]garbage\n{\"b\":{");
        let next = |d: &mut Documents| d.next().map(|b| String::from_utf8_lossy(&b).into_owned());
        assert_eq!(next(&mut d).as_deref(), Some("{\"a\": \"}\\\"\"}"));
        assert_eq!(next(&mut d).as_deref(), Some("[1,\n2]"));
        assert_eq!(next(&mut d), None);
        d.add(b"}}");
        assert_eq!(next(&mut d).as_deref(), Some("{\"b\":{}}"));
        assert!(!d.waiting());
        d.add(&vec![b'['; REQUEST_MAX + 1]);
        assert_eq!((next(&mut d), d.waiting()), (None, false), "there is a bound");
    }
    #[test]
    fn answers_stay_in_their_folder() {
        assert_eq!(reply_path("/tmp/", "kamailio_receiver_5"), Some("/tmp/kamailio_receiver_5".into()));
        for name in ["", "..", ".x", "/etc/passwd", "../x", "a/b", "a\0"] {
            assert_eq!(reply_path("/tmp/", name), None, "{name}");
        }
    }
}
