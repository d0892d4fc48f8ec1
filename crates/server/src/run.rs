//! The running server: threads are started, signals are waited for, and everything is ended in order.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proxy::Proxy;
use script::{Core, ScriptEngine};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use transaction::SocketId;

use crate::banner::{self, Facts};
use crate::cli::RunArgs;
use crate::ctl::Control;
use crate::ctl::doors::Doors;
use crate::privileges::{Identity, PidFile, work_in};
use crate::reload::{self, Reloader, known};
use crate::rpc::{Running, ServerModule, ThreadRows};
use crate::sleeper::Sleeper;
use crate::start::Prepared;
use crate::station::{Orphans, Station};
use crate::turnstile::Turnstile;
use crate::worker::{self, Counters, Ready, Shared, UdpWorker};
use crate::{engine, log, say, settings, versions};

/// How long a worker may take to finish what it has read when the server ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until a signal ends it. An error is why it could not start.
pub fn run(prepared: Prepared, args: &RunArgs) -> Result<(), String> {
    let Prepared { config, core, script, sockets, workers } = prepared;
    // Before any thread: signals that come during start-up are kept, not lost.
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1]).map_err(|e| format!("signals: {e}"))?;
    worker::remember_panics();

    let text = |name: &str| config.str(name).map(str::to_owned);
    let user = args.user.clone().or_else(|| text("user"));
    let group = args.group.clone().or_else(|| text("group"));
    let identity = Identity::find(user.as_deref(), group.as_deref())?;
    if let Some(dir) = settings::directory(&config, args) {
        work_in(&dir)?;
    }
    let pid_file = args.pid_file.as_deref().map(PidFile::write).transpose()?;
    let wanted = args.ctl.clone().or_else(|| args.runtime.as_ref().map(|d| d.join("trunkline.sock")));
    let control = Arc::new(Control::bind(wanted.as_deref())?);
    if identity.uid().is_some() {
        control.give_to(identity.uid(), identity.gid());
    }
    let doors = Doors::open(&core, args, &identity)?;
    identity.assume()?;

    // Taken before it is read: a change from now on is a change.
    let seen = reload::stamp(&script.script);
    let engine = python::load(script.clone(), core.clone()).map_err(|e| e.message)?;
    let proxy = proxy(&core, engine.as_ref(), &script)?;
    let stations: Vec<Arc<Station>> = workers
        .iter()
        .enumerate()
        .flat_map(|(socket, n)| (0..*n).map(move |_| SocketId(socket as u16)))
        .enumerate()
        .map(|(i, socket)| Arc::new(Station::new(format!("udp-{}", i + 1), Some(socket))))
        .chain([worker::TIMER, worker::STANDBY].map(|name| Arc::new(Station::new(name.into(), None))))
        .collect();
    let (standby, turn) = sync_channel(1);
    let shared = Arc::new(Shared {
        proxy,
        counters: Counters::new(&core),
        core: core.clone(),
        gates: sockets.iter().map(|_| Turnstile::default()).collect(),
        sockets,
        stations,
        carriers: Mutex::default(),
        orphans: Orphans::default(),
        begun: Default::default(),
        closing: AtomicBool::new(false),
        timer: Sleeper::default(),
        timer_sleeps_until: AtomicU64::new(0),
        expired_at: AtomicU64::new(0),
        watch: Sleeper::default(),
        standby,
    });
    let carried = shared.clone();
    engine.set_carriers(Box::new(move |carrier| {
        let shared = carried.clone();
        let mut carriers = carried.carriers.lock().unwrap_or_else(|e| e.into_inner());
        let name = format!("async-{}", carriers.len() + 1);
        let station = Arc::new(Station::new(name.clone(), None));
        carriers.push(station.clone());
        drop(carriers);
        let builder = std::thread::Builder::new().name(name).stack_size(engine::STACK);
        let spawned = builder.spawn(move || worker::run_carrier(&shared, &station, carrier));
        spawned.map(drop).map_err(|e| format!("no thread for the event loop of the script: {e}"))
    }));
    let reloader = Arc::new(Reloader::new(&shared, &engine, &script));

    for module in core.registry.modules() {
        let name = module.name();
        module.start(&core, crate::clock::now()).map_err(|e| format!("module {name}: {e}"))?;
    }
    versions::check(&config)?;
    // A module's first tick comes before the first message: usrloc opens the tables of `preload` in it.
    core.registry.modules().iter().for_each(|m| m.tick(&core, crate::clock::now()));
    // Known before the first message: a script may ask, and so may whoever waits at the control socket.
    let rows = ThreadRows::default();
    if let Some(m) = core.registry.module::<ServerModule>() {
        m.started(Running {
            engine: engine.clone(),
            shared: shared.clone(),
            reloader: reloader.clone(),
            threads: rows.clone(),
        });
    }
    let threads = Threads::start(&shared, &engine, turn, rows)?;
    // Kamailio's main process runs `child_init` last, with rank 0.
    let main = engine.worker(0, &core).map_err(|e| e.message)?;
    let (serving, asked) = (control.clone(), core.clone());
    threads.add("ctl", "control", move || serving.serve(&asked))?;
    doors.serve(&core, &mut |name, shown, f| threads.add(name, shown, f))?;
    let facts = Facts {
        config: config.path(),
        engine: engine.as_ref(),
        workers: &workers,
        control: Some(control.path()),
        tools: doors.listed(),
        admin: doors.admin(),
    };
    say::err(banner::text(&core, &facts).trim_end());

    if script.reload_on_change {
        let (reloader, script) = (reloader.clone(), script.script.clone());
        spawn("reload", move || reloader.watch(&script, seen))?;
    }
    for signal in signals.forever() {
        match signal {
            // On a thread of its own: a script that takes long to load must not keep SIGTERM waiting.
            SIGHUP => {
                let reloader = reloader.clone();
                let reload = std::thread::Builder::new().name("reload".into()).stack_size(engine::STACK);
                if let Err(e) = reload.spawn(move || reloader.reload()) {
                    tracing::error!(target: "server", "SIGHUP: no thread for the reload: {e}");
                }
            }
            SIGUSR1 => log_statistics(&core),
            _ => break,
        }
    }
    tracing::info!(target: "server", "ending: finishing what was read");
    let ended_in_time = threads.end(&shared, engine.as_ref(), &mut signals);
    core.registry.modules().iter().for_each(|m| m.stop(&core, crate::clock::now()));
    if !store::journal::flush_all(DRAIN) {
        tracing::error!(target: "server", "rows for a database could not be written before the end");
    }
    drop(pid_file);
    // Its thread waits for clients for ever: the file goes here.
    let _ = std::fs::remove_file(control.path());
    doors.close();
    // Worker threads have dropped their sides; what is left of Python ends with the process, which cannot block on its locks.
    std::mem::forget(main);
    log::flush();
    if !ended_in_time {
        say::err(format_args!(
            "trunkline: a worker was still in the script after {} seconds and was left behind",
            DRAIN.as_secs()
        ));
    }
    // `exit` rather than a return: a stuck thread must not keep the process.
    std::process::exit(0)
}

