//! `trunkline db`: tables in Kamailio's layouts, made, checked, shown and moved.

mod check;
mod create;
mod migrate;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;

use cfg::Config;
use store::{Database, without_password};

use crate::cli::{DatabaseArgs, DbCommand};

pub use show::printable;

/// Runs a command; an error is what to say.
pub fn run(command: &DbCommand) -> Result<(), String> {
    match command {
        DbCommand::Create { url, database, all } => {
            let url = url_of(url.as_deref(), database)?;
            create::run(&*opened(store::open_or_create(&url))?, *all)
        }
        DbCommand::Check { url, database } => {
            check::run(&*opened(store::open(&url_of(url.as_deref(), database)?))?)
        }
        DbCommand::Show { what, database, limit, secrets } => {
            let (url, table) = match what.as_slice() {
                [] => (None, None),
                [one] if one.contains("://") => (Some(one.as_str()), None),
                [one] => (None, Some(one.as_str())),
                [url, table, ..] => (Some(url.as_str()), Some(table.as_str())),
            };
            let db = opened(store::open(&url_of(url, database)?))?;
            show::run(&*db, table, *limit, *secrets)
        }
        DbCommand::Migrate { from, to, tables } => {
            let (from, to) = (opened(store::open(from))?, opened(store::open_or_create(to))?);
            migrate::run(&*from, &*to, tables)
        }
    }
}

fn opened(result: Result<Arc<dyn Database>, store::Error>) -> Result<Arc<dyn Database>, String> {
    result.map_err(|e| e.to_string())
}

/// The URL that was given, or the one that a configuration has.
fn url_of(url: Option<&str>, args: &DatabaseArgs) -> Result<String, String> {
    if let Some(url) = url {
        return Ok(url.into());
    }
    let config = configuration(args)?;
    let mut urls: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for p in config.modparams.iter().filter(|p| p.name == "db_url") {
        if let cfg::Value::Str(url) = &p.value {
            urls.entry(url).or_default().extend(p.modules.iter().map(String::as_str));
        }
    }
    let mut known = urls.iter();
    match (known.next(), known.next()) {
        (Some((url, _)), None) => Ok((*url).into()),
        (None, _) => Err(format!(
            "{} sets no db_url (with these defines): name the database, for example sqlite:////var/lib/kamailio/kamailio.db",
            args.file.display()
        )),
        _ => {
            let rows = urls
                .iter()
                .map(|(url, modules)| format!("\n  {}  ({})", without_password(url), modules.join(", ")));
            Err(format!(
                "{} has several databases, name one:{}",
                args.file.display(),
                rows.collect::<String>()
            ))
        }
    }
}

/// Reads a configuration for its database; what else is wrong with it does not matter here.
pub fn configuration(args: &DatabaseArgs) -> Result<Config, String> {
    let mut options = cfg::Options::default();
    args.define.iter().for_each(|d| options.define(d));
    let (config, found) = cfg::read(&args.file, &options);
    if config.files.is_empty() {
        let why = found.first().map_or_else(|| "it cannot be read".to_owned(), ToString::to_string);
        return Err(format!(
            "{}\n  name the database by its URL, or its configuration with -f",
            why.trim_end()
        ));
    }
    Ok(config)
}
