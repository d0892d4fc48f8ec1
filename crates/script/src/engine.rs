//! What a script engine is to the server: something that runs named callbacks over a [`RouteContext`].

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use transaction::{Now, TransactionId};

use crate::{Parked, RouteContext, Services};

/// Which route runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum RouteKind {
    /// `request_route`, `ksr_request_route`.
    Request = 1,
    /// `reply_route`, `ksr_reply_route`: every reply, before transactions.
    Reply = 2,
    /// `onsend_route`, `ksr_onsend_route`.
    Onsend = 4,
    /// `branch_route`, armed by `t_on_branch`.
    Branch = 8,
    /// `onreply_route`, armed by `t_on_reply`.
    OnReply = 16,
    /// `failure_route`, armed by `t_on_failure`.
    Failure = 32,
    /// `event_route[tm:branch-failure:..]`, armed by `t_on_branch_failure`.
    BranchFailure = 64,
    /// `event_route[...]`, event callbacks.
    Event = 128,
    /// No route: `mod_init`, `child_init`, script threads, timers.
    Init = 256,
}

/// A set of [`RouteKind`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteKinds(pub u16);

impl RouteKinds {
    /// Every route.
    pub const ANY: RouteKinds = RouteKinds(511);
    /// Request routes.
    pub const REQUEST: RouteKinds = RouteKinds(RouteKind::Request as u16);
    /// Failure routes.
    pub const FAILURE: RouteKinds = RouteKinds(RouteKind::Failure as u16);
    /// Branch routes.
    pub const BRANCH: RouteKinds = RouteKinds(RouteKind::Branch as u16);
    /// Both reply routes.
    pub const REPLY: RouteKinds = RouteKinds(RouteKind::Reply as u16 | RouteKind::OnReply as u16);
    /// tm's onreply route only.
    pub const ONREPLY: RouteKinds = RouteKinds(RouteKind::OnReply as u16);
    /// Union, usable in constants.
    pub const fn or(self, other: RouteKinds) -> RouteKinds {
        RouteKinds(self.0 | other.0)
    }
    /// Membership.
    pub const fn contains(self, kind: RouteKind) -> bool {
        self.0 & kind as u16 != 0
    }
}

/// A callback: its interned name, and which loading of the script it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallbackId {
    /// Number of the name.
    pub name: u32,
    /// Number of the loading whose callback is meant; 0, the one that routes now. What a script arms belongs to its own loading: after a
    /// reload, transactions end with the callbacks they were armed with.
    pub generation: u16,
}

impl CallbackId {
    /// The callback of that number and of the script that routes now.
    pub const fn new(name: u32) -> CallbackId {
        CallbackId { name, generation: 0 }
    }
    /// The same name in a loading.
    pub const fn of(self, generation: u16) -> CallbackId {
        CallbackId { name: self.name, generation }
    }
}

/// Ids by name and names by id.
type Names = (HashMap<Arc<[u8]>, CallbackId>, Vec<Arc<str>>);

/// Names of callbacks, interned once for the whole process. Bounded: a script that invents names per call gets `None`.
#[derive(Debug, Default)]
pub struct Callbacks {
    names: RwLock<Names>,
}

impl Callbacks {
    /// Most names a process can know.
    pub const LIMIT: usize = 4096;
    /// The id of a name, made when new, in the script that routes now. `None` when the table is full or the name is not UTF-8.
    pub fn intern(&self, name: &[u8]) -> Option<CallbackId> {
        if let Ok(t) = self.names.read()
            && let Some(id) = t.0.get(name)
        {
            return Some(*id);
        }
        let text = std::str::from_utf8(name).ok()?;
        let mut t = self.names.write().ok()?;
        if let Some(id) = t.0.get(name) {
            return Some(*id);
        }
        if t.1.len() >= Self::LIMIT {
            return None;
        }
        let id = CallbackId::new(t.1.len() as u32);
        t.0.insert(name.into(), id);
        t.1.push(text.into());
        Some(id)
    }
    /// The name of an id.
    pub fn name(&self, id: CallbackId) -> Arc<str> {
        self.names.read().ok().and_then(|t| t.1.get(id.name as usize).cloned()).unwrap_or_else(|| "?".into())
    }
    /// How many names are known; ids are below this.
    pub fn len(&self) -> usize {
        self.names.read().map_or(0, |t| t.1.len())
    }
    /// Whether no name is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a callback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// It returned.
    Returned(i64),
    /// `sys.exit()`, `KSR.x.exit()`.
    Exit,
    /// `KSR.x.drop()`.
    Drop,
    /// It raised: logged and counted by the engine; the caller answers 500 when nothing was answered yet.
    Exception,
    /// There is no such callback.
    Missing,
    /// It awaits something (only where [`RouteContext::may_await`] was set): the caller parks the context with
    /// [`ScriptWorker::carry_on`] and is called back through [`Transactions::carried_on`].
    ///
    /// [`Transactions::carried_on`]: crate::Transactions::carried_on
    Awaits,
}

