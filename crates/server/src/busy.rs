//! All workers of a socket stuck in the script: who asks for something new is told so, instead of being left waiting.
//!
//! ```text
//! retransmission, ACK to a negative reply   absorbed by its transaction, as ever
//! request that a stuck worker has in hand   absorbed: its answer is still to come
//! other request                             503 with Retry-After
//! reply, other ACK, CANCEL                  kept for the workers, in order; beyond KEPT dropped
//! ```
//!
//! The watch does this with the sockets of such workers, and ends as soon as one of them comes back.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use message::{Method, Transport};
use script::{
    CallbackId, Core, Inbound, Outbox, RouteContext, RouteKind, RunOutcome, ScriptWorker, Services,
    Statistic, WorkerState,
};
use transaction::SocketId;
use transport::udp::Receiver;

use crate::clock;
use crate::station::{Orphan, Station, fingerprint};
use crate::worker::{Out, Shared, WATCH_TICK};

/// How long all workers of a socket must have been in one message each.
const PATIENCE: Duration = Duration::from_secs(1);
/// Datagrams read at a time.
const BATCH: usize = 32;
/// Reads per tick: other workers are waiting for the watch too.
const READS: usize = 16;
/// Datagrams that wait for a worker.
const KEPT: usize = 4096;

/// Statistics about it.
pub struct BusyCounters {
    rejected: Statistic,
    kept: Statistic,
    dropped: Statistic,
}

impl BusyCounters {
    /// Registers them.
    pub fn new(core: &Core) -> BusyCounters {
        let register = |name, doc| core.statistics.register("server", name, doc);
        BusyCounters {
            rejected: register(
                "busy_rejected",
                "Requests answered 503 because all workers of their socket were stuck in the script.",
            ),
            kept: register("busy_kept", "Replies, ACKs and CANCELs kept until a worker came back."),
            dropped: register("busy_dropped", "The same, dropped because too many were kept already."),
        }
    }
}

/// What a socket's workers did at the last look.
#[derive(Default)]
struct Episode {
    /// When all were found stuck.
    since: Option<Instant>,
    rejected: u64,
    kept: u64,
    dropped: u64,
}

impl Episode {
    fn is_idle(&self) -> bool {
        self.rejected + self.kept + self.dropped == 0
    }
}

/// The watch's side of it.
pub struct Relief {
    episodes: Vec<Episode>,
    receiver: Option<Receiver>,
    outbox: Outbox,
    state: WorkerState,
}

impl Relief {
    /// For so many sockets.
    pub fn new(sockets: usize) -> Relief {
        Relief {
            episodes: (0..sockets).map(|_| Episode::default()).collect(),
            receiver: None,
            outbox: Outbox::default(),
            state: WorkerState::default(),
        }
    }

    /// Once a tick: `seen` has for each station the message it is in and for how many ticks.
    pub fn look(&mut self, shared: &Shared, seen: &[(Option<u64>, u32)], out: &mut Out) {
        let patience = (PATIENCE.as_millis() / WATCH_TICK.as_millis()) as u32;
        for number in 0..self.episodes.len() {
            let socket = SocketId(number as u16);
            let of_socket = || shared.stations.iter().zip(seen).filter(|(s, _)| s.socket == Some(socket));
            let stuck = |(station, (message, ticks)): (&std::sync::Arc<Station>, &(Option<u64>, u32))| {
                *ticks >= patience && station.in_message() == *message
            };
            let all_stuck = || of_socket().next().is_some() && of_socket().all(stuck);
            if all_stuck() {
                self.relieve(shared, socket, out, &all_stuck);
            } else {
                self.over(shared, socket);
            }
        }
    }

    fn relieve(&mut self, shared: &Shared, socket: SocketId, out: &mut Out, all_stuck: &dyn Fn() -> bool) {
        let begins = self.episode(socket).is_some_and(|e| {
            let begins = e.since.is_none();
            e.since.get_or_insert_with(Instant::now);
            begins
        });
        if begins {
            // What was taken over from them and nobody has come for.
            for orphan in shared.orphans.take_of(socket) {
                self.handle(shared, orphan.inbound, &orphan.bytes);
            }
            out.flush(shared, &self.outbox);
        }
        let Some(from) = shared.sockets.get(usize::from(socket.0)) else { return };
        let mut receiver = self.receiver.take().unwrap_or_else(|| Receiver::new(BATCH));
        for _ in 0..READS {
            if !all_stuck() {
                break;
            }
            // An error shows up again at the workers, who log it.
            let Ok(arrivals) = receiver.receive_waiting(from) else { break };
            let n = arrivals.len();
            for (source, local, bytes) in (0..n).filter_map(|i| arrivals.datagram(i)) {
                if !bytes.is_empty() {
                    self.handle(shared, Inbound { source, local, socket, transport: Transport::Udp }, bytes);
                }
            }
            out.flush(shared, &self.outbox);
            if n < BATCH {
                break;
            }
        }
        self.receiver = Some(receiver);
    }

