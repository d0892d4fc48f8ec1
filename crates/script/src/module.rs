//! A Kamailio module as Trunkline has it, and the process-wide [`Core`] that modules and routes share.

use std::any::Any;
use std::sync::Arc;

use message::Message;
use transaction::Now;

use crate::exchange::Asking;
use crate::{
    Callbacks, CoreConfig, Function, Inbound, Interest, Listener, Moment, PseudoVariable, Registry,
    RouteContext, RpcCommand, Services, Statistics,
};

/// What every part of the server shares, read-only after start-up.
pub struct Core {
    /// Core parameters.
    pub config: CoreConfig,
    /// Our sockets; [`transaction::SocketId`] indexes them.
    pub listeners: Vec<Listener>,
    /// Functions, pseudo-variables, parameters and RPC of the loaded modules.
    pub registry: Registry,
    /// Counters.
    pub statistics: Statistics,
    /// Callback names.
    pub callbacks: Callbacks,
    /// Addresses of host names given by the operator.
    pub names: crate::names::Names,
    /// Questions to RTP relays and the like.
    pub exchange: Asking,
}

/// Type of a module parameter, as in `modparams.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// Integer.
    Int,
    /// Text.
    Str,
    /// Either.
    Any,
}

/// A value given by `modparam`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// Integer.
    Int(i64),
    /// Text.
    Str(String),
}

impl ParamValue {
    /// What it is, for messages: `the integer 5`.
    pub fn describe(&self) -> String {
        match self {
            ParamValue::Int(i) => format!("the integer {i}"),
            ParamValue::Str(s) => format!("the string \"{s}\""),
        }
    }
}

/// A declared module parameter. Made by `#[derive(ModParams)]` from a struct of settings, or by hand.
#[derive(Debug, Clone, Copy)]
pub struct ModParam {
    /// Name in `modparam("module", "name", value)`.
    pub name: &'static str,
    /// Type.
    pub kind: ParamType,
    /// Documentation with unit, range and default.
    pub doc: &'static str,
}

/// A parameter as `cfg.*` (module `cfg_rpc`) shows it while the server runs, and changes it where that is possible.
#[derive(Clone, Copy)]
pub struct RuntimeParam {
    /// Group, Kamailio's: mostly the module's name.
    pub group: &'static str,
    /// Name in the group.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Type.
    pub kind: ParamType,
    /// The value in force.
    pub value: fn(&dyn Module, &Core) -> ParamValue,
    /// Changes it from now on; `None` for what is read once, at the start. A value out of range is an error that says so.
    pub change: Option<ChangeParam>,
}

/// Rows of parameters that are read once, at the start: `read_only_params!("tm", Tm; "fr_timer" Int "Milliseconds ..." |m| m.fr_timer.into();)`.
#[macro_export]
macro_rules! read_only_params {
    ($group:literal, $module:ty; $($name:literal $kind:ident $doc:literal $value:expr;)*) => {
        &[$($crate::RuntimeParam {
            group: $group,
            name: $name,
            doc: $doc,
            kind: $crate::ParamType::$kind,
            value: |module, _| {
                let value: fn(&$module) -> $crate::ParamValue = $value;
                match (module as &dyn ::std::any::Any).downcast_ref::<$module>() {
                    Some(module) => value(module),
                    None => $crate::ParamValue::Int(0),
                }
            },
            change: None,
        }),*]
    };
}

impl From<i64> for ParamValue {
    fn from(value: i64) -> ParamValue {
        ParamValue::Int(value)
    }
}

impl From<bool> for ParamValue {
    fn from(value: bool) -> ParamValue {
        ParamValue::Int(value.into())
    }
}

impl From<&str> for ParamValue {
    fn from(value: &str) -> ParamValue {
        ParamValue::Str(value.to_owned())
    }
}

/// Changes a [`RuntimeParam`] of a module.
pub type ChangeParam = fn(&dyn Module, &Core, ParamValue) -> Result<(), SetupError>;

/// Two lists of parameters as one, for modules that declare some by hand beside their struct of settings. `N` is the sum of their lengths.
pub const fn joined<const N: usize>(first: &[ModParam], second: &[ModParam]) -> [ModParam; N] {
    assert!(first.len() + second.len() == N && N > 0);
    let mut all = [if first.is_empty() { second[0] } else { first[0] }; N];
    let mut i = 0;
    while i < N {
        all[i] = if i < first.len() { first[i] } else { second[i - first.len()] };
        i += 1;
    }
    all
}

