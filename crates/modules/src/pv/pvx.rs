//! `KSR.pvx`: AVPs, XAVPs, shared variables and the static branch by name, without writing pseudo-variables.

use script::vars::VarValue;
use script::{Branch, Format, Index, Outcome, Pv, RouteContext, Value, ksr_module};

use super::branches::{self, StaticBranch};
use super::vars::{self, Space};
use super::xavp::{self, Kind, List};
use super::{PvModule, or};

const EMPTY: Value<'static> = Value::Str(std::borrow::Cow::Borrowed(b""));
const NULL_TEXT: Value<'static> = Value::Str(std::borrow::Cow::Borrowed(b"<null>"));

#[ksr_module("pv", object = "pvx", rows = "PVX")]
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
    /// Makes a new `$xavp(xname)` whose fields are the parameters `a=1;b=2`. -1 when the list is empty or breaks the syntax.
    #[ksr(cfg = ["xavp_params_explode"], no_message)]
    fn xavp_params_explode(&self, ctx: &mut RouteContext<'_>, params: &[u8], xname: &[u8]) -> Outcome {
        explode(ctx, Kind::Xavp, params, b';', xname)
    }
    /// As `xavp_params_explode`, with another separator.
    #[ksr(cfg = ["xavp_xparams_explode"], no_message)]
    fn xavp_xparams_explode(
        &self,
        ctx: &mut RouteContext<'_>,
        params: &[u8],
        separator: &[u8],
        xname: &[u8],
    ) -> Outcome {
        let Some(separator) = separator.first() else { return Outcome::FALSE };
        explode(ctx, Kind::Xavp, params, *separator, xname)
    }
    /// Writes the fields of `$xavp(xname)` as `a=1;b=2;` to a pseudo-variable. -1 when there is no such value.
    #[ksr(cfg = ["xavp_params_implode"], no_message)]
    fn xavp_params_implode(&self, ctx: &mut RouteContext<'_>, xname: &[u8], destination: &Pv) -> Outcome {
        implode(ctx, Kind::Xavp, xname, destination, "")
    }
    /// As `xavp_params_implode`, with the values in double quotes.
    #[ksr(cfg = ["xavp_params_implode_qval"], no_message)]
    fn xavp_params_implode_qval(
        &self,
        ctx: &mut RouteContext<'_>,
        xname: &[u8],
        destination: &Pv,
    ) -> Outcome {
        implode(ctx, Kind::Xavp, xname, destination, "\"")
    }
    /// Makes `$xavu(xname)` hold the parameters `a=1;b=2` as fields.
    #[ksr(cfg = ["xavu_params_explode"], no_message)]
    fn xavu_params_explode(&self, ctx: &mut RouteContext<'_>, params: &[u8], xname: &[u8]) -> Outcome {
        explode(ctx, Kind::Xavu, params, b';', xname)
    }
    /// Writes the fields of `$xavu(xname)` as `a=1;b=2;` to a pseudo-variable. -1 when there is no such value.
    #[ksr(cfg = ["xavu_params_implode"], no_message)]
    fn xavu_params_implode(&self, ctx: &mut RouteContext<'_>, xname: &[u8], destination: &Pv) -> Outcome {
        implode(ctx, Kind::Xavu, xname, destination, "")
    }
    /// Makes a new `$xavp(xname)` with the items of a list as fields `v`; `t` in `mode` takes white space around items away.
    #[ksr(cfg = ["xavp_slist_explode"], no_message)]
    fn xavp_slist_explode(
        &self,
        ctx: &mut RouteContext<'_>,
        list: &[u8],
        separator: &[u8],
        mode: &[u8],
        xname: &[u8],
    ) -> Outcome {
        if list.is_empty() || separator.is_empty() {
            return Outcome::FALSE;
        }
        let trim = mode.contains(&b't');
        let items = list.split(|c| separator.contains(c)).map(|i| if trim { i.trim_ascii() } else { i });
        let fields = items.map(|i| (Box::from(&b"v"[..]), VarValue::Str(i.into()))).collect();
        push_fields(ctx, Kind::Xavp, xname, fields)
    }
    /// Adds an integer to `$xavp(name)`.
    #[ksr(no_message)]
    fn xavp_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: i64) -> Outcome {
        write(ctx, Kind::Xavp, name, VarValue::Int(value))
    }
    /// Adds a text to `$xavp(name)`.
    #[ksr(no_message)]
    fn xavp_sets(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: &[u8]) -> Outcome {
        write(ctx, Kind::Xavp, name, VarValue::Str(value.into()))
    }
    /// Newest value of `$xavp(name)`, null when there is none.
    #[ksr(no_message)]
    fn xavp_get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        xavp::get(ctx, Kind::Xavp, name, Index::None)
    }
    /// Newest value of `$xavp(name)`, an empty text when there is none.
    #[ksr(no_message)]
    fn xavp_gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(xavp::get(ctx, Kind::Xavp, name, Index::None), EMPTY)
    }
    /// Newest value of `$xavp(name)`, `<null>` when there is none.
    #[ksr(no_message)]
    fn xavp_getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(xavp::get(ctx, Kind::Xavp, name, Index::None), NULL_TEXT)
    }
    /// All values of `$xavp(name)` that have fields, as a list of maps.
    #[ksr(no_message)]
    fn xavp_getd<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        maps(ctx, Kind::Xavp, name)
    }
    /// The value of `$xavp(name)` at a position, as a map of its fields; null when it has none.
    #[ksr(no_message)]
    fn xavp_getd_p1<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        fields_of(ctx, Kind::Xavp, name, index).map_or(Value::Null, map)
    }
    /// Names of the fields of `$xavp(name)` at a position; null when it has none.
    #[ksr(no_message)]
    fn xavp_get_keys<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        keys(ctx, Kind::Xavp, name, index)
    }
    /// Removes the newest value of `$xavp(name)`.
    #[ksr(no_message)]
    fn xavp_rm(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        remove(ctx, Kind::Xavp, name, false)
    }
    /// Removes all values of `$xavp(name)`.
    #[ksr(no_message)]
    fn xavp_rm_all(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        remove(ctx, Kind::Xavp, name, true)
    }
    /// 1 when `$xavp(name)` is null, else -1.
    #[ksr(no_message)]
    fn xavp_is_null(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        xavp::get(ctx, Kind::Xavp, name, Index::None).is_null().into()
    }
    /// Writes an integer to `$xavp(name[0]=>field)`, making the value when there is none.
    #[ksr(no_message)]
    fn xavp_child_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8], value: i64) -> Outcome {
        write_child(ctx, Kind::Xavp, name, field, VarValue::Int(value))
    }
    /// Writes a text to `$xavp(name[0]=>field)`, making the value when there is none.
    #[ksr(no_message)]
    fn xavp_child_sets(
        &self,
        ctx: &mut RouteContext<'_>,
        name: &[u8],
        field: &[u8],
        value: &[u8],
    ) -> Outcome {
        write_child(ctx, Kind::Xavp, name, field, VarValue::Str(value.into()))
    }
    /// Removes `$xavp(name=>field)`.
    #[ksr(no_message)]
    fn xavp_child_rm(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8]) -> Outcome {
        remove_child(ctx, Kind::Xavp, name, field)
    }
    /// 1 when `$xavp(name=>field)` is null, else -1.
    #[ksr(no_message)]
    fn xavp_child_is_null(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8]) -> Outcome {
        child(ctx, Kind::Xavp, name, field).is_null().into()
    }
    /// Value of `$xavp(name=>field)`, null when there is none.
    #[ksr(no_message)]
    fn xavp_child_get<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        child(ctx, Kind::Xavp, name, field)
    }
    /// Value of `$xavp(name=>field)`, an empty text when there is none.
    #[ksr(no_message)]
    fn xavp_child_gete<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        or(child(ctx, Kind::Xavp, name, field), EMPTY)
    }
    /// Value of `$xavp(name=>field)`, `<null>` when there is none.
    #[ksr(no_message)]
    fn xavp_child_getw<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        or(child(ctx, Kind::Xavp, name, field), NULL_TEXT)
    }
    /// Writes an integer to `$xavu(name)`.
    #[ksr(no_message)]
    fn xavu_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: i64) -> Outcome {
        write(ctx, Kind::Xavu, name, VarValue::Int(value))
    }
    /// Writes a text to `$xavu(name)`.
    #[ksr(no_message)]
    fn xavu_sets(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: &[u8]) -> Outcome {
        write(ctx, Kind::Xavu, name, VarValue::Str(value.into()))
    }
    /// Value of `$xavu(name)`, null when there is none.
    #[ksr(no_message)]
    fn xavu_get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        xavp::get(ctx, Kind::Xavu, name, Index::None)
    }
    /// Value of `$xavu(name)`, an empty text when there is none.
    #[ksr(no_message)]
    fn xavu_gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(xavp::get(ctx, Kind::Xavu, name, Index::None), EMPTY)
    }
    /// Value of `$xavu(name)`, `<null>` when there is none.
    #[ksr(no_message)]
    fn xavu_getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(xavp::get(ctx, Kind::Xavu, name, Index::None), NULL_TEXT)
    }
    /// Removes `$xavu(name)`.
    #[ksr(no_message)]
    fn xavu_rm(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        remove(ctx, Kind::Xavu, name, false)
    }
    /// 1 when `$xavu(name)` is null, else -1.
    #[ksr(no_message)]
    fn xavu_is_null(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        xavp::get(ctx, Kind::Xavu, name, Index::None).is_null().into()
    }
    /// Writes an integer to `$xavu(name=>field)`.
    #[ksr(no_message)]
    fn xavu_child_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8], value: i64) -> Outcome {
        write_child(ctx, Kind::Xavu, name, field, VarValue::Int(value))
    }
    /// Writes a text to `$xavu(name=>field)`.
    #[ksr(no_message)]
    fn xavu_child_sets(
        &self,
        ctx: &mut RouteContext<'_>,
        name: &[u8],
        field: &[u8],
        value: &[u8],
    ) -> Outcome {
        write_child(ctx, Kind::Xavu, name, field, VarValue::Str(value.into()))
    }
    /// Removes `$xavu(name=>field)`.
    #[ksr(no_message)]
    fn xavu_child_rm(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8]) -> Outcome {
        remove_child(ctx, Kind::Xavu, name, field)
    }
    /// 1 when `$xavu(name=>field)` is null, else -1.
    #[ksr(no_message)]
    fn xavu_child_is_null(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8]) -> Outcome {
        child(ctx, Kind::Xavu, name, field).is_null().into()
    }
    /// Value of `$xavu(name=>field)`, null when there is none.
    #[ksr(no_message)]
    fn xavu_child_get<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        child(ctx, Kind::Xavu, name, field)
    }
    /// Value of `$xavu(name=>field)`, an empty text when there is none.
    #[ksr(no_message)]
    fn xavu_child_gete<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        or(child(ctx, Kind::Xavu, name, field), EMPTY)
    }
    /// Value of `$xavu(name=>field)`, `<null>` when there is none.
    #[ksr(no_message)]
    fn xavu_child_getw<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        or(child(ctx, Kind::Xavu, name, field), NULL_TEXT)
    }
    /// Adds an integer to `$xavi(name)`.
    #[ksr(no_message)]
    fn xavi_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: i64) -> Outcome {
        write(ctx, Kind::Xavi, name, VarValue::Int(value))
    }
    /// Adds a text to `$xavi(name)`.
    #[ksr(no_message)]
    fn xavi_sets(&self, ctx: &mut RouteContext<'_>, name: &[u8], value: &[u8]) -> Outcome {
        write(ctx, Kind::Xavi, name, VarValue::Str(value.into()))
    }
    /// Newest value of `$xavi(name)`, null when there is none.
    #[ksr(no_message)]
    fn xavi_get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        xavp::get(ctx, Kind::Xavi, name, Index::None)
    }
    /// Newest value of `$xavi(name)`, an empty text when there is none.
    #[ksr(no_message)]
    fn xavi_gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(xavp::get(ctx, Kind::Xavi, name, Index::None), EMPTY)
    }
    /// Newest value of `$xavi(name)`, `<null>` when there is none.
    #[ksr(no_message)]
    fn xavi_getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        or(xavp::get(ctx, Kind::Xavi, name, Index::None), NULL_TEXT)
    }
    /// All values of `$xavi(name)` that have fields, as a list of maps.
    #[ksr(no_message)]
    fn xavi_getd<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        maps(ctx, Kind::Xavi, name)
    }
    /// The value of `$xavi(name)` at a position, as a map of its fields; null when it has none.
    #[ksr(no_message)]
    fn xavi_getd_p1<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        fields_of(ctx, Kind::Xavi, name, index).map_or(Value::Null, map)
    }
    /// Names of the fields of `$xavi(name)` at a position; null when it has none.
    #[ksr(no_message)]
    fn xavi_get_keys<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        keys(ctx, Kind::Xavi, name, index)
    }
    /// Removes the newest value of `$xavi(name)`.
    #[ksr(no_message)]
    fn xavi_rm(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        remove(ctx, Kind::Xavi, name, false)
    }
    /// Removes all values of `$xavi(name)`.
    #[ksr(no_message)]
    fn xavi_rm_all(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        remove(ctx, Kind::Xavi, name, true)
    }
    /// 1 when `$xavi(name)` is null, else -1.
    #[ksr(no_message)]
    fn xavi_is_null(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        xavp::get(ctx, Kind::Xavi, name, Index::None).is_null().into()
    }
    /// Writes an integer to `$xavi(name[0]=>field)`, making the value when there is none.
    #[ksr(no_message)]
    fn xavi_child_seti(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8], value: i64) -> Outcome {
        write_child(ctx, Kind::Xavi, name, field, VarValue::Int(value))
    }
    /// Writes a text to `$xavi(name[0]=>field)`, making the value when there is none.
    #[ksr(no_message)]
    fn xavi_child_sets(
        &self,
        ctx: &mut RouteContext<'_>,
        name: &[u8],
        field: &[u8],
        value: &[u8],
    ) -> Outcome {
        write_child(ctx, Kind::Xavi, name, field, VarValue::Str(value.into()))
    }
    /// Removes `$xavi(name=>field)`.
    #[ksr(no_message)]
    fn xavi_child_rm(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8]) -> Outcome {
        remove_child(ctx, Kind::Xavi, name, field)
    }
    /// 1 when `$xavi(name=>field)` is null, else -1.
    #[ksr(no_message)]
    fn xavi_child_is_null(&self, ctx: &mut RouteContext<'_>, name: &[u8], field: &[u8]) -> Outcome {
        child(ctx, Kind::Xavi, name, field).is_null().into()
    }
    /// Value of `$xavi(name=>field)`, null when there is none.
    #[ksr(no_message)]
    fn xavi_child_get<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        child(ctx, Kind::Xavi, name, field)
    }
    /// Value of `$xavi(name=>field)`, an empty text when there is none.
    #[ksr(no_message)]
    fn xavi_child_gete<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        or(child(ctx, Kind::Xavi, name, field), EMPTY)
    }
    /// Value of `$xavi(name=>field)`, `<null>` when there is none.
    #[ksr(no_message)]
    fn xavi_child_getw<'c>(
        &'c self,
        ctx: &'c mut RouteContext<'_>,
        name: &'c [u8],
        field: &'c [u8],
    ) -> Value<'c> {
        or(child(ctx, Kind::Xavi, name, field), NULL_TEXT)
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
    /// Copies the value of `$xavp(source)` at a position to the end of `$xavp(destination)`.
    #[ksr(cfg = ["xavp_copy"], no_message)]
    fn xavp_copy(
        &self,
        ctx: &mut RouteContext<'_>,
        source: &[u8],
        index: i64,
        destination: &[u8],
    ) -> Outcome {
        copy(ctx, source, index, destination, None)
    }
    /// Copies the value of `$xavp(source)` at a position behind the value of `$xavp(destination)` at another.
    #[ksr(cfg = ["xavp_copy"], no_message)]
    fn xavp_copy_dst(
        &self,
        ctx: &mut RouteContext<'_>,
        source: &[u8],
        index: i64,
        destination: &[u8],
        behind: i64,
    ) -> Outcome {
        copy(ctx, source, index, destination, Some(behind))
    }
    /// Removes the values of `$xavp(name)` before a position, so that it becomes the first; a negative position counts from the end.
    #[ksr(cfg = ["xavp_lshift"], no_message)]
    fn xavp_lshift(&self, ctx: &mut RouteContext<'_>, name: &[u8], index: i64) -> Outcome {
        let Some(vars) = &ctx.vars else { return Outcome::FALSE };
        vars.with(|lists| {
            let list = Kind::Xavp.list(lists);
            let Some(first) = Kind::Xavp.position(list, name, Index::At(index)) else {
                return Outcome::FALSE;
            };
            let mut at = 0;
            list.retain(|(n, _)| {
                at += 1;
                at > first || **n != *name
            });
            Outcome::TRUE
        })
    }
    /// Makes `$xavp(name)` the destination: its fields `uri dst_uri path ruid location_ua flags q`, or its text as `$du`. -1 when there
    /// is no such value.
    #[ksr(cfg = ["xavp_push_dst"])]
    fn xavp_push_dst(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        let Some(fields) = fields_of(ctx, Kind::Xavp, name, 0) else {
            return match xavp::get(ctx, Kind::Xavp, name, Index::None) {
                Value::Str(uri) => {
                    ctx.target.dst_uri = uri.into_owned();
                    Outcome::TRUE
                }
                _ => Outcome::FALSE,
            };
        };
        let mut branch = Branch { q: -1, ..Branch::default() };
        for (field, value) in &fields {
            let value = value.to_value();
            let text = value.to_text().into_owned();
            match &**field {
                b"uri" => branch.uri = text,
                b"dst_uri" => branch.dst_uri = text,
                b"path" => branch.path = text,
                b"ruid" => branch.ruid = text,
                b"location_ua" => branch.location_ua = text,
                b"flags" => branch.flags = value.to_int().unwrap_or(0) as u32,
                b"q" => branch.q = value.to_int().and_then(|q| i32::try_from(q).ok()).unwrap_or(-1),
                _ => {}
            }
        }
        if branch.uri.is_empty() {
            branch.uri = ctx.request_uri().to_vec();
        }
        ctx.target = branch;
        Outcome::TRUE
    }
}

