//! Tables in the process: for tests and for state that need not outlive it. Rows are scanned; this is no index structure.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::schema::Table as Layout;
use crate::{Capabilities, Compare, Condition, Database, Error, Query, Rows, Value};

/// A database of tables declared with [`Memory::create`].
#[derive(Debug, Default)]
pub struct Memory {
    tables: Mutex<HashMap<String, Table>>,
}

#[derive(Debug)]
struct Table {
    columns: Vec<String>,
    /// Columns that together name a row; empty: rows may repeat.
    key: Vec<usize>,
    rows: Rows,
}

impl Memory {
    /// No tables.
    pub fn new() -> Memory {
        Memory::default()
    }
    /// Declares a table. `key` names the columns that together must be unique. An existing table is left alone.
    pub fn create(&self, table: &str, columns: &[&str], key: &[&str]) {
        let mut tables = self.tables.lock().unwrap_or_else(|e| e.into_inner());
        tables.entry(table.into()).or_insert_with(|| Table {
            columns: columns.iter().map(|c| (*c).into()).collect(),
            key: key.iter().filter_map(|k| columns.iter().position(|c| c == k)).collect(),
            rows: Rows::new(),
        });
    }
    fn with<R>(&self, table: &str, f: impl FnOnce(&mut Table) -> Result<R, Error>) -> Result<R, Error> {
        let mut tables = self.tables.lock().unwrap_or_else(|e| e.into_inner());
        f(tables.get_mut(table).ok_or_else(|| Error::NoTable(table.into()))?)
    }
}

type Filter<'a> = Vec<(usize, Compare, &'a Value)>;

impl Table {
    fn column(&self, table: &str, name: &str) -> Result<usize, Error> {
        self.columns
            .iter()
            .position(|c| c == name)
            .ok_or_else(|| Error::NoColumn { table: table.into(), column: name.into() })
    }
    fn columns(&self, table: &str, names: &[&str]) -> Result<Vec<usize>, Error> {
        names.iter().map(|n| self.column(table, n)).collect()
    }
    fn filter<'a>(&self, table: &str, conditions: &'a [Condition<'_>]) -> Result<Filter<'a>, Error> {
        conditions.iter().map(|c| Ok((self.column(table, c.column)?, c.compare, &c.value))).collect()
    }
    /// The row with its columns in table order, and the places the caller named.
    fn arrange(
        &self,
        table: &str,
        columns: &[&str],
        row: &[Value],
    ) -> Result<(Vec<Value>, Vec<usize>), Error> {
        if columns.len() != row.len() {
            return Err(Error::BadRow(format!("{} columns, {} values", columns.len(), row.len())));
        }
        let places = self.columns(table, columns)?;
        let mut full = vec![Value::Null; self.columns.len()];
        for (place, value) in places.iter().zip(row) {
            if let Some(cell) = full.get_mut(*place) {
                *cell = value.clone();
            }
        }
        Ok((full, places))
    }
    fn twin(&self, row: &[Value]) -> Option<usize> {
        if self.key.is_empty() {
            return None;
        }
        self.rows.iter().position(|r| self.key.iter().all(|k| r.get(*k) == row.get(*k)))
    }
}

fn holds(row: &[Value], filter: &Filter<'_>) -> bool {
    filter.iter().all(|(column, compare, value)| {
        let cell = row.get(*column).unwrap_or(&Value::Null);
        match compare {
            // As SQL has it: NULL is only ever equal to NULL.
            Compare::NotEqual if **value == Value::Null => *cell != Value::Null,
            Compare::Equal if *cell == Value::Null => **value == Value::Null,
            _ if *cell == Value::Null || **value == Value::Null => false,
            Compare::Equal => cell == *value,
            Compare::NotEqual => cell != *value,
            Compare::Less => cell < *value,
            Compare::LessOrEqual => cell <= *value,
            Compare::Greater => cell > *value,
            Compare::GreaterOrEqual => cell >= *value,
        }
    })
}

impl Database for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { replace: true, affected_rows: true, durable: false }
    }
    fn query(&self, query: &Query<'_>) -> Result<Rows, Error> {
        self.with(query.table, |table| {
            let places = table.columns(query.table, query.columns)?;
            let filter = table.filter(query.table, query.conditions)?;
            let mut rows: Vec<&Vec<Value>> = table.rows.iter().filter(|r| holds(r, &filter)).collect();
            if let Some(order) = query.order_by {
                let by = table.column(query.table, order)?;
                rows.sort_by(|a, b| a.get(by).partial_cmp(&b.get(by)).unwrap_or(std::cmp::Ordering::Equal));
            }
            if query.limit > 0 {
                rows.truncate(query.limit);
            }
            let pick = |row: &Vec<Value>| places.iter().filter_map(|p| row.get(*p).cloned()).collect();
            Ok(rows.into_iter().map(pick).collect())
        })
    }
    fn insert(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error> {
        self.with(table, |t| {
            let (row, _) = t.arrange(table, columns, row)?;
            if t.twin(&row).is_some() {
                return Err(Error::Duplicate(format!("the key of a row of {table}")));
            }
            t.rows.push(row);
            Ok(())
        })
    }
    fn replace(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error> {
        self.with(table, |t| {
            let (row, places) = t.arrange(table, columns, row)?;
            let Some(twin) = t.twin(&row).and_then(|at| t.rows.get_mut(at)) else {
                t.rows.push(row);
                return Ok(());
            };
            for place in places {
                if let (Some(cell), Some(value)) = (twin.get_mut(place), row.get(place)) {
                    *cell = value.clone();
                }
            }
            Ok(())
        })
    }
    fn update(
        &self,
        table: &str,
        columns: &[&str],
        row: &[Value],
        conditions: &[Condition<'_>],
    ) -> Result<u64, Error> {
        self.with(table, |t| {
            let (row, places) = t.arrange(table, columns, row)?;
            let filter = t.filter(table, conditions)?;
            let mut count = 0;
            for old in t.rows.iter_mut().filter(|r| holds(r, &filter)) {
                count += 1;
                for place in &places {
                    if let (Some(cell), Some(value)) = (old.get_mut(*place), row.get(*place)) {
                        *cell = value.clone();
                    }
                }
            }
            Ok(count)
        })
    }
    fn delete(&self, table: &str, conditions: &[Condition<'_>]) -> Result<u64, Error> {
        self.with(table, |t| {
            let filter = t.filter(table, conditions)?;
            let before = t.rows.len();
            t.rows.retain(|r| !holds(r, &filter));
            Ok((before - t.rows.len()) as u64)
        })
    }
    fn tables(&self) -> Result<Vec<String>, Error> {
        let tables = self.tables.lock().unwrap_or_else(|e| e.into_inner());
        let mut names: Vec<String> = tables.keys().cloned().collect();
        names.sort();
        Ok(names)
    }
    fn columns(&self, table: &str) -> Result<Vec<String>, Error> {
        self.with(table, |t| Ok(t.columns.clone()))
    }
    fn create_table(&self, table: &Layout) -> Result<(), Error> {
        if self.columns(&table.name).is_ok() {
            return Err(Error::Duplicate(format!("the table {}", table.name)));
        }
        let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let key = table.indexes.iter().find(|i| i.unique).map(|i| i.columns.as_slice()).unwrap_or_default();
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        self.create(&table.name, &columns, &key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_the_battery() {
        let db = Memory::new();
        crate::battery::create(&db);
        crate::battery::run(&db);
    }
}