    fn handle(&mut self, shared: &Shared, inbound: Inbound, datagram: &[u8]) {
        let was_idle = self.episode(inbound.socket).is_none_or(|e| e.is_idle());
        if datagram.starts_with(b"SIP/2.0 ") {
            self.keep(shared, inbound, datagram);
        } else if shared.stations.iter().any(|s| s.has_in_hand(fingerprint(datagram))) {
            shared.counters.received(1);
        } else {
            self.request(shared, inbound, datagram);
        }
        if was_idle && self.episode(inbound.socket).is_some_and(|e| !e.is_idle()) {
            let address = shared.sockets.get(usize::from(inbound.socket.0)).map(|s| s.local().to_string());
            tracing::warn!(
                target: "server",
                socket = %address.unwrap_or_default(),
                "all workers of this socket have been in the script for more than a second: new requests are answered 503 until one \
                 comes back; the log says where they are stuck (exec_warn_ms), exec_kill_ms would end it"
            );
        }
    }

    fn request(&mut self, shared: &Shared, inbound: Inbound, datagram: &[u8]) {
        let nobody = Nobody::default();
        let services = Services {
            core: &shared.core,
            transactions: &shared.proxy,
            engine: &nobody,
            worker: &self.state,
            outbox: &self.outbox,
        };
        let receive = || shared.proxy.receive(&services, clock::now(), inbound, datagram);
        if catch_unwind(AssertUnwindSafe(receive)).is_err() {
            return shared.counters.panicked(datagram);
        }
        match nobody.asked.get() {
            Some(Asked::Wait) => return self.keep(shared, inbound, datagram),
            Some(Asked::Refuse) => {
                // Counted before it shows: who sees the reply finds the number.
                shared.counters.busy.rejected.inc();
                shared.proxy.reject_busy(&self.outbox, inbound, datagram);
                if let Some(episode) = self.episode(inbound.socket) {
                    episode.rejected += 1;
                }
            }
            None => {}
        }
        shared.counters.received(1);
    }

    fn keep(&mut self, shared: &Shared, inbound: Inbound, datagram: &[u8]) {
        let room = shared.orphans.len() < KEPT;
        if room {
            shared.counters.busy.kept.inc();
            shared.orphans.add(vec![Orphan { inbound, bytes: datagram.into() }]);
        } else {
            shared.counters.busy.dropped.inc();
        }
        if let Some(episode) = self.episode(inbound.socket) {
            episode.kept += u64::from(room);
            episode.dropped += u64::from(!room);
        }
    }

    fn over(&mut self, shared: &Shared, socket: SocketId) {
        let Some(episode) = self.episode(socket).filter(|e| e.since.is_some()) else { return };
        let Episode { since, rejected, kept, dropped } = std::mem::take(episode);
        if rejected + kept + dropped > 0 {
            let address = shared.sockets.get(usize::from(socket.0)).map(|s| s.local().to_string());
            tracing::warn!(
                target: "server",
                socket = %address.unwrap_or_default(),
                rejected, kept, dropped,
                "a worker of this socket is back from the script after {} ms: requests are routed again",
                since.map_or(0, |s| (s.elapsed() + PATIENCE).as_millis())
            );
        }
    }

    fn episode(&mut self, socket: SocketId) -> Option<&mut Episode> {
        self.episodes.get_mut(usize::from(socket.0))
    }
}

/// What a message would have needed a script for.
#[derive(Clone, Copy)]
enum Asked {
    Refuse,
    Wait,
}

/// The engine while nobody can run the script.
#[derive(Default)]
struct Nobody {
    asked: Cell<Option<Asked>>,
}

impl ScriptWorker for Nobody {
    fn attach(&self) {}
    fn detach(&self) {}
    fn run(&self, kind: RouteKind, _: CallbackId, ctx: &mut RouteContext<'_>) -> RunOutcome {
        if kind == RouteKind::Request {
            // An ACK is never answered; who cancels asks for nothing new, and refusing it would leave the call ringing.
            let waits = matches!(ctx.message.method(), Method::Ack | Method::Cancel);
            self.asked.set(Some(if waits { Asked::Wait } else { Asked::Refuse }));
        }
        RunOutcome::Exit
    }
    fn run_event(&self, _: CallbackId, _: &str, _: &mut RouteContext<'_>) -> RunOutcome {
        RunOutcome::Exit
    }
}
