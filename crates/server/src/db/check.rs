//! `db check`: are the tables what this server expects?

use store::{Database, Error, schema};

use crate::say;

/// Prints a row for each table that is there or that a new database gets. An error when something is wrong.
pub fn run(db: &dyn Database) -> Result<(), String> {
    let there = db.tables().map_err(|e| e.to_string())?;
    let mut wrong = 0;
    for table in schema::tables() {
        let usual = schema::USUAL.contains(&table.module.as_str());
        if !there.contains(&table.name) {
            if usual {
                wrong += 1;
                say::out(format_args!("missing  {} (module {})", table.name, table.module));
            }
            continue;
        }
        let problem = problem(db, table).map_err(|e| format!("table {}: {e}", table.name))?;
        wrong += usize::from(problem.is_some());
        match problem {
            None => say::out(format_args!("fine     {} (version {})", table.name, table.version)),
            Some(why) => say::out(format_args!("wrong    {}: {why}", table.name)),
        }
    }
    let known = |name: &String| schema::table(name).is_some();
    for name in there.iter().filter(|name| !known(name)) {
        say::out(format_args!("unknown  {name}: not of Kamailio's modules, left alone"));
    }
    match wrong {
        0 => Ok(()),
        1 => Err("one table is not as it should be; `trunkline db create` makes missing tables".into()),
        n => Err(format!("{n} tables are not as they should be; `trunkline db create` makes missing tables")),
    }
}

/// What is wrong with a table. Columns of the operator's own are fine: accounting has them.
fn problem(db: &dyn Database, table: &schema::Table) -> Result<Option<String>, Error> {
    let version = match schema::version_of(db, &table.name) {
        Err(Error::NoTable(_)) => None,
        other => other?,
    };
    match version {
        None => return Ok(Some(format!("the version table does not name it (wanted {})", table.version))),
        Some(found) if found != table.version => {
            return Ok(Some(format!("version {found}, wanted {}", table.version)));
        }
        Some(_) => {}
    }
    let columns = db.columns(&table.name)?;
    let lacks: Vec<&str> =
        table.columns.iter().map(|c| c.name.as_str()).filter(|c| !columns.iter().any(|h| h == c)).collect();
    Ok((!lacks.is_empty()).then(|| format!("lacks the columns {}", lacks.join(", "))))
}
