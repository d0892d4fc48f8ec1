//! `KSR.pvx.xavu_*` and `KSR.pvx.xavi_*`.

use script::vars::VarValue;
use script::{Index, Outcome, Pv, RouteContext, Value, ksr_module};

use super::super::xavp::{self, Kind};
use super::super::{PvModule, or};
use super::lists::*;
use super::{EMPTY, NULL_TEXT};

#[ksr_module("pv", object = "pvx", rows = "PVX_XAVU_XAVI")]
impl PvModule {
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
}