/// The fields of a value at a position; `None` when there is no such value or it is plain.
fn fields_of(ctx: &RouteContext<'_>, kind: Kind, name: &[u8], index: i64) -> Option<List> {
    ctx.vars.as_ref()?.with(|lists| {
        let list = kind.list(lists);
        match list.get(kind.position(list, name, Index::At(index))?)? {
            (_, VarValue::Xavp(fields)) => Some(fields.clone()),
            _ => None,
        }
    })
}

fn push_fields(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], fields: List) -> Outcome {
    write(ctx, kind, name, VarValue::Xavp(fields))
}

fn write(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], value: VarValue) -> Outcome {
    if name.is_empty() {
        return Outcome::FALSE;
    }
    ctx.vars().with(|lists| {
        let list = kind.list(lists);
        match kind.position(list, name, Index::None).and_then(|at| list.get_mut(at)) {
            Some((_, slot)) if kind == Kind::Xavu => *slot = value,
            _ => list.insert(0, (name.into(), value)),
        }
    });
    Outcome::TRUE
}

fn write_child(
    ctx: &mut RouteContext<'_>,
    kind: Kind,
    name: &[u8],
    field: &[u8],
    value: VarValue,
) -> Outcome {
    if name.is_empty() || field.is_empty() {
        return Outcome::FALSE;
    }
    ctx.vars().with(|lists| {
        let list = kind.list(lists);
        let at = match kind.position(list, name, Index::None) {
            Some(at) => at,
            None => {
                list.insert(0, (name.into(), VarValue::Xavp(Vec::new())));
                0
            }
        };
        let Some((_, slot)) = list.get_mut(at) else { return };
        if !matches!(slot, VarValue::Xavp(_)) {
            *slot = VarValue::Xavp(Vec::new());
        }
        if let VarValue::Xavp(fields) = slot {
            match kind.position(fields, field, Index::None).and_then(|at| fields.get_mut(at)) {
                Some((_, old)) => *old = value,
                None => fields.insert(0, (field.into(), value)),
            }
        }
    });
    Outcome::TRUE
}

