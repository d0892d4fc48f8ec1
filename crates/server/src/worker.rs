//! Threads that work: UDP workers, the timer, and the watch that relieves those stuck in a script.
//!
//! ```text
//! worker   recvmmsg -> claim one -> proxy.receive -> ... -> sendmmsg
//!          every 5 ms of work: proxy.expire, on the processor that has the transactions at hand
//! timer    proxy.expire when something is due and no worker sees to it, at most every 10 ms; every second: Module::tick
//! timer-2  proxy.expire while the timer is stuck in a failure route
//! watch    every 20 to 100 ms while there is work: a worker still in the message of 20 ms ago? send what it printed, hand on what it has
//!          read; all workers of a socket in one message for a second? answer new requests 503
//! ```

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver as ChannelReceiver, RecvTimeoutError, Sender as ChannelSender, SyncSender, TryRecvError,
};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use message::Transport;
use proxy::Proxy;
use script::outbox::Batch;
use script::{
    Carrier, Core, Home, Inbound, Outbox, ScriptEngine, ScriptWorker, Services, Statistic, WorkerState,
};
use transaction::{Hop, Now, SocketId, Timestamp};
use transport::udp::{Receiver, Sender, Socket};

use crate::busy::{BusyCounters, Relief};
use crate::clock;
use crate::engine::Lazy;
use crate::sleeper::Sleeper;
use crate::station::{Orphans, Station};
use crate::turnstile::Turnstile;

/// Datagrams read at a time. More would make the first reply of a batch wait longer.
const BATCH: usize = 32;
/// Messages after which the clock is read again within a batch.
const CLOCK_EVERY: usize = 8;
/// How often timers are looked after, and how long the timer leaves what is due to workers at first.
const TICK: Duration = Duration::from_millis(10);
/// How long it leaves it to them when they have seen to it again and again: the most a timer can be late when the traffic stops.
const TICK_MAX: Duration = Duration::from_millis(40);
/// Timers that are so late are too many for the workers alone.
const TOO_LATE: Duration = Duration::from_millis(50);
/// How often a worker looks for timers that are due.
const EXPIRE_EVERY: Duration = Duration::from_millis(5);
/// Transactions it looks at then: its next batch is waiting. What is left is for the next to look, and for the timer.
const EXPIRE_MOST: usize = 1024;
/// How long after it was seen in a message a worker is looked at again.
pub const WATCH_TICK: Duration = Duration::from_millis(20);
/// How often workers are looked at while nobody is found in a message: at most this and [`WATCH_TICK`] after it got stuck a worker is relieved.
const WATCH_TICK_MAX: Duration = Duration::from_millis(100);
/// How long nothing longer than [`WATCH_TICK`] is waited after a worker was stuck: its script may do it again.
const WARY: Duration = Duration::from_secs(60);
/// Ticks in one message after which a worker counts as stuck.
const STUCK_TICKS: u32 = 1;
/// The longest sleep of timer and watch: modules tick once a second.
const SECOND: Duration = Duration::from_secs(1);
/// Name of the timer's station.
pub const TIMER: &str = "timer";
/// Name of the second timer's station.
pub const STANDBY: &str = "timer-2";
/// Kamailio's rank of the timer process in `child_init`.
pub const TIMER_RANK: i32 = -1;

/// What all threads share.
pub struct Shared {
    /// The proxy.
    pub proxy: Proxy,
    /// Process-wide state.
    pub core: Arc<Core>,
    /// Sockets, by [`SocketId`].
    pub sockets: Vec<Arc<Socket>>,
    /// Who reads them, by [`SocketId`].
    pub gates: Vec<Turnstile>,
    /// All workers, the timers last.
    pub stations: Vec<Arc<Station>>,
    /// Threads that carry on what awaits, made when a callback first does.
    pub carriers: Mutex<Vec<Arc<Station>>>,
    /// Datagrams of stuck workers.
    pub orphans: Orphans,
    /// Whether the modules' first events have been told: no message is read before.
    pub begun: (Mutex<bool>, Condvar),
    /// Set once: read no more.
    pub closing: AtomicBool,
    /// The timer's sleep, and the time until which it lasts.
    pub timer: Sleeper,
    /// See [`Shared::timer`]; 0 while it is awake.
    pub timer_sleeps_until: AtomicU64,
    /// When a worker last looked for timers that are due.
    pub expired_at: AtomicU64,
    /// The watch's sleep.
    pub watch: Sleeper,
    /// Wakes the second timer; full while it is at work.
    pub standby: SyncSender<()>,
    /// Counters.
    pub counters: Counters,
}

