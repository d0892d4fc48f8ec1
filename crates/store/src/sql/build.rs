//! Statements: names are checked and quoted, values are always bound.

use std::fmt::Write as _;

use super::{Column, Description, Dialect, Kind, Replace, TextRule};
use crate::{Compare, Condition, Error, Query, Value, time};

/// A statement and its parameters, in the types of their columns.
#[derive(Debug, Default)]
pub(crate) struct Statement {
    pub sql: String,
    pub params: Vec<(Value, Kind)>,
    /// Types of the columns that come back.
    pub kinds: Vec<Kind>,
    /// No row can be meant: a text is looked for that the database cannot hold.
    pub nothing: bool,
}

/// Longest name of a table or column.
const NAME: usize = 64;

/// Whether a table or column may have this name: nothing in it needs quoting, and it is quoted all the same.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

pub(crate) struct Builder<'d> {
    dialect: Dialect,
    table: &'d str,
    description: &'d Description,
    statement: Statement,
}

impl<'d> Builder<'d> {
    pub fn new(dialect: Dialect, table: &'d str, description: &'d Description) -> Builder<'d> {
        Builder { dialect, table, description, statement: Statement::default() }
    }

    pub fn select(mut self, query: &Query<'_>) -> Result<Statement, Error> {
        self.text("SELECT ");
        for (i, name) in query.columns.iter().enumerate() {
            let column = self.column(name)?;
            self.comma(i);
            if let Some(cast) = column.cast {
                self.text("CAST(");
                self.name(name);
                let _ = write!(self.statement.sql, " AS {cast})");
            } else {
                self.name(name);
            }
            self.statement.kinds.push(column.kind);
        }
        if query.columns.is_empty() {
            self.text("1");
            self.statement.kinds.push(Kind::Int);
        }
        self.text(" FROM ");
        self.name(self.table);
        self.conditions(query.conditions)?;
        if let Some(order) = query.order_by {
            self.column(order)?;
            self.text(" ORDER BY ");
            self.name(order);
        }
        if query.limit > 0 {
            let _ = write!(self.statement.sql, " LIMIT {}", query.limit);
        }
        Ok(self.statement)
    }

    pub fn count(mut self, conditions: &[Condition<'_>]) -> Result<Statement, Error> {
        self.text("SELECT COUNT(*) FROM ");
        self.statement.kinds.push(Kind::Int);
        self.name(self.table);
        self.conditions(conditions)?;
        Ok(self.statement)
    }

    pub fn insert(mut self, columns: &[&str], row: &[Value]) -> Result<Statement, Error> {
        self.values(columns, row)?;
        Ok(self.statement)
    }

    pub fn replace(mut self, columns: &[&str], row: &[Value]) -> Result<Statement, Error> {
        self.values(columns, row)?;
        let covers =
            |key: &&Vec<String>| !key.is_empty() && key.iter().all(|k| columns.contains(&k.as_str()));
        let key = self.description.unique.iter().find(covers);
        match (self.dialect.replace, key) {
            // Without a key there is nothing to meet.
            (_, None) => return Ok(self.statement),
            (Replace::Conflict, _) => self.text(" ON CONFLICT DO UPDATE SET "),
            (Replace::ConflictOf, Some(key)) => {
                self.text(" ON CONFLICT (");
                for (i, name) in key.iter().enumerate() {
                    self.comma(i);
                    self.name(name);
                }
                self.text(") DO UPDATE SET ");
            }
            (Replace::DuplicateKey, _) => self.text(" ON DUPLICATE KEY UPDATE "),
        }
        for (i, name) in columns.iter().enumerate() {
            self.comma(i);
            self.name(name);
            if self.dialect.replace == Replace::DuplicateKey {
                self.text("=VALUES(");
                self.name(name);
                self.text(")");
            } else {
                self.text("=excluded.");
                self.name(name);
            }
        }
        Ok(self.statement)
    }

    pub fn update(
        mut self,
        columns: &[&str],
        row: &[Value],
        conditions: &[Condition<'_>],
    ) -> Result<Statement, Error> {
        same_length(columns, row)?;
        self.text("UPDATE ");
        self.name(self.table);
        self.text(" SET ");
        for (i, (name, value)) in columns.iter().zip(row).enumerate() {
            let kind = self.column(name)?.kind;
            self.comma(i);
            self.name(name);
            self.text("=");
            self.bind(name, kind, value)?;
        }
        self.conditions(conditions)?;
        Ok(self.statement)
    }

    pub fn delete(mut self, conditions: &[Condition<'_>]) -> Result<Statement, Error> {
        self.text("DELETE FROM ");
        self.name(self.table);
        self.conditions(conditions)?;
        Ok(self.statement)
    }

    fn values(&mut self, columns: &[&str], row: &[Value]) -> Result<(), Error> {
        same_length(columns, row)?;
        self.text("INSERT INTO ");
        self.name(self.table);
        self.text(" (");
        for (i, name) in columns.iter().enumerate() {
            self.comma(i);
            self.name(name);
        }
        self.text(") VALUES (");
        for (i, (name, value)) in columns.iter().zip(row).enumerate() {
            let kind = self.column(name)?.kind;
            self.comma(i);
            self.bind(name, kind, value)?;
        }
        self.text(")");
        Ok(())
    }

    fn conditions(&mut self, conditions: &[Condition<'_>]) -> Result<(), Error> {
        for (i, condition) in conditions.iter().enumerate() {
            let kind = self.column(condition.column)?.kind;
            self.text(if i == 0 { " WHERE " } else { " AND " });
            self.name(condition.column);
            let operator = match (condition.compare, &condition.value) {
                (Compare::Equal, Value::Null) => {
                    self.text(" IS NULL");
                    continue;
                }
                (Compare::NotEqual, Value::Null) => {
                    self.text(" IS NOT NULL");
                    continue;
                }
                (Compare::Equal, _) => "=",
                (Compare::NotEqual, _) => "<>",
                (Compare::Less, _) => "<",
                (Compare::LessOrEqual, _) => "<=",
                (Compare::Greater, _) => ">",
                (Compare::GreaterOrEqual, _) => ">=",
            };
            self.text(operator);
            match self.bind(condition.column, kind, &condition.value) {
                Ok(()) => {}
                Err(Error::BadRow(_)) if condition.compare == Compare::Equal => {
                    self.statement.nothing = true;
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn bind(&mut self, name: &str, kind: Kind, value: &Value) -> Result<(), Error> {
        let bad = |why: String| Error::BadRow(format!("column {name} of {}: {why}", self.table));
        let value = fit(value, kind).map_err(bad)?;
        if let (Value::Text(text), Kind::Text) = (&value, kind) {
            check_text(text, self.dialect.text).map_err(bad)?;
        }
        self.statement.params.push((value, kind));
        if self.dialect.numbered {
            let _ = write!(self.statement.sql, "${}", self.statement.params.len());
        } else {
            self.text("?");
        }
        Ok(())
    }

    fn column(&self, name: &str) -> Result<&'d Column, Error> {
        let found = self.description.columns.iter().find(|c| c.name == name);
        found.ok_or_else(|| Error::NoColumn { table: self.table.into(), column: name.into() })
    }
    fn name(&mut self, name: &str) {
        let quote = self.dialect.quote;
        self.statement.sql.push(quote);
        self.statement.sql.extend(name.chars().filter(|c| *c != quote));
        self.statement.sql.push(quote);
    }
    fn comma(&mut self, i: usize) {
        if i > 0 {
            self.statement.sql.push(',');
        }
    }
    fn text(&mut self, text: &str) {
        self.statement.sql.push_str(text);
    }
}

fn same_length(columns: &[&str], row: &[Value]) -> Result<(), Error> {
    if columns.len() == row.len() && !columns.is_empty() {
        return Ok(());
    }
    Err(Error::BadRow(format!("{} columns, {} values", columns.len(), row.len())))
}

fn check_text(text: &[u8], rule: TextRule) -> Result<(), String> {
    if rule != TextRule::Bytes && std::str::from_utf8(text).is_err() {
        return Err("the database takes only UTF-8 in text".into());
    }
    if rule == TextRule::Utf8NoNul && text.contains(&0) {
        return Err("the database takes no NUL in text".into());
    }
    Ok(())
}

/// A value in the type of its column; an error when it would not be the same value there.
pub(crate) fn fit(value: &Value, kind: Kind) -> Result<Value, String> {
    let refused = || Err(format!("{value:?} is not what this column keeps"));
    let text = || match value {
        Value::Text(t) => std::str::from_utf8(t).ok().map(str::trim),
        _ => None,
    };
    Ok(match (kind, value) {
        (_, Value::Null) => Value::Null,
        (Kind::Int, Value::Int(n) | Value::Time(n)) => Value::Int(*n),
        (Kind::Int, Value::Float(f)) if f.fract() == 0.0 && f.abs() < 9e15 => Value::Int(*f as i64),
        (Kind::Int, Value::Text(_)) => match text().and_then(|t| t.parse().ok()) {
            Some(n) => Value::Int(n),
            None => return refused(),
        },
        (Kind::Float, Value::Float(f)) if f.is_finite() => Value::Float(*f),
        (Kind::Float, Value::Int(n) | Value::Time(n)) => Value::Float(*n as f64),
        (Kind::Float, Value::Text(_)) => {
            match text().and_then(|t| t.parse::<f64>().ok()).filter(|f| f.is_finite()) {
                Some(f) => Value::Float(f),
                None => return refused(),
            }
        }
        (Kind::Time, Value::Time(n) | Value::Int(n)) if time::text(*n).is_some() => Value::Time(*n),
        (Kind::Time, Value::Text(_)) => match text().and_then(time::parse) {
            Some(n) => Value::Time(n),
            None => return refused(),
        },
        (Kind::Text | Kind::Bytes, Value::Text(t)) => Value::Text(t.clone()),
        (Kind::Text | Kind::Bytes, Value::Int(n)) => Value::text(n.to_string()),
        (Kind::Text | Kind::Bytes, Value::Float(f)) => Value::text(f.to_string()),
        (Kind::Text | Kind::Bytes, Value::Time(n)) => match time::text(*n) {
            Some(t) => Value::text(t),
            None => return refused(),
        },
        _ => return refused(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        let column = |name: &str, kind| Column { name: name.into(), kind, cast: None };
        Description {
            columns: vec![column("user", Kind::Text), column("n", Kind::Int)],
            unique: vec![vec!["user".into()]],
        }
    }
    const PG: Dialect =
        Dialect { quote: '"', numbered: true, replace: Replace::ConflictOf, text: TextRule::Utf8NoNul };

    #[test]
    fn values_never_stand_in_the_text() {
        let d = description();
        let hostile = Value::text("'; DROP TABLE t; --");
        let s = Builder::new(PG, "t", &d)
            .replace(&["user", "n"], &[hostile.clone(), Value::Int(1)])
            .expect("builds");
        assert_eq!(
            s.sql,
            r#"INSERT INTO "t" ("user","n") VALUES ($1,$2) ON CONFLICT ("user") DO UPDATE SET "user"=excluded."user","n"=excluded."n""#
        );
        assert_eq!(s.params.first(), Some(&(hostile, Kind::Text)));
        assert!(!is_name("a\"b") && !is_name("") && !is_name("a b") && is_name("location"));
    }

    #[test]
    fn what_cannot_be_there_is_not_found_and_not_written() {
        let d = description();
        let nul = Value::text("a\0b");
        let row = Builder::new(PG, "t", &d).insert(&["user"], std::slice::from_ref(&nul));
        assert!(matches!(row, Err(Error::BadRow(_))));
        let conditions = [Condition::equal("user", nul)];
        let s = Builder::new(PG, "t", &d).delete(&conditions).expect("builds");
        assert!(s.nothing);
    }

    #[test]
    fn values_fit_their_columns_or_not() {
        assert_eq!(fit(&Value::text("12"), Kind::Int), Ok(Value::Int(12)));
        assert_eq!(fit(&Value::Int(12), Kind::Text), Ok(Value::text("12")));
        assert_eq!(fit(&Value::Time(12), Kind::Int), Ok(Value::Int(12)));
        assert!(fit(&Value::text("12x"), Kind::Int).is_err());
        assert!(fit(&Value::Float(1.5), Kind::Int).is_err());
        assert!(fit(&Value::Time(i64::MAX), Kind::Time).is_err());
    }
}