fn child(ctx: &RouteContext<'_>, kind: Kind, name: &[u8], field: &[u8]) -> Value<'static> {
    fields_of(ctx, kind, name, 0)
        .and_then(|fields| {
            let at = kind.position(&fields, field, Index::None)?;
            fields.get(at).map(|(_, v)| v.to_value())
        })
        .unwrap_or(Value::Null)
}

fn remove(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], all: bool) -> Outcome {
    let path = if all { [name, b"[*]"].concat() } else { name.to_vec() };
    if ctx.vars.is_some() {
        xavp::set(ctx, kind, &path, &Value::Null);
    }
    Outcome::TRUE
}

fn remove_child(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], field: &[u8]) -> Outcome {
    if ctx.vars.is_some() {
        xavp::set(ctx, kind, &[name, b"=>", field].concat(), &Value::Null);
    }
    Outcome::TRUE
}

fn map(fields: List) -> Value<'static> {
    Value::Map(
        fields.into_iter().map(|(n, v)| (std::borrow::Cow::Owned(n.into_vec()), v.to_value())).collect(),
    )
}

fn maps(ctx: &RouteContext<'_>, kind: Kind, name: &[u8]) -> Value<'static> {
    let count = ctx.vars.as_ref().map_or(0, |v| v.with(|l| kind.count(kind.list(l), name)));
    let all: Vec<Value<'static>> =
        (0..count as i64).filter_map(|i| fields_of(ctx, kind, name, i).map(map)).collect();
    if all.is_empty() { Value::Null } else { Value::List(all) }
}

fn keys(ctx: &RouteContext<'_>, kind: Kind, name: &[u8], index: i64) -> Value<'static> {
    let Some(fields) = fields_of(ctx, kind, name, index) else { return Value::Null };
    Value::List(fields.into_iter().map(|(n, _)| Value::owned(n.into_vec())).collect())
}

fn print(ctx: &RouteContext<'_>, kind: Kind, what: &str) -> Outcome {
    let text =
        ctx.vars.as_ref().map(|v| v.with(|l| format!("{:?}", Shown(kind.list(l))))).unwrap_or_default();
    tracing::info!(target: "pv", "{what}: {text}");
    Outcome::TRUE
}

/// A list as text: `name=value, name={..}`.
struct Shown<'l>(&'l List);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}=", String::from_utf8_lossy(name))?;
            match value {
                VarValue::Xavp(fields) => write!(f, "{{{:?}}}", Shown(fields))?,
                plain => write!(f, "{}", String::from_utf8_lossy(&plain.to_value().to_text()))?,
            }
        }
        Ok(())
    }
}