impl Shared {
    fn wait_until_begun(&self) {
        let (begun, told) = &self.begun;
        let begun = begun.lock().unwrap_or_else(|e| e.into_inner());
        drop(told.wait_while(begun, |begun| !*begun));
    }
    fn begin(&self) {
        let (begun, told) = &self.begun;
        *begun.lock().unwrap_or_else(|e| e.into_inner()) = true;
        told.notify_all();
    }
    /// Wakes the timer when something is due before it would wake by itself.
    pub(crate) fn wake_timer(&self) {
        if self.proxy.soonest().0 < self.timer_sleeps_until.load(Ordering::Relaxed) {
            self.timer.rouse();
        }
    }
    /// Whether it is this worker's turn to see to timers.
    fn expires_now(&self, now: Timestamp) -> bool {
        let last = self.expired_at.load(Ordering::Relaxed);
        now >= self.proxy.soonest()
            && now.since(Timestamp(last)) >= EXPIRE_EVERY
            && self.expired_at.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What the server counts itself.
pub struct Counters {
    received: Statistic,
    sent: Statistic,
    not_sent: Statistic,
    panics: Statistic,
    relieved: Statistic,
    taken_over: Statistic,
    /// While all workers of a socket are stuck.
    pub busy: BusyCounters,
    warned: AtomicU64,
}

impl Counters {
    /// Registers them.
    pub fn new(core: &Core) -> Counters {
        let s = &core.statistics;
        crate::rpc::register_memory(s);
        s.computed(
            "server",
            "log_lines_dropped",
            "Log lines lost because the log was read too slowly.",
            script::statistics::Kind::Counter,
            Box::new(|| i64::try_from(crate::log::dropped()).unwrap_or(i64::MAX)),
        );
        Counters {
            received: s.register("udp", "received_datagrams", "Datagrams received."),
            sent: s.register("udp", "sent_datagrams", "Datagrams sent."),
            not_sent: s.register(
                "udp",
                "not_sent_datagrams",
                "Datagrams the system did not take: too long, no route, buffer full.",
            ),
            panics: s.register(
                "server",
                "panics",
                "Messages given up because of a defect in this server; see the log.",
            ),
            relieved: s.register(
                "server",
                "relieved_workers",
                "Times a worker stuck in a script had its datagrams sent or taken over.",
            ),
            taken_over: s.register(
                "server",
                "taken_over_datagrams",
                "Datagrams handed from a stuck worker to another.",
            ),
            busy: BusyCounters::new(core),
            warned: AtomicU64::new(0),
        }
    }
    /// So many datagrams were handled.
    pub fn received(&self, datagrams: i64) {
        self.received.add(datagrams);
    }
    /// A defect in this server cost a message.
    pub fn panicked(&self, datagram: &[u8]) {
        self.panics.inc();
        let call_id = call_id(datagram);
        tracing::error!(
            target: "server",
            severity = -4,
            call_id = %call_id,
            "a defect in trunkline: {}; this message is given up, please report it",
            last_panic()
        );
    }
}

/// A UDP worker: rank, station and socket.
pub struct UdpWorker {
    /// `child_init` rank, from 1.
    pub rank: i32,
    /// Its station.
    pub station: Arc<Station>,
    /// Its socket.
    pub socket: SocketId,
}

/// What a thread says once: it is ready (with its kernel thread id), or why not.
pub type Ready = Result<(usize, i32), String>;

/// The life of a UDP worker, on its own thread. `index` is its place in the list of threads.
pub fn run_udp(
    shared: &Shared,
    me: &UdpWorker,
    engine: &dyn ScriptEngine,
    index: usize,
    ready: ChannelSender<Ready>,
) {
    let Some(side) = Side::new(shared, &me.station, engine, me.rank, index, &ready) else { return };
    drop(ready);
    let Some(socket) = shared.sockets.get(usize::from(me.socket.0)).cloned() else { return };
    let Some(gate) = shared.gates.get(usize::from(me.socket.0)) else { return };
    shared.wait_until_begun();
    // Finds out whether it can be woken.
    if let Err(e) = socket.wake() {
        tracing::debug!(target: "udp", socket = %socket.local(), error = %e, "cannot wake a worker");
    }
    let mut receiver = Receiver::new(BATCH);
    let mut out = Out::new();
    loop {
        side.obey(&mut out);
        me.station.set_waiting(true);
        while let Some(orphan) = shared.orphans.take() {
            me.station.set_waiting(false);
            side.handle(clock::now(), orphan.inbound, &orphan.bytes);
            shared.counters.received.inc();
            side.engine.release();
            out.flush(shared, &me.station.outbox);
            me.station.set_waiting(true);
        }
        if !gate.enter(me.rank, || me.station.is_ordered())
            || me.station.is_ordered()
            || shared.orphans.len() > 0
        {
            continue;
        }
        let read = receiver.receive(&socket);
        me.station.set_waiting(false);
        let arrivals = match read {
            Ok(a) => a,
            Err(e) => {
                tracing::error!(target: "udp", socket = %socket.local(), error = %e, "cannot read");
                // Nothing to wait for was found out: do not turn an unforeseen error into a busy loop.
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let n = arrivals.len();
        gate.has_read(me.rank, n, n == BATCH);
        shared.watch.rouse();
        let mut handled = 0;
        let mut now = clock::now();
        let began = now.mono;
        let mut each = |i: usize| {
            let Some((source, local, bytes)) = arrivals.datagram(i) else { return };
            if bytes.is_empty() {
                return socket.woken_by(source);
            }
            if handled % CLOCK_EVERY == CLOCK_EVERY - 1 {
                now = clock::now();
            }
            handled += 1;
            side.handle(now, Inbound { source, local, socket: me.socket, transport: Transport::Udp }, bytes);
        };
        if n == 1 {
            each(0);
        } else if n > 1 {
            me.station.offer(arrivals);
            loop {
                let i = me.station.claim();
                if i >= n {
                    break;
                }
                each(i);
            }
            me.station.withdraw();
        }
        let ended = clock::mono();
        gate.took(ended.since(began), handled);
        side.engine.release();
        out.flush(shared, &me.station.outbox);
        if shared.expires_now(ended) {
            side.expire(clock::now(), EXPIRE_MOST);
            out.flush(shared, &me.station.outbox);
        }
        shared.wake_timer();
        shared.counters.received.add(handled as i64);
        if handled == 0 && shared.closing.load(Ordering::Acquire) {
            return;
        }
    }
}

/// The life of the timer, on its own thread; ends when `stop` is closed.
pub fn run_timer(
    shared: &Shared,
    station: &Station,
    engine: &dyn ScriptEngine,
    index: usize,
    ready: ChannelSender<Ready>,
    stop: &ChannelReceiver<()>,
) {
    let Some(side) = Side::new(shared, station, engine, TIMER_RANK, index, &ready) else { return };
    drop(ready);
    let mut out = Out::new();
    side.tell_modules(clock::now());
    out.flush(shared, &station.outbox);
    shared.begin();
    let mut second = 0;
    let mut grace = Duration::ZERO;
    let mut left_to_workers = TICK;
    let mut last = clock::mono();
    loop {
        let begin = clock::mono();
        let until = Timestamp((second + 1) * 1_000_000_000).min(shared.proxy.soonest());
        // Not oftener than every tick, beyond it as long as nothing is due.
        let (wake, rest) = (until + grace, last + TICK);
        if wake > rest && wake > begin {
            shared.timer_sleeps_until.store(until.0, Ordering::SeqCst);
            shared.timer.sleep(wake.since(begin).min(SECOND), || {
                shared.proxy.soonest() >= until
                    && !station.is_ordered()
                    && !matches!(stop.try_recv(), Err(TryRecvError::Disconnected))
            });
            shared.timer_sleeps_until.store(0, Ordering::Relaxed);
        } else {
            // Ends early when the server stops, which is looked for below.
            let _ = stop.recv_timeout(rest.since(begin));
        }
        if matches!(stop.try_recv(), Err(TryRecvError::Disconnected)) {
            break;
        }
        last = clock::mono();
        side.obey(&mut out);
        let now = clock::now();
        // Workers that are at work see to timers. Only when they do not come to it, the timer does, and keeps at it to the millisecond.
        let at_it = now.mono.since(Timestamp(shared.expired_at.load(Ordering::Relaxed))) < 2 * EXPIRE_EVERY;
        left_to_workers = if at_it { (left_to_workers * 2).min(TICK_MAX) } else { TICK };
        let patience = if at_it { TOO_LATE } else { Duration::ZERO };
        let due = now.mono >= shared.proxy.soonest() + patience;
        grace = if due { Duration::ZERO } else { left_to_workers };
        if due {
            shared.watch.rouse();
            side.expire(now, usize::MAX);
            out.flush(shared, &station.outbox);
        }
        station.step();
        if now.mono.as_millis() / 1000 != second {
            second = now.mono.as_millis() / 1000;
            shared.watch.rouse();
            side.tick(now);
            out.flush(shared, &station.outbox);
        }
        station.step();
    }
    out.flush(shared, &station.outbox);
}

/// The life of the second timer, on its own thread: it works when `turn` says that the first is stuck, so that one slow failure route
/// does not hold up everybody's retransmissions.
pub fn run_standby(
    shared: &Shared,
    station: &Station,
    engine: &dyn ScriptEngine,
    index: usize,
    ready: ChannelSender<Ready>,
    turn: &ChannelReceiver<()>,
) {
    let Some(side) = Side::new(shared, station, engine, TIMER_RANK, index, &ready) else { return };
    drop(ready);
    let mut out = Out::new();
    while turn.recv().is_ok() {
        side.obey(&mut out);
        side.expire(clock::now(), usize::MAX);
        out.flush(shared, &station.outbox);
    }
}

/// The life of the watch, on its own thread; ends when `stop` is closed.
pub fn run_watch(shared: &Shared, stop: &ChannelReceiver<()>) {
    let mut out = Out::new();
    let mut seen: Vec<(Option<u64>, u32)> = vec![(None, 0); shared.stations.len()];
    let mut relief = Relief::new(shared.sockets.len());
    let mut pause = WATCH_TICK;
    let mut wary_until = Timestamp(0);
    let mut begun = 0;
    // Who is in a message, and how many messages all have begun and ended.
    let look = || {
        let carriers = shared.carriers.lock().unwrap_or_else(|e| e.into_inner());
        let (mut works, mut steps) = (false, 0_u64);
        for s in shared.stations.iter().chain(carriers.iter()) {
            // A UDP worker works from the moment it has read: it rouses the watch then, before its first message begins.
            works |= s.in_message().is_some() || (s.socket.is_some() && !s.is_waiting());
            steps = steps.wrapping_add(s.steps());
        }
        (works || shared.orphans.len() > 0, steps)
    };
    while matches!(stop.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
        let (works, steps) = look();
        if !works && steps == begun {
            shared.watch.sleep(SECOND, || {
                look() == (false, begun) && !matches!(stop.try_recv(), Err(TryRecvError::Disconnected))
            });
            pause = WATCH_TICK;
            continue;
        }
        begun = steps;
        let wary = works || clock::mono() < wary_until;
        pause = if wary { WATCH_TICK } else { (pause * 2).min(WATCH_TICK_MAX) };
        let carriers = shared.carriers.lock().unwrap_or_else(|e| e.into_inner()).clone();
        seen.resize(shared.stations.len() + carriers.len(), (None, 0));
        let all = shared.stations.iter().chain(&carriers);
        for (rank, (station, (last, ticks))) in (1..).zip(all.zip(&mut seen)) {
            let message = station.in_message();
            if message.is_none() || message != *last {
                (*last, *ticks) = (message, 0);
                continue;
            }
            *ticks = ticks.saturating_add(1);
            if *ticks < STUCK_TICKS {
                continue;
            }
            wary_until = clock::mono() + WARY;
            if station.name == TIMER {
                // Full when the second is at it, or stuck as well.
                let _ = shared.standby.try_send(());
            }
            if let Some(gate) = station.socket.and_then(|s| shared.gates.get(usize::from(s.0))) {
                gate.leave(rank);
            }
            let orphans = station.take_over();
            if orphans.is_empty() && station.outbox.is_empty() {
                continue;
            }
            // Counted before it shows: who sees the reply finds the number.
            shared.counters.relieved.inc();
            shared.counters.taken_over.add(orphans.len() as i64);
            tracing::debug!(target: "server", worker = %station.name, handed_on = orphans.len(), "worker is stuck in a script");
            out.flush(shared, &station.outbox);
            shared.orphans.add(orphans);
        }
        relief.look(shared, &seen, &mut out);
        // Also again for those woken a tick ago that did not come: a wake-up is a datagram and may be lost.
        let mut waiting = shared.orphans.len();
        for station in shared.stations.iter().filter(|s| s.is_waiting()) {
            let Some(socket) = station.socket.and_then(|s| shared.sockets.get(usize::from(s.0))) else {
                continue;
            };
            if waiting == 0 {
                break;
            }
            waiting -= 1;
            if let Err(e) = socket.wake() {
                tracing::warn!(target: "server", socket = %socket.local(), error = %e, "cannot wake a worker");
            }
        }
    }
}

/// The life of a thread that carries on callbacks that await (`async def`), until the process ends.
pub fn run_carrier(shared: &Shared, station: &Station, carrier: Carrier) {
    let home = CarrierHome { shared, station, state: WorkerState::default(), out: RefCell::new(Out::new()) };
    carrier(&home);
}

/// What such a thread brings.
struct CarrierHome<'a> {
    shared: &'a Shared,
    station: &'a Station,
    state: WorkerState,
    out: RefCell<Out>,
}

impl Home for CarrierHome<'_> {
    fn services<'s>(&'s self, engine: &'s dyn ScriptWorker) -> Services<'s> {
        Services {
            core: &self.shared.core,
            transactions: &self.shared.proxy,
            engine,
            worker: &self.state,
            outbox: &self.station.outbox,
        }
    }
    fn now(&self) -> Now {
        clock::now()
    }
    fn step(&self) {
        self.station.step();
        if self.station.in_message().is_some() {
            self.shared.watch.rouse();
        }
    }
    fn flush(&self) {
        self.out.borrow_mut().flush(self.shared, &self.station.outbox);
        self.shared.wake_timer();
    }
}

/// A worker's own things, for [`Services`].
struct Side<'a> {
    shared: &'a Shared,
    station: &'a Station,
    engine: Lazy,
    state: WorkerState,
}

impl<'a> Side<'a> {
    fn new(
        shared: &'a Shared,
        station: &'a Station,
        engine: &dyn ScriptEngine,
        rank: i32,
        index: usize,
        ready: &ChannelSender<Ready>,
    ) -> Option<Side<'a>> {
        let made = catch_unwind(AssertUnwindSafe(|| engine.worker(rank, &shared.core)));
        let worker = match made {
            Ok(Ok(worker)) => worker,
            Ok(Err(e)) => {
                let _ = ready.send(Err(e.message));
                return None;
            }
            Err(_) => {
                let _ = ready.send(Err(format!("{}: {}", station.name, last_panic())));
                return None;
            }
        };
        let _ = ready.send(Ok((index, nix::unistd::gettid().as_raw())));
        let state = WorkerState { rank, ..WorkerState::default() };
        Some(Side { shared, station, engine: Lazy::new(worker), state })
    }

