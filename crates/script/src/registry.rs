//! All rows of the loaded modules, and the lookups engines need.

use std::any::Any;
use std::sync::Arc;

use crate::{Format, Function, Module, PseudoVariable, Pv, RpcCommand};

/// Rows of the loaded modules.
#[derive(Default)]
pub struct Registry {
    modules: Vec<Arc<dyn Module>>,
}

impl Registry {
    /// Joins the rows of these modules. `core`, `pv`, `hdr` and `x` must be among them.
    pub fn new(modules: Vec<Arc<dyn Module>>) -> Registry {
        Registry { modules }
    }
    /// Loaded modules in load order.
    pub fn modules(&self) -> &[Arc<dyn Module>] {
        &self.modules
    }
    /// A module by type.
    pub fn module<M: Module>(&self) -> Option<&M> {
        self.modules.iter().find_map(|m| (m.as_ref() as &dyn Any).downcast_ref::<M>())
    }
    /// All functions with the module instance to call them on.
    pub fn functions(&self) -> impl Iterator<Item = (&Arc<dyn Module>, &'static Function)> + '_ {
        self.modules.iter().flat_map(|m| m.functions().iter().map(move |f| (m, f)))
    }
    /// All RPC commands with their module.
    pub fn rpc(&self) -> impl Iterator<Item = (&Arc<dyn Module>, &'static RpcCommand)> + '_ {
        self.modules.iter().flat_map(|m| m.rpc().iter().map(move |r| (m, r)))
    }
    /// All pseudo-variables.
    pub fn pseudo_variables(&self) -> impl Iterator<Item = &'static PseudoVariable> + '_ {
        self.modules.iter().flat_map(|m| m.pseudo_variables().iter())
    }
    /// Parses a pseudo-variable as a script writes it. The error names what is unknown and the nearest name.
    pub fn parse_pv(&self, text: &[u8]) -> Result<Pv, String> {
        Err(format!("not there yet: {}", String::from_utf8_lossy(text)))
    }
    /// Parses text with pseudo-variables.
    pub fn parse_format(&self, text: &[u8]) -> Result<Format, String> {
        Err(format!("not there yet: {}", String::from_utf8_lossy(text)))
    }
}
