//! Versions of the tables that modules read, compared at the start as Kamailio's modules do: another layout is refused before the first
//! message, not met in the middle of a call. Module usrloc sees to its tables itself.

use cfg::{Config, Value};
use store::{VersionError, check_version, schema};

/// A table that a module reads once it is loaded and has a `db_url`.
struct Checked {
    module: &'static str,
    /// Parameter that names the table.
    param: &'static str,
    /// Kamailio's table, whose version is wanted.
    table: &'static str,
    /// Parameter without which (or with 0) the table is not read.
    needs: Option<&'static str>,
}

const fn row(module: &'static str, param: &'static str, table: &'static str) -> Checked {
    Checked { module, param, table, needs: None }
}

const ROWS: &[Checked] = &[
    Checked { needs: Some("db_mode"), ..row("dialog", "table_name", "dialog") },
    Checked { needs: Some("db_mode"), ..row("dialog", "vars_table_name", "dialog_vars") },
    row("dispatcher", "table_name", "dispatcher"),
    row("domain", "domain_table", "domain"),
    row("domain", "domain_attrs_table", "domain_attrs"),
    row("group", "table", "grp"),
    Checked { needs: Some("db_mode"), ..row("permissions", "address_table", "address") },
    Checked { needs: Some("db_mode"), ..row("permissions", "trusted_table", "trusted") },
    row("uri_db", "db_table", "subscriber"),
];

/// The first table with a wrong version, as a reason not to start. One that the version table does not name is only warned of; a database
/// that is away cannot be asked.
pub fn check(config: &Config) -> Result<(), String> {
    for Checked { module, param, table, needs } in ROWS {
        let unused =
            needs.is_some_and(|n| config.modparam(module, n).and_then(Value::as_int).unwrap_or(0) == 0);
        let text = |name: &str| config.modparam(module, name).and_then(Value::as_str);
        let (Some(url), Some(layout)) = (text("db_url"), schema::table(table)) else { continue };
        if unused || config.module(module).is_none() {
            continue;
        }
        // A URL that is wrong was the module's to refuse.
        let Ok(database) = store::open(url) else { continue };
        match check_version(&*database, text(param).unwrap_or(table), layout.version) {
            Ok(()) | Err(VersionError::Database(_)) => {}
            Err(e @ VersionError::Other { .. }) => return Err(format!("module {module}: {e}")),
            Err(e) => tracing::warn!(target: "server", "module {module}: {e}"),
        }
    }
    Ok(())
}