    fn services(&self) -> Services<'_> {
        Services {
            core: &self.shared.core,
            transactions: &self.shared.proxy,
            engine: &self.engine,
            worker: &self.state,
            outbox: &self.station.outbox,
        }
    }

    fn handle(&self, now: Now, inbound: Inbound, datagram: &[u8]) {
        self.station.take_in_hand(datagram);
        self.station.step();
        self.state.message_number.set(self.state.message_number.get().wrapping_add(1));
        self.guarded(Some(datagram), || {
            self.shared.proxy.receive(&self.services(), now, inbound, datagram);
        });
        self.station.step();
    }

    /// Sees to timers that are due, of about so many transactions.
    fn expire(&self, now: Now, most: usize) {
        self.station.step();
        self.guarded(None, || self.shared.proxy.expire(&self.services(), now, most));
        self.station.step();
        self.engine.release();
    }

    /// Does what was asked of this worker between messages.
    fn obey(&self, out: &mut Out) {
        let Some(order) = self.station.take_order() else { return };
        let mut result = Err("a defect in trunkline, see the log".to_owned());
        self.guarded(None, || result = self.engine.prepare(order.generation).map_err(|e| e.message));
        self.engine.release();
        out.flush(self.shared, &self.station.outbox);
        // Who asked may have given up waiting.
        let _ = order.tell.send(result);
    }

    /// Every second.
    fn tick(&self, now: Now) {
        for module in self.shared.core.registry.modules() {
            self.guarded(None, || module.tick(&self.shared.core, now));
            self.guarded(None, || module.events(&self.services(), now));
        }
        self.engine.release();
    }

    /// What modules have to tell the script before the first message.
    fn tell_modules(&self, now: Now) {
        for module in self.shared.core.registry.modules() {
            self.guarded(None, || module.events(&self.services(), now));
        }
        self.engine.release();
    }

    /// A defect in this server must cost one message, not the calls of everybody.
    fn guarded(&self, datagram: Option<&[u8]>, f: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(f)).is_ok() {
            return;
        }
        self.shared.counters.panicked(datagram.unwrap_or_default());
    }
}

