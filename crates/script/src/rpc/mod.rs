//! RPC commands: one row each, answered over every control channel.

mod dispatch;
pub mod layout;

use serde_json::Value as Json;
use transaction::Now;

use crate::{Core, Module};

pub use dispatch::{NO_METHOD, answer, answer_value, by_script, call, is_by_script};

/// A command of `rpc_commands.tsv`.
#[derive(Clone, Copy)]
pub struct RpcCommand {
    /// `ul.dump`.
    pub name: &'static str,
    /// What it does, its parameters and its answer.
    pub doc: &'static str,
    /// The call. `params` is a JSON array (positional).
    pub call: RpcCall,
}

/// The call of a command: the module's instance, the core, the time, the parameters.
pub type RpcCall = fn(&dyn Module, &Core, Now, &[Json]) -> Result<Json, RpcError>;

/// An RPC fault: Kamailio's code and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// 400 bad parameters, 404 not found, 500 failure.
    pub code: i64,
    /// Text.
    pub message: String,
}

impl RpcError {
    /// A fault.
    pub fn new(code: i64, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into() }
    }
}
