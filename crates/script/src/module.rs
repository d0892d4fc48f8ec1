//! A Kamailio module as Trunkline has it, and the process-wide [`Core`] that modules and routes share.

use std::any::Any;
use std::sync::Arc;

use transaction::Now;

use crate::{
    Callbacks, CoreConfig, Function, Listener, PseudoVariable, Registry, RpcCommand, Services, Statistics,
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
    /// Called once after all parameters are set.
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        let _ = setup;
        Ok(())
    }
    /// Called once before the first message, when sockets are bound and rights are given up; not for a mere check of the configuration. It may
    /// wait (for a database) and start threads. An error keeps the server from starting.
    fn start(&self, core: &Core, now: Now) -> Result<(), SetupError> {
        let _ = (core, now);
        Ok(())
    }
    /// Called once when the last message was seen to: what has to outlive the process is written now. It may wait.
    fn shutdown(&self, core: &Core, now: Now) {
        let _ = (core, now);
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
}
