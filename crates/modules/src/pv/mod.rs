//! `pv`: pseudo-variables of message, addresses, variables and time, `KSR.pv` to read and write them by name, and `KSR.pvx`.

mod branches;
mod constants;
mod credentials;
mod flags;
mod from_to;
mod headers;
mod net;
mod pvx;
mod rpc;
mod select;
mod target;
mod uri_edit;
pub(crate) mod vars;
mod xavp;

#[cfg(test)]
mod tests;

pub use constants::{CORE, environment_variable};
pub use credentials::Credentials;
pub use flags::mask;
pub use headers::{credentials, elements, method_id, updated};
pub use net::{advertised_host, find_socket, listener, socket_text, uri};
pub use target::{change_request_uri, set_request_uri};
pub use uri_edit::{with_host, with_port, with_user};
pub use vars::{add_avp, avp_of};

/// Writes an `$xavp(..)` by what stands in its parentheses.
pub(crate) fn set_xavp(ctx: &mut RouteContext<'_>, path: &[u8], value: &Value<'_>) -> bool {
    xavp::set(ctx, xavp::Kind::Xavp, path, value)
}

use script::{
    ModParam, ModParams, Module, ParamValue, PseudoVariable, Pv, RouteContext, SetupError, Value, ksr_module,
};

/// Module `pv`.
#[derive(Debug, Default)]
pub struct PvModule {
    settings: Settings,
    shared: vars::Shared,
    /// What `$var(..)` is before it is written.
    initial: Vec<(Vec<u8>, Value<'static>)>,
}

/// Module parameters.
#[derive(Debug, Default, ModParams)]
struct Settings {
    /// `name=i:5` or `name=s:text`: a `$shv(name)` and its value at the start. May be given many times.
    #[modparam(name = "shvset")]
    shared_variable: String,
    /// `name=i:5` or `name=s:text`: value of a `$var(name)` that was not written yet. May be given many times.
    #[modparam(name = "varset")]
    worker_variable: String,
    /// `alias=s:name;alias=i:5`: other names for AVPs. Accepted, without effect yet.
    avp_aliases: String,
}

/// All pseudo-variables of the module, in the order of the files.
static ROWS: std::sync::LazyLock<Vec<PseudoVariable>> = std::sync::LazyLock::new(|| {
    let files = [target::ROWS, from_to::ROWS, headers::ROWS, net::ROWS, flags::ROWS, branches::ROWS];
    let more = [vars::ROWS, xavp::ROWS, constants::ROWS];
    files.into_iter().chain(more).flatten().copied().collect()
});

const GROUPS: &[&[script::Function]] =
    &[PvModule::PV, PvModule::PVX_VARIABLES, PvModule::PVX_XAVP, PvModule::PVX_XAVU_XAVI];

static FUNCTIONS: [script::Function; script::function::count(GROUPS)] = script::function::join(GROUPS);

impl Module for PvModule {
    fn name(&self) -> &'static str {
        "pv"
    }
    fn functions(&self) -> &'static [script::Function] {
        &FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        &ROWS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn rpc(&self) -> &'static [script::RpcCommand] {
        rpc::ROWS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)?;
        match name {
            "shvset" => {
                let text = std::mem::take(&mut self.settings.shared_variable);
                let (variable, value) = initial_value(&text)?;
                self.shared.set(variable.as_bytes(), value);
            }
            "varset" => {
                let text = std::mem::take(&mut self.settings.worker_variable);
                let (variable, value) = initial_value(&text)?;
                self.initial.push((variable.as_bytes().to_vec(), value.into_owned()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// `name=i:5`, `name=s:text`.
fn initial_value(text: &str) -> Result<(&str, Value<'_>), SetupError> {
    let wrong = || SetupError(format!("{text}: expected name=i:number or name=s:text"));
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let value = match value.split_once(':') {
        Some(("i", number)) => Value::Int(number.trim().parse().map_err(|_| wrong())?),
        Some(("s", text)) => Value::from(text),
        _ => return Err(wrong()),
    };
    Ok((name.trim(), value))
}

#[ksr_module("core", object = "pv", rows = "PV")]
impl PvModule {
    /// Value of a pseudo-variable: int, text, or null.
    #[ksr(no_message)]
    fn get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
        pv.get(ctx)
    }
    /// Value of a pseudo-variable; the text `<null>` when it is null.
    #[ksr(no_message)]
    fn getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
        or(pv.get(ctx), Value::str(b"<null>"))
    }
    /// Value of a pseudo-variable; an empty text when it is null.
    #[ksr(no_message)]
    fn gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
        or(pv.get(ctx), Value::str(b""))
    }
    /// Value of a pseudo-variable as an integer: the number a text begins with, 0 when there is none.
    #[ksr(no_message)]
    fn geti(&self, ctx: &mut RouteContext<'_>, pv: &Pv) -> i64 {
        int_of(&pv.get(ctx))
    }
    /// Value of a pseudo-variable as a 64 bit integer, as `geti`.
    #[ksr(no_message)]
    fn getl<'c>(&'c self, ctx: &'c mut RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
        Value::Int(int_of(&pv.get(ctx)))
    }
    /// Value of a pseudo-variable; a number of the caller's choice when it is null.
    #[ksr(no_message)]
    fn getvn<'c>(&'c self, ctx: &'c mut RouteContext<'_>, pv: &'c Pv, default: i64) -> Value<'c> {
        or(pv.get(ctx), Value::Int(default))
    }
    /// Value of a pseudo-variable; a text of the caller's choice when it is null.
    #[ksr(no_message)]
    fn getvs<'c>(&'c self, ctx: &'c mut RouteContext<'_>, pv: &'c Pv, default: &'c [u8]) -> Value<'c> {
        or(pv.get(ctx), Value::str(default))
    }
    /// Writes an integer. False when the pseudo-variable does not exist or refuses it.
    #[ksr(no_message)]
    fn seti(&self, ctx: &mut RouteContext<'_>, pv: &Pv, value: i64) -> bool {
        assign(ctx, pv, Value::Int(value))
    }
    /// Writes a 64 bit integer, as `seti`.
    #[ksr(no_message)]
    fn setl(&self, ctx: &mut RouteContext<'_>, pv: &Pv, value: i64) -> bool {
        assign(ctx, pv, Value::Int(value))
    }
    /// Writes a text. False when the pseudo-variable does not exist or refuses it.
    #[ksr(no_message)]
    fn sets(&self, ctx: &mut RouteContext<'_>, pv: &Pv, value: &[u8]) -> bool {
        assign(ctx, pv, Value::str(value))
    }
    /// Writes null: removes the value.
    #[ksr(no_message)]
    fn unset(&self, ctx: &mut RouteContext<'_>, pv: &Pv) -> bool {
        assign(ctx, pv, Value::Null)
    }
    /// Whether a pseudo-variable is null.
    #[ksr(no_message)]
    fn is_null(&self, ctx: &mut RouteContext<'_>, pv: &Pv) -> bool {
        pv.get(ctx).is_null()
    }
}

fn or<'c>(value: Value<'c>, default: Value<'c>) -> Value<'c> {
    if value.is_null() { default } else { value }
}

fn int_of(value: &Value<'_>) -> i64 {
    match value {
        Value::Int(i) => *i,
        other => script::transformations::leading_int(&other.to_text()),
    }
}

/// Assigning to what is read-only is an error in the log and, as in Kamailio, true for the script; an unknown pseudo-variable is false.
fn assign(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    if pv.is_unknown() {
        return false;
    }
    if !pv.is_writable() {
        tracing::error!(target: "pv", call_id = %String::from_utf8_lossy(ctx.message.call_id()), "{pv:?} is read-only");
        return true;
    }
    pv.set(ctx, value)
}
