//! `app_python.reload`: the script is loaded beside the one that routes, every worker gets ready, and only then all switch.
//!
//! ```text
//! load_anew   compile, import, mod_init in every interpreter     on the caller's thread, workers route on
//! prepare     child_init                                         on each worker's own thread, one after the other, between messages
//! switch      one number, read before every callback
//! ```
//!
//! Whatever fails on the way, all workers keep the script they have, and the caller gets the reason.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use script::{CallbackId, Core, ScriptEngine};

use crate::station::{Order, Station};
use crate::worker::{STANDBY, Shared, TIMER};

/// How long a worker may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a worker that does not look is woken.
const KNOCK: Duration = Duration::from_millis(10);
/// How often the script's file is looked at with `reload_on_change`.
const LOOK: Duration = Duration::from_secs(1);

/// What a reload needs; one at a time.
pub struct Reloader {
    shared: Arc<Shared>,
    engine: Arc<dyn ScriptEngine>,
    reply: String,
    onsend: String,
    one: Mutex<u32>,
}

/// A reload that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// How many reloads there were before.
    pub old: u32,
    /// How many there are now.
    pub new: u32,
    /// Callbacks of the script that routes now.
    pub callbacks: Vec<String>,
}

impl Reloader {
    /// For the script of these settings.
    pub fn new(shared: &Arc<Shared>, engine: &Arc<dyn ScriptEngine>, script: &python::Settings) -> Reloader {
        Reloader {
            shared: shared.clone(),
            engine: engine.clone(),
            reply: script.reply_callback.clone(),
            onsend: script.onsend_callback.clone(),
            one: Mutex::new(0),
        }
    }

    /// Loads the script anew. The error is ready to print.
    pub fn reload(&self) -> Result<Reloaded, String> {
        let Ok(mut count) = self.one.try_lock() else { return Err("a reload is already under way".into()) };
        let begin = Instant::now();
        let result = self.try_reload();
        match &result {
            Ok(()) => {
                *count += 1;
                tracing::info!(
                    target: "server",
                    "script reloaded in {} ms; callbacks {}",
                    begin.elapsed().as_millis(),
                    self.engine.found().join(" ")
                );
            }
            Err(reason) => {
                tracing::error!(target: "server", "script not reloaded, the old one routes on: {reason}")
            }
        }
        result.map(|()| Reloaded { old: *count - 1, new: *count, callbacks: self.engine.found() })
    }

    /// Loads the script anew on a thread of its own: the numbers before and after, if it succeeds.
    pub fn begin(self: &Arc<Self>) -> Result<(u32, u32), String> {
        let Ok(old) = self.one.try_lock().map(|count| *count) else {
            return Err("a reload is already under way".into());
        };
        let reloader = self.clone();
        let builder = std::thread::Builder::new().name("reload".into()).stack_size(crate::engine::STACK);
        // What came of it is logged.
        let spawned = builder.spawn(move || drop(reloader.reload()));
        spawned.map_err(|e| format!("no thread for the reload: {e}"))?;
        Ok((old, old + 1))
    }

    fn try_reload(&self) -> Result<(), String> {
        let number = self.engine.load_anew().map_err(|e| e.message)?;
        for station in &self.shared.stations {
            if let Err(reason) = self.prepare(station, number) {
                self.engine.give_up(number);
                return Err(format!("{}: {reason}", station.name));
            }
        }
        self.engine.switch(number);
        let core = &self.shared.core;
        self.shared.proxy.set_routes(
            known(core, self.engine.as_ref(), &self.reply),
            known(core, self.engine.as_ref(), &self.onsend),
        );
        Ok(())
    }

    /// Has a worker make itself ready, and waits for it.
    fn prepare(&self, station: &Station, number: u16) -> Result<(), String> {
        let (tell, told) = channel();
        station.give(Order { generation: number, tell });
        let until = Instant::now() + PATIENCE;
        loop {
            self.knock(station);
            match told.recv_timeout(KNOCK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err("the worker is gone".into()),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= until => {
                    station.take_order();
                    return Err(format!(
                        "not ready after {} seconds, it is stuck in the script (see kemi.callbacks)",
                        PATIENCE.as_secs()
                    ));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Gets a worker's attention, wherever it waits. A wake-up of a socket may reach another worker: the caller knocks again.
    fn knock(&self, station: &Station) {
        match station.socket.map(|s| usize::from(s.0)) {
            Some(socket) => {
                if let Some(gate) = self.shared.gates.get(socket) {
                    gate.ring();
                }
                if let Some(Err(e)) = self.shared.sockets.get(socket).map(|s| s.wake()) {
                    tracing::debug!(target: "server", error = %e, "cannot wake a worker");
                }
            }
            None if station.name == TIMER => self.shared.timer.rouse(),
            None if station.name == STANDBY => {
                // Full when it is at work: it looks when it is done.
                let _ = self.shared.standby.try_send(());
            }
            None => {}
        }
    }

    /// Reloads whenever the script's file is not as `seen` last, for ever.
    pub fn watch(&self, script: &Path, mut seen: Option<Stamp>) {
        loop {
            std::thread::sleep(LOOK);
            let now = stamp(script);
            // A file that is gone for a moment is being replaced.
            if now.is_some() && now != seen {
                seen = now;
                let _ = self.reload();
            }
        }
    }
}

/// Tells a file from what it was before.
type Stamp = (i64, i64, u64, u64);

/// The stamp of a file as it is.
pub fn stamp(file: &Path) -> Option<Stamp> {
    std::fs::metadata(file).ok().map(|m| (m.mtime(), m.mtime_nsec(), m.size(), m.ino()))
}

/// A callback by name, when the script has it.
pub fn known(core: &Core, engine: &dyn ScriptEngine, name: &str) -> Option<CallbackId> {
    core.callbacks.intern(name.as_bytes()).filter(|id| engine.has(*id))
}
