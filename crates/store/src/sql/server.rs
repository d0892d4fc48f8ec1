//! [`Database`] over a pool of connections: statements are built, run, and run again where a broken connection makes that right.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::build::{Builder, is_name};
use super::pool::Lent;
use super::{Connect, Connection, Description, Failure, Pool, Statement};
use crate::schema::Table;
use crate::{Capabilities, Compare, Condition, Database, Error, Query, Rows, Value, Write};

/// A database behind SQL.
pub(crate) struct Server<C: Connect> {
    pool: Pool<C>,
    /// Tables that were asked about. Bounded: at [`TABLES`] it starts anew.
    tables: Mutex<HashMap<String, Arc<Description>>>,
    timeout: std::time::Duration,
}

/// Most tables kept described.
const TABLES: usize = 512;

impl<C: Connect> Server<C> {
    pub fn new(pool: Pool<C>, timeout: std::time::Duration) -> Server<C> {
        Server { pool, tables: Mutex::default(), timeout }
    }

    /// Runs `f` on a connection. `again`: doing it twice does no harm.
    fn with<R>(
        &self,
        again: bool,
        mut f: impl FnMut(&mut C::Connection) -> Result<R, Failure>,
    ) -> Result<R, Error> {
        let mut repeated = false;
        loop {
            let mut lent: Lent<C::Connection> = self.pool.take()?;
            match f(&mut lent.connection) {
                Ok(result) => {
                    self.pool.give_back(lent);
                    return Ok(result);
                }
                Err(Failure::Refused(e)) => {
                    self.pool.give_back(lent);
                    return Err(e);
                }
                Err(Failure::TimedOut(what)) => {
                    self.pool.broken(lent);
                    let seconds = self.timeout.as_secs_f32();
                    return Err(Error::Unavailable(format!("no answer within {seconds} s ({what})")));
                }
                Err(Failure::Lost { why, sent }) => {
                    self.pool.broken(lent);
                    if repeated || (sent && !again) {
                        return Err(Error::Unavailable(format!("the connection broke: {why}")));
                    }
                    repeated = true;
                }
            }
        }
    }

    fn description(&self, table: &str) -> Result<Arc<Description>, Error> {
        let known = |t: &HashMap<String, Arc<Description>>| t.get(table).cloned();
        if let Some(found) = known(&self.tables.lock().unwrap_or_else(|e| e.into_inner())) {
            return Ok(found);
        }
        if !is_name(table) {
            return Err(Error::NoTable(table.into()));
        }
        let found = self.with(true, |c| c.describe(table))?.ok_or_else(|| Error::NoTable(table.into()))?;
        let found = Arc::new(found);
        let mut tables = self.tables.lock().unwrap_or_else(|e| e.into_inner());
        if tables.len() >= TABLES {
            tables.clear();
        }
        tables.insert(table.into(), found.clone());
        Ok(found)
    }
    fn forget(&self, table: &str) {
        self.tables.lock().unwrap_or_else(|e| e.into_inner()).remove(table);
    }

