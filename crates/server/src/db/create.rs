//! `db create`: the tables that are missing.

use store::{Database, Error, schema};

use crate::say;

/// Makes tables, `version` first; says what it did.
pub fn run(db: &dyn Database, all: bool) -> Result<(), String> {
    let (mut made, mut kept) = (0, 0);
    let wanted = schema::tables().iter().filter(|t| all || schema::USUAL.contains(&t.module.as_str()));
    for table in wanted {
        let failed = |e: Error| format!("table {}: {e}", table.name);
        match db.columns(&table.name) {
            Ok(_) => kept += 1,
            Err(Error::NoTable(_)) => {
                schema::create(db, table).map_err(failed)?;
                made += 1;
                say::out(format_args!("made  {} (version {})", table.name, table.version));
            }
            Err(e) => return Err(failed(e)),
        }
    }
    say::out(format_args!("{made} tables made, {kept} were there"));
    Ok(())
}