/// Which route awaits, and what its caller needs to go on.
#[derive(Debug, Clone)]
pub enum Awaiting {
    /// The request route.
    Request,
    /// The reply route, with the transaction and branch it belongs to.
    Reply(Option<(TransactionId, u16)>),
    /// An onreply, branch-failure or failure route: the transaction that waits for the decision, and what the proxy knows of it.
    Decision(TransactionId, Arc<dyn std::any::Any + Send + Sync>),
}

/// The thread that carries on what awaits in one interpreter, as the server gives it to the engine.
pub trait Home {
    /// What a worker brings to every run, with this engine's side.
    fn services<'s>(&'s self, engine: &'s dyn ScriptWorker) -> Services<'s>;
    /// The time.
    fn now(&self) -> Now;
    /// A step of a callback begins or ends: for whoever watches for stuck scripts.
    fn step(&self);
    /// Sends what was printed.
    fn flush(&self);
}

/// What runs on such a thread, for as long as the process lives.
pub type Carrier = Box<dyn FnOnce(&dyn Home) + Send>;
/// Starts such a thread; called when the first callback awaits.
pub type Carriers = Box<dyn Fn(Carrier) -> Result<(), String> + Send + Sync>;

/// A script could not be loaded, or a worker could not be made.
#[derive(Debug, Clone)]
pub struct ScriptError {
    /// What happened, with traceback, ready to print.
    pub message: String,
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for ScriptError {}

/// The engine that routes, one per process.
pub trait ScriptEngine: Send + Sync {
    /// `python`, `none` ...
    fn name(&self) -> &'static str;
    /// One line for operators: version, interpreters mode and why, script path.
    fn describe(&self) -> String;
    /// Callbacks found in the script, for the start-up line and checks.
    fn found(&self) -> Vec<String>;
    /// Whether the script has this callback (asked once per name and cached by the caller).
    fn has(&self, callback: CallbackId) -> bool;
    /// Makes a worker's side; called on the worker's own thread, once. Runs `child_init(rank)` (and `mod_init` per interpreter).
    fn worker(&self, rank: i32, core: &Arc<crate::Core>) -> Result<Box<dyn ScriptWorker>, ScriptError>;
    /// For `kemi.engine`.
    fn rpc_engine(&self) -> serde_json::Value;
    /// For `kemi.callbacks`: calls, time in script, time waiting for the interpreter, exceptions, longest.
    fn rpc_callbacks(&self) -> serde_json::Value;
    /// For `kemi.threads`: threads the script started, running or held.
    fn rpc_threads(&self) -> serde_json::Value;
    /// Loads the script anew beside the one that routes, up to and without `child_init`; on a thread that waits for nobody. Gives the
    /// number of the loading, to be prepared by every worker and then put to use with [`ScriptEngine::switch`], or given up.
    fn load_anew(&self) -> Result<u16, ScriptError> {
        Err(ScriptError { message: format!("the engine {} does not reload", self.name()) })
    }
    /// From now on that loading routes.
    fn switch(&self, generation: u16) {
        let _ = generation;
    }
    /// How threads are started that carry on what awaits; without it callbacks that await are an error.
    fn set_carriers(&self, carriers: Carriers) {
        let _ = carriers;
    }
    /// How many callbacks await something.
    fn awaiting(&self) -> usize {
        0
    }
    /// That loading will not be used.
    fn give_up(&self, generation: u16) {
        let _ = generation;
    }
}

/// One worker's side of the engine. Not `Send`: it lives and dies on its thread. Reentrant: a KSR function may cause a nested run.
pub trait ScriptWorker {
    /// Attaches to the interpreter for a batch of runs (may wait for it; never called with a lock held).
    fn attach(&self);
    /// Detaches, before the worker blocks in a system call.
    fn detach(&self);
    /// Runs a callback. Attached or not: it attaches for the run when needed.
    fn run(&self, kind: RouteKind, callback: CallbackId, ctx: &mut RouteContext<'_>) -> RunOutcome;
    /// Runs an event callback `(msg, evname)`.
    fn run_event(&self, callback: CallbackId, event: &str, ctx: &mut RouteContext<'_>) -> RunOutcome;
    /// Whether the script has this callback.
    fn has(&self, callback: CallbackId) -> bool {
        let _ = callback;
        false
    }
    /// Takes the context of the run that just ended as [`RunOutcome::Awaits`].
    fn carry_on(&self, context: Parked, awaiting: Awaiting) {
        let _ = (context, awaiting);
    }
    /// Makes this worker ready for a loading of the script (runs its `child_init`), on the worker's own thread between messages.
    fn prepare(&self, generation: u16) -> Result<(), ScriptError> {
        let _ = generation;
        Ok(())
    }
}

/// The engine of a server without a script: nothing to run.
#[derive(Debug, Default)]
pub struct NoScript;

impl ScriptWorker for NoScript {
    fn attach(&self) {}
    fn detach(&self) {}
    fn run(&self, _: RouteKind, _: CallbackId, _: &mut RouteContext<'_>) -> RunOutcome {
        RunOutcome::Missing
    }
    fn run_event(&self, _: CallbackId, _: &str, _: &mut RouteContext<'_>) -> RunOutcome {
        RunOutcome::Missing
    }
}