fn explode(ctx: &mut RouteContext<'_>, kind: Kind, params: &[u8], separator: u8, xname: &[u8]) -> Outcome {
    let mut fields: List = Vec::new();
    let mut rest = params.trim_ascii();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.iter().position(|c| {
            quoted ^= *c == b'"';
            !quoted && *c == separator
        });
        let item = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().trim_ascii();
        rest = end.and_then(|e| rest.get(e + 1..)).unwrap_or_default();
        if item.is_empty() {
            continue;
        }
        let (name, value) = match item.iter().position(|c| *c == b'=') {
            Some(eq) => (item[..eq].trim_ascii(), item[eq + 1..].trim_ascii()),
            None => (item, &b""[..]),
        };
        let inside = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
        let broken = inside.is_none() && value.iter().any(|c| c.is_ascii_whitespace() || *c == b'"');
        if name.is_empty() || broken {
            tracing::error!(target: "pv", params = %String::from_utf8_lossy(params), "parameters break the syntax");
            return Outcome::FALSE;
        }
        fields.push((name.into(), VarValue::Str(inside.unwrap_or(value).into())));
    }
    if fields.is_empty() {
        return Outcome::FALSE;
    }
    push_fields(ctx, kind, xname, fields)
}

fn implode(ctx: &mut RouteContext<'_>, kind: Kind, xname: &[u8], destination: &Pv, quote: &str) -> Outcome {
    let Some(fields) = fields_of(ctx, kind, xname, 0) else { return Outcome::FALSE };
    if !destination.is_writable() {
        return Outcome::FALSE;
    }
    let mut out = Vec::new();
    for (name, value) in &fields {
        out.extend_from_slice(name);
        let value = value.to_value();
        let text = value.to_text();
        if !text.is_empty() {
            out.push(b'=');
            out.extend_from_slice(quote.as_bytes());
            out.extend_from_slice(&text);
            out.extend_from_slice(quote.as_bytes());
        }
        out.push(b';');
    }
    destination.set(ctx, Value::owned(out)).into()
}

/// Copies at the end of the destination's values, or behind the one at a position.
fn copy(
    ctx: &mut RouteContext<'_>,
    source: &[u8],
    index: i64,
    destination: &[u8],
    behind: Option<i64>,
) -> Outcome {
    let Some(vars) = &ctx.vars else { return Outcome::FALSE };
    vars.with(|lists| {
        let list = Kind::Xavp.list(lists);
        let found = Kind::Xavp.position(list, source, Index::At(index)).and_then(|at| list.get(at));
        let Some((_, value)) = found.cloned() else { return Outcome::FALSE };
        let place = Kind::Xavp
            .position(list, destination, Index::At(behind.unwrap_or(-1)))
            .or_else(|| Kind::Xavp.position(list, destination, Index::At(-1)));
        let place = place.map_or(0, |at| at + 1);
        list.insert(place, (destination.into(), value));
        Outcome::TRUE
    })
}
