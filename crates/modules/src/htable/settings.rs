//! Parameters of `htable`, and the definition of a table: `name=>size=8;autoexpire=300`.

use script::{ModParams, SetupError};

/// Parameters of `htable`.
#[derive(Debug, ModParams)]
pub struct Settings {
    /// Definition of a table, several times: `name=>attribute=value;...`. Attributes: `size` (2 to 31, the table counts as having
    /// 2^size slots; more than 14 is 14), `autoexpire` (seconds an item lives after it was written, 0 for ever), `initval` (the integer
    /// that stands for an item that is not there), `updateexpire` (0: writing does not make an item live longer), `dbtable` (database table
    /// to load from), `dbmode` (1: written back at shutdown), `cols` (columns of that table, the key first), `dmqreplicate`
    /// (taken).
    pub htable: String,
    /// Text after the name of an array in the key that holds its size. Default `::size`.
    pub array_size_suffix: String,
    /// 1: the end of items is loaded and stored too, for tables with `autoexpire`. Default 0.
    pub db_expires: bool,
    /// Database with the tables named by `dbtable`. Default none.
    pub db_url: Option<String>,
    /// 1: ask other servers for their items at the start. Taken, see `enable_dmq`.
    pub dmq_init_sync: bool,
    /// Name of the replication peer. Taken, see `enable_dmq`.
    pub dmq_peer_id: String,
    /// 1: replicate tables with `dmqreplicate` to other servers. Refused: there is no DMQ here yet.
    pub enable_dmq: bool,
    /// Script function called as `(msg, evname)` for `htable:mod-init`, `htable:expired:<table>` and `htable:reloaded:<table>`. Default none.
    pub event_callback: Option<String>,
    /// When `htable:mod-init` runs: 0 after the modules, 1 in the first worker. Taken: it always runs once, before the first message.
    pub event_callback_mode: i64,
    /// Column with the end of an item, Unix time. Default `expires`.
    pub expires_column: String,
    /// Rows read at once. Taken: all are read at once.
    pub fetch_rows: u32,
    /// Column with the key. Default `key_name`.
    pub key_name_column: String,
    /// Column with the kind of the key: 0 plain, 1 array. Default `key_type`.
    pub key_type_column: String,
    /// Column with the value. Default `key_value`.
    pub key_value_column: String,
    /// Seconds between two searches for items that ended, default 20. Items that ended are not there for readers, searched or not.
    pub timer_interval: u32,
    /// Processes that search for items that ended. Taken: the timer thread does it.
    pub timer_procs: u32,
    /// Column with the type of the value: 0 text, 1 integer. Default `value_type`.
    pub value_type_column: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            htable: String::new(),
            array_size_suffix: "::size".into(),
            db_expires: false,
            db_url: None,
            dmq_init_sync: false,
            dmq_peer_id: String::new(),
            enable_dmq: false,
            event_callback: None,
            event_callback_mode: 0,
            expires_column: "expires".into(),
            fetch_rows: 100,
            key_name_column: "key_name".into(),
            key_type_column: "key_type".into(),
            key_value_column: "key_value".into(),
            timer_interval: 20,
            timer_procs: 0,
            value_type_column: "value_type".into(),
        }
    }
}

/// What `modparam("htable", "htable", ...)` says of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Name.
    pub name: String,
    /// 2^size slots.
    pub size: u32,
    /// Seconds, 0 for ever.
    pub autoexpire: u32,
    /// Stands for what is not there.
    pub initval: Option<i64>,
    /// Writing makes an item live longer.
    pub updateexpire: bool,
    /// Database table.
    pub dbtable: String,
    /// Written back at shutdown.
    pub dbmode: bool,
    /// Columns of the database table instead of the module's; the key first.
    pub cols: Vec<String>,
    /// Asked to be replicated.
    pub dmqreplicate: bool,
}

const ATTRIBUTES: &[&str] =
    &["autoexpire", "cols", "dbmode", "dbtable", "dmqreplicate", "initval", "size", "updateexpire"];

impl Definition {
    /// Reads a definition.
    pub fn parse(text: &str) -> Result<Definition, SetupError> {
        let wrong = |why: String| Err(SetupError(format!("table definition \"{text}\": {why}")));
        let Some((name, attributes)) = text.split_once("=>") else {
            return wrong("expected name=>attribute=value;...".into());
        };
        let mut table = Definition {
            name: name.trim().into(),
            size: 4,
            autoexpire: 0,
            initval: None,
            updateexpire: true,
            dbtable: String::new(),
            dbmode: false,
            cols: Vec::new(),
            dmqreplicate: false,
        };
        if table.name.is_empty() {
            return wrong("the name is missing".into());
        }
        for attribute in split(attributes) {
            let Some((key, value)) = attribute.split_once('=').map(|(k, v)| (k.trim(), unquoted(v))) else {
                return wrong(format!("{attribute}: expected attribute=value"));
            };
            let number = || {
                let parsed = value.parse::<i64>();
                parsed.map_err(|_| SetupError(format!("table definition \"{text}\": {key} is a number")))
            };
            let natural = || {
                let parsed = u32::try_from(number()?);
                parsed.map_err(|_| SetupError(format!("table definition \"{text}\": {key} is out of range")))
            };
            match key {
                "size" => table.size = natural()?,
                "autoexpire" => table.autoexpire = natural()?,
                "initval" => table.initval = Some(number()?),
                "updateexpire" => table.updateexpire = number()? != 0,
                "dbtable" => table.dbtable = value.into(),
                "dbmode" => table.dbmode = number()? != 0,
                "dmqreplicate" => table.dmqreplicate = number()? != 0,
                "cols" => {
                    table.cols = value.split(',').map(|c| c.trim().to_string()).collect();
                    if table.cols.len() < 2 || table.cols.iter().any(String::is_empty) {
                        return wrong("cols names the key column and at least one value column".into());
                    }
                }
                _ => return wrong(format!("there is no attribute {key}; {}", ATTRIBUTES.join(" "))),
            }
        }
        table.size = match table.size {
            0 | 1 => 3,
            n => n.min(14),
        };
        Ok(table)
    }
}

/// Attributes between semicolons that stand outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let mut quote = None;
    let outside = text.split(move |c| {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            _ => {}
        }
        quote.is_none() && c == ';'
    });
    outside.map(str::trim).filter(|a| !a.is_empty()).collect()
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['\'', '"'] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inside;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_is_read_and_no_other() {
        let all = "ipban=>size=8;autoexpire=300;initval=-1;updateexpire=0;dbtable=bans;dbmode=1;cols='k,v;w';dmqreplicate=1;";
        let t = Definition::parse(all).expect("reads");
        assert_eq!((t.name.as_str(), t.size, t.autoexpire, t.initval), ("ipban", 8, 300, Some(-1)));
        assert!(!t.updateexpire && t.dbmode && t.dmqreplicate);
        assert_eq!((t.dbtable.as_str(), t.cols.len()), ("bans", 2));
        let plain = Definition::parse("a=>").expect("reads");
        assert_eq!((plain.size, plain.autoexpire, plain.updateexpire), (4, 0, true));
        for (text, size) in [("a=>size=1", 3), ("a=>size=31", 14), ("a=>size=2", 2)] {
            assert_eq!(Definition::parse(text).map(|t| t.size), Ok(size), "{text}");
        }
        for bad in ["a", "=>size=1", "a=>size=x", "a=>speed=1", "a=>autoexpire=-1", "a=>size", "a=>cols='k'"]
        {
            assert!(Definition::parse(bad).is_err(), "{bad}");
        }
    }
}