/// A worker's sending side.
pub struct Out {
    sender: Sender,
    batch: Batch,
}

impl Out {
    /// Empty.
    pub fn new() -> Out {
        Out { sender: Sender::new(64), batch: Batch::default() }
    }

    /// Sends what an outbox holds.
    pub fn flush(&mut self, shared: &Shared, outbox: &Outbox) {
        outbox.take(&mut self.batch);
        let batch = &self.batch;
        if batch.items.is_empty() {
            return;
        }
        let datagrams = provisional_first(batch)
            .filter(|(hop, _)| hop.transport == Transport::Udp)
            .map(|(hop, bytes)| (hop.socket, hop.remote, bytes));
        let counts = self.sender.send(&shared.sockets, datagrams, |to, error| {
            let now = clock::now().mono.as_millis() / 1000 + 1;
            // One line a second is enough to know; the counter has the number.
            if shared.counters.warned.swap(now, Ordering::Relaxed) != now {
                tracing::warn!(target: "udp", %to, %error, "datagram not sent (see udp:not_sent_datagrams for how many)");
            }
        });
        shared.counters.sent.add(counts.sent as i64);
        let lost = batch.items.len() as i64 - counts.sent as i64;
        if lost > 0 {
            shared.counters.not_sent.add(lost);
        }
    }
}