/// Why a module refuses its configuration; printed beside the line of the `modparam` or `loadmodule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupError(pub String);

impl std::fmt::Display for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a module may look at when it is set up, after all parameters are set. Modules are set up in the order of `loadmodule`.
pub struct Setup<'a> {
    /// Core parameters.
    pub config: &'a CoreConfig,
    /// Our sockets.
    pub listeners: &'a [Listener],
    /// Modules that were set up before this one.
    pub modules: &'a [Arc<dyn Module>],
    /// Time of the start.
    pub now: Now,
}

impl Setup<'_> {
    /// An earlier module by type.
    pub fn module<M: Module>(&self) -> Option<&M> {
        self.modules.iter().find_map(|m| (m.as_ref() as &dyn Any).downcast_ref::<M>())
    }
}

/// How a request of our own ended.
#[derive(Debug, Clone)]
pub struct LocalEnd {
    /// The number its sender gave it, see [`Tell`](crate::Tell).
    pub token: u64,
    /// Status code; 408 also when there was no reply.
    pub code: u16,
    /// The final reply; `None` when there was none.
    pub reply: Option<Arc<Message>>,
}

/// A module: rows plus the state they work on. Its functions get `&self`; state that changes is atomic or locked inside.
pub trait Module: Any + Send + Sync {
    /// Name in `loadmodule`.
    fn name(&self) -> &'static str;
    /// Its KSR functions (from `#[ksr_module]`: `Self::FUNCTIONS`).
    fn functions(&self) -> &'static [Function] {
        &[]
    }
    /// Its pseudo-variables.
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        &[]
    }
    /// Its parameters.
    fn params(&self) -> &'static [ModParam] {
        &[]
    }
    /// Takes a parameter already checked against [`Module::params`].
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        let _ = value;
        Err(SetupError(format!("module has no parameter {name}")))
    }
    /// Its RPC commands.
    fn rpc(&self) -> &'static [RpcCommand] {
        &[]
    }
    /// Parameters that `cfg.*` can show and change while the server runs.
    fn runtime_params(&self) -> &'static [RuntimeParam] {
        &[]
    }
    /// Called once after all parameters are set.
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        let _ = setup;
        Ok(())
    }
    /// What it may want to hear of requests and transactions; asked after [`Module::setup`].
    fn interest(&self) -> Interest {
        Interest::NONE
    }
    /// Hears of a moment that [`Module::interest`] names: also of transactions that another module watches. Never with a lock held.
    fn hear(&self, ctx: &mut RouteContext<'_>, moment: &Moment<'_>) {
        let _ = (ctx, moment);
    }
    /// Called once before the first message, when sockets are bound and rights are given up; not for a mere check of the configuration. It may
    /// wait (for a database) and start threads. An error keeps the server from starting.
    fn start(&self, core: &Core, now: Now) -> Result<(), SetupError> {
        let _ = (core, now);
        Ok(())
    }
    /// Whether a function of its may wait: an engine releases its interpreter around such calls. Asked once, after set-up.
    fn waits(&self, function: &Function) -> bool {
        function.blocking
    }
    /// Called about once a second by the timer worker, never with a lock held. `budget` bounds the work: items to look at.
    fn tick(&self, core: &Core, now: Now) {
        let _ = (core, now);
    }
    /// Called after each [`Module::tick`] on the same thread, which has an engine of its own: event callbacks run here.
    fn events(&self, services: &Services<'_>, now: Now) {
        let _ = (services, now);
    }
    /// Whether a reply answers a request that this module sent without a transaction, with a Via branch of its own: it goes no further
    /// then, and no script sees it. Asked only for replies whose branch no transaction made; never with a lock held.
    fn takes_reply(&self, core: &Core, reply: &Message, inbound: Inbound, now: Now) -> bool {
        let _ = (core, reply, inbound, now);
        false
    }
    /// A request of this module's ([`Transactions::send_request`](crate::Transactions::send_request)) got its final reply, or none in time.
    /// Called once for each request (for every 2xx of an INVITE), on whatever thread takes in the reply, never with a lock held. It must
    /// not run callbacks of the script: they run in [`Module::events`].
    fn local_reply(&self, services: &Services<'_>, now: Now, end: LocalEnd) {
        let _ = (services, now, end);
    }
    /// Called once when the server ends, after the last message: what is to outlive the process is written now.
    fn stop(&self, core: &Core, now: Now) {
        let _ = (core, now);
    }
}
