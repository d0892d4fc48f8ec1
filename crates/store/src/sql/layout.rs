//! CREATE TABLE in the words that all dialects share.

use crate::schema::{Column, ColumnKind, Table};

/// A column's row.
pub(crate) fn column(column: &Column, quote: char, kind: &str) -> String {
    let mut row = format!("{quote}{}{quote} {kind}", column.name);
    // MySQL takes no default for long text.
    let long = matches!(column.kind, ColumnKind::LongText | ColumnKind::Blob);
    match &column.default {
        Some(default) if !long => {
            let number = matches!(column.kind, ColumnKind::Int { .. } | ColumnKind::Real(_));
            // A default is text of our own; its quotes are doubled all the same.
            let text = default.replace('\'', "''");
            row.push_str(&if number { format!(" DEFAULT {text}") } else { format!(" DEFAULT '{text}'") });
        }
        _ => {}
    }
    row.push_str(if column.null { "" } else { " NOT NULL" });
    row
}

/// The statements that make a table. `prefixed`: names of indexes are the database's, not the table's, and get its name in front.
pub(crate) fn table(
    table: &Table,
    quote: char,
    columns: impl Iterator<Item = String>,
    prefixed: bool,
) -> Vec<String> {
    let list =
        |names: &[String]| names.iter().map(|n| format!("{quote}{n}{quote}")).collect::<Vec<_>>().join(", ");
    let named = |name: &str| if prefixed { format!("{}_{name}", table.name) } else { name.to_owned() };
    let mut rows: Vec<String> = columns.collect();
    let mut indexes = Vec::new();
    for index in &table.indexes {
        let (name, columns) = (named(&index.name), list(&index.columns));
        if index.unique {
            rows.push(format!("CONSTRAINT {quote}{name}{quote} UNIQUE ({columns})"));
        } else {
            indexes.push(format!(
                "CREATE INDEX {quote}{name}{quote} ON {quote}{}{quote} ({columns})",
                table.name
            ));
        }
    }
    let create = format!("CREATE TABLE {quote}{}{quote} (\n    {}\n)", table.name, rows.join(",\n    "));
    std::iter::once(create).chain(indexes).collect()
}
