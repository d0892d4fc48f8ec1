//! The KSR API: what a routing script can see and do, declared once and engine-independent.
//!
//! A [`Module`] offers rows: [`Function`]s, [`PseudoVariable`]s, [`ModParam`]s, [`RpcCommand`]s. The [`Registry`] joins the rows of the
//! loaded modules; engines (Python now, the native route language later) look names up there. A [`RouteContext`] is one
//! run of a route over one message. Documentation is printed from the rows.
#![forbid(unsafe_code)]

// `#[ksr_module]` names this crate `::script`, also from inside it.
extern crate self as script;

pub mod clock;
pub mod config;
pub mod context;
pub mod engine;
pub mod exchange;
pub mod function;
pub mod hooks;
mod ip_text;
pub mod levels;
pub mod listener;
pub mod module;
pub mod names;
pub mod outbox;
pub mod parked;
pub mod printers;
pub mod pv;
pub mod record_route;
pub mod regexp;
pub mod registry;
pub mod rpc;
mod stand_in;
pub mod statistics;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timing;
pub mod transactions;
pub mod value;
pub mod vars;

pub use config::{Alias, CoreConfig};
pub use context::{
    ArmedRoutes, Branch, Inbound, RouteContext, SendFlags, Services, Slots, Unwind, WorkerState,
};
pub use engine::{
    Awaiting, CallbackId, Callbacks, Carrier, Carriers, Home, RouteKind, RouteKinds, RunOutcome,
    ScriptEngine, ScriptError, ScriptWorker,
};
pub use function::{Arg, Function, Outcome, Param, ParamKind, Returns};
pub use hooks::{DialogMoment, Interest, Kept, Moment};
pub use levels::Levels;
pub use listener::{Listener, LocalHosts};
pub use module::{Core, LocalEnd, ModParam, Module, ParamType, ParamValue, RuntimeParam, Setup, SetupError};
pub use outbox::Outbox;
pub use parked::Parked;
pub use pv::transformations;
pub use pv::{Format, Index, Inner, PseudoVariable, Pv, TransformationRow};
pub use record_route::RecordRoute;
pub use registry::Registry;
pub use rpc::{RpcCommand, RpcError};
pub use script_macros::{ModParams, ksr_module};
pub use statistics::{Statistic, Statistics};
pub use timing::LiveTiming;
pub use transactions::{CallIdAct, RelayTo, RequestState, Tell, Transactions, UacRequest};
pub use value::Value;
pub use vars::Vars;
