//! `KSR.pvx.xavp_*`.

use script::vars::VarValue;
use script::{Branch, Index, Outcome, Pv, RouteContext, Value, ksr_module};

use super::super::xavp::{self, Kind};
use super::super::{PvModule, or};
use super::lists::*;
use super::{EMPTY, NULL_TEXT};

#[ksr_module("pv", object = "pvx", rows = "PVX_XAVP")]
impl PvModule {
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
