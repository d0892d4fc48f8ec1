//! Rows of `location_attrs`: the fields of `xavp_contact`, kept with a contact under its record id, newest first as they stand in the XAVP.

use std::collections::HashMap;

use ::store::{Compare, Condition, Database, Error, Query, Value};
use script::vars::VarValue;

use super::contact::Attributes;

/// Kamailio's table, whatever the location tables are called.
pub(super) const TABLE: &str = "location_attrs";
/// Version of that table.
pub const VERSION: i64 = 1;
/// Columns of a row.
pub(super) const COLUMNS: [&str; 7] =
    ["ruid", "username", "domain", "aname", "atype", "avalue", "last_modified"];

/// `atype`
const TEXT: i64 = 0;
const INTEGER: i64 = 1;

/// The rows of a contact's fields. Nested ones have none.
pub(super) fn rows<'a>(
    ruid: &'a [u8],
    (user, domain): (&'a [u8], &'a [u8]),
    modified: u32,
    attributes: &'a Attributes,
) -> impl Iterator<Item = [Value; 7]> + 'a {
    attributes.iter().filter_map(move |(name, value)| {
        let (kind, value) = match value {
            VarValue::Str(text) => (TEXT, Value::text(text)),
            VarValue::Int(n) => (INTEGER, Value::text(n.to_string())),
            VarValue::Null | VarValue::Xavp(_) => return None,
        };
        Some([
            Value::text(ruid),
            Value::text(user),
            if domain.is_empty() { Value::Null } else { Value::text(domain) },
            Value::text(name),
            Value::Int(kind),
            value,
            Value::Time(i64::from(modified)),
        ])
    })
}

/// The fields of all contacts with a record id above `after` up to `last`.
pub(super) fn of(
    db: &dyn Database,
    after: &Value,
    last: &Value,
) -> Result<HashMap<Vec<u8>, Attributes>, Error> {
    let ruid = |compare, value: &Value| Condition { column: "ruid", compare, value: value.clone() };
    let conditions = [ruid(Compare::Greater, after), ruid(Compare::LessOrEqual, last)];
    let columns = ["ruid", "aname", "atype", "avalue"];
    let order_by = Some("id");
    let query = Query { table: TABLE, columns: &columns, conditions: &conditions, order_by, limit: 0 };
    let mut found: HashMap<Vec<u8>, Attributes> = HashMap::new();
    for row in db.query(&query)? {
        let [Value::Text(ruid), Value::Text(name), kind, Value::Text(value)] = row.as_slice() else {
            continue;
        };
        let number = || std::str::from_utf8(value).ok()?.parse().ok();
        let value = match kind.as_int() {
            Some(INTEGER) => number().map(VarValue::Int),
            _ => Some(VarValue::Str(value.as_slice().into())),
        };
        let Some(value) = value else { continue };
        found.entry(ruid.clone()).or_default().push((name.as_slice().into(), value));
    }
    Ok(found)
}