/// The proxy with `tm`'s parameters and the callbacks the script has.
fn proxy(core: &Arc<Core>, engine: &dyn ScriptEngine, script: &python::Settings) -> Result<Proxy, String> {
    let request = core
        .callbacks
        .intern(script.request_callback.as_bytes())
        .ok_or("the table of callback names is full")?;
    let routes = proxy::Routes {
        request,
        reply: known(core, engine, &script.reply_callback),
        onsend: known(core, engine, &script.onsend_callback),
    };
    Ok(Proxy::new(core.clone(), routes, engine::proxy_settings(core, script)))
}

fn log_statistics(core: &Core) {
    for (group, name, value, _) in core.statistics.list(None).into_iter().filter(|r| r.2 != 0) {
        tracing::info!(target: "server", "{group}:{name} = {value}");
    }
}

/// The threads of the server and how they are told to end.
struct Threads {
    rows: ThreadRows,
    stop: Vec<Sender<()>>,
    ended: Receiver<()>,
}

impl Threads {
    /// Starts workers, timer and watch; returns when each has made its side of the engine, or with the first reason why not.
    fn start(
        shared: &Arc<Shared>,
        engine: &Arc<dyn ScriptEngine>,
        turn: Receiver<()>,
        shown: ThreadRows,
    ) -> Result<Threads, String> {
        let (ready, readiness) = channel::<Ready>();
        let (end, ended) = channel::<()>();
        let mut rows = vec![("main thread".to_owned(), nix::unistd::getpid().as_raw())];
        let mut stop = Vec::new();
        let mut child = 0;
        let mut last_socket = None;
        let mut turn = Some(turn);
        for (i, station) in shared.stations.iter().enumerate() {
            let index = rows.len();
            let (shared, station, engine) = (shared.clone(), station.clone(), engine.clone());
            let (ready, end) = (ready.clone(), end.clone());
            let builder = std::thread::Builder::new().name(station.name.clone()).stack_size(engine::STACK);
            let spawned = match station.socket {
                Some(socket) => {
                    child = if last_socket == Some(socket) { child + 1 } else { 0 };
                    last_socket = Some(socket);
                    let address = shared.sockets.get(usize::from(socket.0)).map(|s| s.local().to_string());
                    rows.push((
                        format!("udp receiver child={child} sock={}", address.unwrap_or_default()),
                        0,
                    ));
                    let me = UdpWorker { rank: i as i32 + 1, station, socket };
                    builder.spawn(move || {
                        let _end = end;
                        worker::run_udp(&shared, &me, engine.as_ref(), index, ready);
                    })
                }
                None if station.name == worker::STANDBY => {
                    rows.push(("secondary timer".to_owned(), 0));
                    let Some(turn) = turn.take() else { continue };
                    builder.spawn(move || {
                        worker::run_standby(&shared, &station, engine.as_ref(), index, ready, &turn);
                    })
                }
                None => {
                    rows.push(("timer".to_owned(), 0));
                    let (tell, told) = channel();
                    stop.push(tell);
                    builder.spawn(move || {
                        worker::run_timer(&shared, &station, engine.as_ref(), index, ready, &told)
                    })
                }
            };
            spawned.map_err(|e| format!("thread: {e}"))?;
        }
        drop((ready, end));
        let mut problems: Vec<String> = Vec::new();
        // Ends when every thread has reported and dropped its sender.
        for answer in readiness {
            match answer {
                Ok((index, tid)) => {
                    if let Some(row) = rows.get_mut(index) {
                        row.1 = tid;
                    }
                }
                Err(e) if problems.contains(&e) => {}
                Err(e) => problems.push(e),
            }
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        let (tell, told) = channel();
        stop.push(tell);
        let watched = shared.clone();
        let tid = spawn("watch", move || worker::run_watch(&watched, &told))?;
        rows.push(("watch".to_owned(), tid));
        *shown.lock().unwrap_or_else(|e| e.into_inner()) = rows;
        Ok(Threads { rows: shown, stop, ended })
    }

    /// Starts a thread that answers until the process ends.
    fn add(&self, name: &str, shown: &str, f: impl FnOnce() + Send + 'static) -> Result<(), String> {
        let tid = spawn(name, f)?;
        self.rows.lock().unwrap_or_else(|e| e.into_inner()).push((shown.to_owned(), tid));
        Ok(())
    }

    /// Stops reading and waits for the workers; false when some were still in a script. A second signal ends the process at once.
    fn end(mut self, shared: &Shared, engine: &dyn ScriptEngine, signals: &mut Signals) -> bool {
        shared.closing.store(true, Ordering::Release);
        shared.gates.iter().for_each(Turnstile::close);
        shared.sockets.iter().for_each(|s| s.close_reading());
        let until = Instant::now() + DRAIN;
        // Workers never send: the channel closes when the last of them has gone.
        loop {
            match self.ended.recv_timeout(Duration::from_millis(50)) {
                Err(RecvTimeoutError::Disconnected) => break,
                _ if Instant::now() >= until => {
                    return false;
                }
                _ => {}
            }
            if signals.pending().any(|s| s == SIGTERM || s == SIGINT) {
                say::err("trunkline: second signal, ending at once");
                std::process::exit(1);
            }
        }
        // What awaits is carried on meanwhile.
        while engine.awaiting() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        // The timer sends what it has and ends.
        self.stop.clear();
        shared.timer.rouse();
        shared.watch.rouse();
        true
    }
}

/// A thread that works until the process ends or its channel closes; its kernel id.
fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<i32, String> {
    let (tell, told) = channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _ = tell.send(nix::unistd::gettid().as_raw());
            f();
        })
        .map_err(|e| format!("thread {name}: {e}"))?;
    told.recv().map_err(|e| format!("thread {name}: {e}"))
}