/// What is to be sent, 1xx before the rest. The sender puts together what goes to one peer, and so an INVITE could leave before the 100 that
/// was printed before it: another worker would then be quicker with the callee's 180.
fn provisional_first(batch: &Batch) -> impl Iterator<Item = (&Hop, &[u8])> {
    let all = || batch.items.iter().map(|(hop, datagram)| (hop, batch.bytes(datagram)));
    let provisional = |bytes: &[u8]| bytes.starts_with(b"SIP/2.0 1");
    all()
        .filter(move |(_, bytes)| provisional(bytes))
        .chain(all().filter(move |(_, bytes)| !provisional(bytes)))
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what panicked, for the line that names the message it happened in.
pub fn remember_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        PANIC.with_borrow_mut(|p| *p = format!("{text}{place}"));
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        // Threads without a guard around them end here: say so at once.
        if !["udp-", "async-", TIMER].iter().any(|known| name.starts_with(known)) {
            crate::say::err(format_args!("trunkline: thread {name}: {text}{place}"));
        }
    }));
}

fn last_panic() -> String {
    PANIC.with_borrow_mut(std::mem::take)
}

/// The Call-ID of a datagram that may not even parse.
fn call_id(datagram: &[u8]) -> String {
    let text = String::from_utf8_lossy(datagram.get(..datagram.len().min(4096)).unwrap_or_default());
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        (name.eq_ignore_ascii_case("call-id") || name.eq_ignore_ascii_case("i"))
            .then(|| value.trim().to_owned())
    });
    value.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_100_leaves_before_requests_of_its_batch() {
        let hop = Hop {
            transport: Transport::Udp,
            remote: "127.0.0.1:1".parse().expect("address"),
            socket: SocketId(0),
        };
        let outbox = Outbox::default();
        for text in ["BYE a", "SIP/2.0 100 trying", "INVITE b", "SIP/2.0 200 OK"] {
            outbox.print(hop, |out| out.extend_from_slice(text.as_bytes()));
        }
        let mut batch = Batch::default();
        outbox.take(&mut batch);
        let order: Vec<&[u8]> = provisional_first(&batch).map(|(_, bytes)| bytes).collect();
        assert_eq!(order, [&b"SIP/2.0 100 trying"[..], b"BYE a", b"INVITE b", b"SIP/2.0 200 OK"]);
    }

    #[test]
    fn the_call_id_of_a_message_that_broke_us() {
        assert_eq!(call_id(b"OPTIONS sip:a SIP/2.0\r\nCALL-ID : x@y \r\n\r\n"), "x@y");
        assert_eq!(call_id(b"OPTIONS sip:a SIP/2.0\r\ni:z\r\n\r\n"), "z");
        assert_eq!(call_id(b"\xff\xfe"), "-");
    }
}