    /// Builds a statement for a table; looks at the table anew when it does not fit what was known of it.
    fn build(
        &self,
        table: &str,
        f: &dyn Fn(Builder<'_>) -> Result<Statement, Error>,
    ) -> Result<Statement, Error> {
        let dialect = self.pool.connect().dialect();
        let known = self.description(table)?;
        match f(Builder::new(dialect, table, &known)) {
            Err(Error::NoColumn { .. }) => {
                self.forget(table);
                f(Builder::new(dialect, table, &*self.description(table)?))
            }
            other => other,
        }
    }

    /// After an error that says the table is not what it was, it is described anew next time.
    fn checked<R>(&self, table: &str, result: Result<R, Error>) -> Result<R, Error> {
        if matches!(result, Err(Error::NoTable(_) | Error::NoColumn { .. } | Error::Backend(_))) {
            self.forget(table);
        }
        result
    }

    fn change(
        &self,
        table: &str,
        again: bool,
        f: &dyn Fn(Builder<'_>) -> Result<Statement, Error>,
    ) -> Result<u64, Error> {
        let statement = self.build(table, f)?;
        if statement.nothing {
            return Ok(0);
        }
        self.checked(table, self.with(again, |c| c.write(&statement)))
    }

    fn statement(&self, write: &Write<'_>) -> Result<Statement, Error> {
        match *write {
            Write::Insert { table, columns, row } => self.build(table, &|b| b.insert(columns, row)),
            Write::Replace { table, columns, row } => self.build(table, &|b| b.replace(columns, row)),
            Write::Update { table, columns, row, conditions } => {
                self.build(table, &|b| b.update(columns, row, conditions))
            }
            Write::Delete { table, conditions } => self.build(table, &|b| b.delete(conditions)),
        }
    }
}

/// A server that refuses a value to compare with (its column's character set has no such letter) has no row with it.
fn not_there<R: Default>(result: Result<R, Error>, conditions: &[Condition<'_>]) -> Result<R, Error> {
    match result {
        Err(Error::BadRow(_)) if conditions.iter().all(|c| c.compare == Compare::Equal) => Ok(R::default()),
        other => other,
    }
}

impl<C: Connect> Database for Server<C> {
    fn name(&self) -> &'static str {
        self.pool.connect().name()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { replace: true, affected_rows: true, durable: true }
    }
    fn query(&self, query: &Query<'_>) -> Result<Rows, Error> {
        let statement = self.build(query.table, &|b| b.select(query))?;
        if statement.nothing {
            return Ok(Rows::new());
        }
        let rows = self.checked(query.table, self.with(true, |c| c.read(&statement)));
        not_there(rows, query.conditions)
    }
    fn insert(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error> {
        self.change(table, false, &|b| b.insert(columns, row)).map(|_| ())
    }
    fn replace(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error> {
        // Without a key it is an insert.
        let keyed = !self.description(table)?.unique.is_empty();
        self.change(table, keyed, &|b| b.replace(columns, row)).map(|_| ())
    }
    fn update(
        &self,
        table: &str,
        columns: &[&str],
        row: &[Value],
        conditions: &[Condition<'_>],
    ) -> Result<u64, Error> {
        self.change(table, false, &|b| b.update(columns, row, conditions))
    }
    fn delete(&self, table: &str, conditions: &[Condition<'_>]) -> Result<u64, Error> {
        not_there(self.change(table, false, &|b| b.delete(conditions)), conditions)
    }
    fn atomically(&self, writes: &[Write<'_>]) -> Result<Vec<u64>, Error> {
        if let [Write::Replace { table, columns, row }] = writes {
            return self.replace(table, columns, row).map(|()| vec![1]);
        }
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let statements = writes.iter().map(|w| self.statement(w)).collect::<Result<Vec<_>, _>>()?;
        let again = writes.iter().all(|w| matches!(w, Write::Replace { .. } | Write::Delete { .. }));
        let result = self.with(again, |c| {
            c.execute("BEGIN")?;
            let write = |s: &Statement| if s.nothing { Ok(0) } else { c.write(s) };
            let counts = statements.iter().map(write).collect::<Result<Vec<_>, _>>();
            match counts.and_then(|counts| c.execute("COMMIT").map(|()| counts)) {
                // A connection that cannot even take it back is given up.
                Err(Failure::Refused(e)) => c.execute("ROLLBACK").and(Err(Failure::Refused(e))),
                other => other,
            }
        });
        match (&result, writes.first()) {
            (Err(_), Some(write)) => self.checked(write.table(), result),
            _ => result,
        }
    }
    fn count(&self, table: &str, conditions: &[Condition<'_>]) -> Result<u64, Error> {
        let statement = self.build(table, &|b| b.count(conditions))?;
        if statement.nothing {
            return Ok(0);
        }
        let rows = self.checked(table, self.with(true, |c| c.read(&statement)));
        let rows = not_there(rows, conditions)?;
        let count = rows.first().and_then(|r| r.first()).and_then(Value::as_int);
        Ok(count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }
    fn renumber(&self, table: &Table) -> Result<(), Error> {
        let statements = self.pool.connect().renumber(table);
        self.with(true, |c| statements.iter().try_for_each(|s| c.execute(s)))
    }
    fn tables(&self) -> Result<Vec<String>, Error> {
        self.with(true, |c| c.tables())
    }
    fn columns(&self, table: &str) -> Result<Vec<String>, Error> {
        self.forget(table);
        Ok(self.description(table)?.columns.iter().map(|c| c.name.clone()).collect())
    }
    fn create_table(&self, table: &Table) -> Result<(), Error> {
        let statements = self.pool.connect().layout(table);
        self.with(false, |c| statements.iter().try_for_each(|s| c.execute(s)))?;
        self.forget(&table.name);
        Ok(())
    }
}
