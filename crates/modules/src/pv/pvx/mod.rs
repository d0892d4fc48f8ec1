//! `KSR.pvx`: AVPs, XAVPs, shared variables and the static branch by name, without writing pseudo-variables.

mod lists;
mod structured;
mod unique;

use script::vars::VarValue;
use script::{Format, Index, Outcome, Pv, RouteContext, Value, ksr_module};

use super::branches::{self, StaticBranch};
use super::vars::{self, Space};
use super::xavp::{Kind, List};
use super::{PvModule, or};
use lists::{fields_of, print, push_fields};

pub(super) const EMPTY: Value<'static> = Value::Str(std::borrow::Cow::Borrowed(b""));
pub(super) const NULL_TEXT: Value<'static> = Value::Str(std::borrow::Cow::Borrowed(b"<null>"));

#[ksr_module("pv", object = "pvx", rows = "PVX_VARIABLES")]
impl PvModule {
    /// Makes the static branch (`$sbranch(..)`) the Request-URI with all that goes with it. -1 when it has no URI.
    #[ksr(cfg = ["sbranch_set_ruri"])]
    fn sbranch_set_ruri(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        match ctx.slots.peek::<StaticBranch>() {
            Some(b) if !b.0.uri.is_empty() => {
                ctx.target = b.0.clone();
                Outcome::TRUE
            }
            _ => Outcome::FALSE,
        }
    }
    /// Adds the static branch (`$sbranch(..)`) to the destination set. -1 when it has no URI or the set is full.
    #[ksr(cfg = ["sbranch_append"])]
    fn sbranch_append(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        match ctx.slots.peek::<StaticBranch>().map(|b| b.0.clone()) {
            Some(branch) => branches::append(ctx, branch).into(),
            None => Outcome::FALSE,
        }
    }
    /// Empties the static branch.
    #[ksr(cfg = ["sbranch_reset"])]
    fn sbranch_reset(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        ctx.slots.slot::<StaticBranch>().reset();
        Outcome::TRUE
    }
    /// Writes an integer to `$var(name)`.
    #[ksr(no_message)]
    fn var_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: i64) -> Outcome {
        vars::write_worker_var(ctx, Space::Var, name, Value::Int(value)).into()
    }
    /// Writes a text to `$var(name)`.
    #[ksr(no_message)]
    fn var_sets(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: &[u8]) -> Outcome {
        vars::write_worker_var(ctx, Space::Var, name, Value::str(value)).into()
    }
    /// Value of `$var(name)`, 0 when unset.
    #[ksr(no_message)]
    fn var_get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(vars::worker_var(ctx, Space::Var, name), Value::Int(0))
    }
    /// Writes an integer to `$shv(name)`, shared by all workers.
    #[ksr(no_message)]
    fn shv_seti(&self, name: &[u8], value: i64) -> Outcome {
        self.shared.set(name, Value::Int(value)).into()
    }
    /// Writes a text to `$shv(name)`, shared by all workers.
    #[ksr(no_message)]
    fn shv_sets(&self, name: &[u8], value: &[u8]) -> Outcome {
        self.shared.set(name, Value::str(value)).into()
    }
    /// Value of `$shv(name)`, 0 when it was never written.
    #[ksr(no_message)]
    fn shv_get<'c>(&'c self, name: &'c [u8]) -> Value<'c> {
        self.shared.get(name)
    }
    /// Adds one to `$shv(name)` and returns the new value.
    #[ksr(no_message)]
    fn shvinc_get<'c>(&'c self, name: &'c [u8]) -> Value<'c> {
        self.shared.increment(name)
    }
    /// Copies `$var(name)` (all of them for `*`) into a new `$xavp(xname)` as fields.
    #[ksr(cfg = ["pv_var_to_xavp"], no_message)]
    fn pv_var_to_xavp(&self, ctx: &mut RouteContext<'_>, name: &[u8], xname: &[u8]) -> Outcome {
        let names = if name == b"*" { vars::worker_var_names(ctx) } else { vec![name.to_vec()] };
        let fields: List = names
            .into_iter()
            .map(|n| {
                let value = VarValue::from_value(&or(vars::worker_var(ctx, Space::Var, &n), Value::Int(0)));
                (n.into_boxed_slice(), value)
            })
            .collect();
        push_fields(ctx, Kind::Xavp, xname, fields)
    }
    /// Copies the fields of `$xavp(xname)` into `$var(..)` of their names. -1 when there is no such value.
    #[ksr(cfg = ["pv_xavp_to_var"], no_message)]
    fn pv_xavp_to_var(&self, ctx: &mut RouteContext<'_>, xname: &[u8]) -> Outcome {
        let Some(fields) = fields_of(ctx, Kind::Xavp, xname, 0) else { return Outcome::FALSE };
        for (name, value) in fields {
            vars::write_worker_var(ctx, Space::Var, &name, value.to_value());
        }
        Outcome::TRUE
    }
    /// Writes all XAVPs to the log.
    #[ksr(cfg = ["pv_xavp_print"], no_message)]
    fn pv_xavp_print(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        print(ctx, Kind::Xavp, "xavp")
    }
    /// Writes all XAVUs to the log.
    #[ksr(cfg = ["pv_xavu_print"], no_message)]
    fn pv_xavu_print(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        print(ctx, Kind::Xavu, "xavu")
    }
    /// Writes all XAVIs to the log.
    #[ksr(cfg = ["pv_xavi_print"], no_message)]
    fn pv_xavi_print(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        print(ctx, Kind::Xavi, "xavi")
    }
    /// Evaluates a text with pseudo-variables and writes the result to another pseudo-variable.
    #[ksr(cfg = ["pv_evalx"], no_message)]
    fn evalx(&self, ctx: &mut RouteContext<'_>, destination: &Pv, format: &Format) -> Outcome {
        if destination.is_unknown() {
            return Outcome::FALSE;
        }
        let mut text = Vec::new();
        format.write(ctx, &mut text);
        destination.set(ctx, Value::owned(text)).into()
    }
    /// Adds an integer to `$avp(name)`.
    #[ksr(no_message)]
    fn avp_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: i64) -> Outcome {
        vars::add_avp(ctx, name, &Value::Int(value));
        Outcome::TRUE
    }
    /// Adds a text to `$avp(name)`.
    #[ksr(no_message)]
    fn avp_sets(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: &[u8]) -> Outcome {
        vars::add_avp(ctx, name, &Value::str(value));
        Outcome::TRUE
    }
    /// Newest value of `$avp(name)`, null when there is none.
    #[ksr(no_message)]
    fn avp_get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        vars::read_avp(ctx, name, Index::None)
    }
    /// Newest value of `$avp(name)`, an empty text when there is none.
    #[ksr(no_message)]
    fn avp_gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(vars::read_avp(ctx, name, Index::None), EMPTY)
    }
    /// Newest value of `$avp(name)`, `<null>` when there is none.
    #[ksr(no_message)]
    fn avp_getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(vars::read_avp(ctx, name, Index::None), NULL_TEXT)
    }
    /// Removes all values of `$avp(name)`.
    #[ksr(no_message)]
    fn avp_rm(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        vars::remove_avp(ctx, name, true);
        Outcome::TRUE
    }
    /// 1 when `$avp(name)` is null, else -1.
    #[ksr(no_message)]
    fn avp_is_null(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        vars::read_avp(ctx, name, Index::None).is_null().into()
    }
}
