//! P-Charging-Vector (RFC 7315 §5.6).

use message::{HeaderName, Params};
use script::pv::Inner;
use script::{PseudoVariable, Pv, RouteContext, Value};

const FIELDS: &[&str] = &["all", "value", "genaddr", "orig", "term", "status"];

pub(super) const PSEUDO_VARIABLES: &[PseudoVariable] = &[PseudoVariable {
    module: "siputils",
    name: "pcv",
    doc: "P-Charging-Vector: `$pcv(all)` the header, `value` icid-value, `genaddr` icid-generated-at, `orig` orig-ioi, `term` term-ioi, \
          as written; `status` 1 when there is one that can be read, -1 otherwise.",
    inner: Inner::Keyword(FIELDS),
    get,
    set: None,
}];

fn get<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let header = ctx.message.header(HeaderName::PChargingVector).map(|h| h.value);
    let field = |name| Value::opt(header.and_then(|h| Params(h).get(name)).and_then(|p| p.value));
    match FIELDS.get(pv.keyword()) {
        Some(&"all") => Value::opt(header),
        Some(&"value") => field("icid-value"),
        Some(&"genaddr") => field("icid-generated-at"),
        Some(&"orig") => field("orig-ioi"),
        Some(&"term") => field("term-ioi"),
        _ => Value::Int(match field("icid-value") {
            Value::Null => -1,
            _ => 1,
        }),
    }
}
