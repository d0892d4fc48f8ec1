//! MariaDB and MySQL: `mysql://user:password@host:port/database`.
//!
//! `localhost` is the server's Unix socket where there is one, else port 3306, as with Kamailio. The session is strict whatever the server's
//! settings: a value that does not fit is refused, never cut.

use mysql::consts::{CapabilityFlags, ColumnType};
use mysql::prelude::Queryable;
use mysql::{OptsBuilder, Params, Value as Cell};

use crate::schema::{ColumnKind, Table};
use crate::sql::{
    Column, Connect, Connection, Description, Dialect, Failure, Kind, Pool, Replace, Server, Statement,
    TextRule, layout,
};
use crate::url::Url;
use crate::{Error, Rows, Value, time};

/// Prepared statements kept by a connection.
const STATEMENTS: usize = 64;
/// Where servers have their socket.
const SOCKETS: [&str; 3] = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];
const INIT: &str = "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'";

/// The database of a URL.
pub(crate) fn open(url: &str) -> Result<Server<Mysql>, Error> {
    let url = Url::parse(url)?;
    let (timeout, limit) = (url.options.timeout, url.options.pool);
    Ok(Server::new(Pool::new(Mysql { url: url.clone() }, url.to_string(), limit, timeout), timeout))
}

pub(crate) struct Mysql {
    url: Url,
}

pub(crate) struct MysqlConnection(mysql::Conn);

impl Connect for Mysql {
    type Connection = MysqlConnection;
    fn name(&self) -> &'static str {
        "mysql"
    }
    fn dialect(&self) -> Dialect {
        Dialect { quote: '`', numbered: false, replace: Replace::DuplicateKey, text: TextRule::Utf8 }
    }
    fn connect(&self) -> Result<MysqlConnection, String> {
        let Url { user, password, host, port, database, options, .. } = &self.url;
        let local = matches!(host.as_str(), "" | "localhost") && port.is_none();
        let usual =
            || SOCKETS.iter().find(|s| local && std::path::Path::new(s).exists()).map(|s| (*s).to_owned());
        let text = |t: &String| (!t.is_empty()).then(|| t.clone());
        let opts = OptsBuilder::new()
            .ip_or_hostname(Some(if host.is_empty() { "localhost".to_owned() } else { host.clone() }))
            .tcp_port(port.unwrap_or(3306))
            .socket(options.socket.clone().or_else(usual))
            .prefer_socket(false)
            .user(text(user))
            .pass(text(password))
            .db_name(Some(database.clone()))
            .tcp_connect_timeout(Some(options.connect_timeout))
            .read_timeout(Some(options.timeout))
            .write_timeout(Some(options.timeout))
            .stmt_cache_size(STATEMENTS)
            // "Rows updated" are the rows found, as with the others.
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
            .init(vec![INIT.to_owned()]);
        mysql::Conn::new(opts).map(MysqlConnection).map_err(|e| why(&e))
    }
    fn layout(&self, table: &Table) -> Vec<String> {
        let columns = table.columns.iter().map(|c| {
            let kind = match &c.kind {
                ColumnKind::Auto => {
                    return format!("`{}` INT(10) UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL", c.name);
                }
                ColumnKind::Int { bytes, unsigned } => {
                    let name = match bytes {
                        1 => "TINYINT",
                        2 => "SMALLINT",
                        _ => "INT",
                    };
                    format!("{name}{}", if *unsigned { " UNSIGNED" } else { "" })
                }
                ColumnKind::Real(digits) if digits.is_empty() => "FLOAT".to_owned(),
                ColumnKind::Real(digits) => format!("FLOAT({digits})"),
                ColumnKind::Text(n) => format!("VARCHAR({n})"),
                ColumnKind::LongText => "MEDIUMTEXT".to_owned(),
                ColumnKind::Blob => "MEDIUMBLOB".to_owned(),
                ColumnKind::Time => "DATETIME".to_owned(),
            };
            layout::column(c, '`', &kind)
        });
        layout::table(table, '`', columns, false)
    }
}

fn cell(value: &Value) -> Cell {
    use chrono::{Datelike, Timelike};
    match value {
        Value::Null => Cell::NULL,
        Value::Int(n) => Cell::Int(*n),
        Value::Float(f) => Cell::Double(*f),
        Value::Text(t) => Cell::Bytes(t.clone()),
        Value::Time(n) => match time::local(*n) {
            Some(t) => {
                let (year, month, day) = (t.year() as u16, t.month() as u8, t.day() as u8);
                Cell::Date(year, month, day, t.hour() as u8, t.minute() as u8, t.second() as u8, 0)
            }
            None => Cell::NULL,
        },
    }
}

fn value(cell: Cell, kind: Kind) -> Value {
    match (cell, kind) {
        (Cell::NULL, _) => Value::Null,
        (Cell::Bytes(t), Kind::Float) => {
            std::str::from_utf8(&t).ok().and_then(|t| t.parse().ok()).map_or(Value::Text(t), Value::Float)
        }
        (Cell::Bytes(t), _) => Value::Text(t),
        (Cell::Int(n), Kind::Float) => Value::Float(n as f64),
        (Cell::Int(n), _) => Value::Int(n),
        (Cell::UInt(n), _) => i64::try_from(n).map_or_else(|_| Value::text(n.to_string()), Value::Int),
        // What was meant by 0.1, not what is nearest to it in 32 bits.
        (Cell::Float(f), _) => Value::Float(f.to_string().parse().unwrap_or(f64::from(f))),
        (Cell::Double(f), _) => Value::Float(f),
        (Cell::Date(year, month, day, hour, minute, second, _), _) => {
            let date = chrono::NaiveDate::from_ymd_opt(year.into(), month.into(), day.into());
            let at = date.and_then(|d| d.and_hms_opt(hour.into(), minute.into(), second.into()));
            // 0000-00-00 is no time.
            at.map_or(Value::Null, |t| Value::Time(time::unix(t)))
        }
        (Cell::Time(negative, days, hours, minutes, seconds, _), _) => {
            let sign = if negative { "-" } else { "" };
            let hours = days * 24 + u32::from(hours);
            Value::text(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"))
        }
    }
}

/// An error without the name of its kind around it.
fn why(e: &mysql::Error) -> String {
    match e {
        mysql::Error::MySqlError(e) => e.message.clone(),
        mysql::Error::DriverError(e) => e.to_string(),
        mysql::Error::IoError(e) => e.to_string(),
        other => other.to_string(),
    }
}

fn failure(e: mysql::Error) -> Failure {
    use mysql::error::DriverError;
    let text = why(&e);
    match e {
        mysql::Error::MySqlError(e) => Failure::Refused(match e.code {
            1062 | 1586 => Error::Duplicate(e.message),
            1146 => Error::NoTable(e.message),
            1054 => {
                let mut quoted = e.message.split('\'').skip(1);
                Error::NoColumn { table: String::new(), column: quoted.next().unwrap_or_default().into() }
            }
            1048 | 1264 | 1265 | 1267 | 1292 | 1300 | 1366 | 1364 | 1406 | 1690 | 1153 => {
                Error::BadRow(e.message)
            }
            // Shutting down, killed, read only, no room, too many of us: another moment may do.
            1053 | 1077 | 1078 | 1079 | 1927 | 2006 | 2013 => {
                return Failure::Lost { why: e.message, sent: true };
            }
            1021 | 1040 | 1114 | 1205 | 1213 | 1290 | 1836 => Error::Unavailable(e.message),
            _ => Error::Backend(e.message),
        }),
        mysql::Error::IoError(e)
            if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
        {
            Failure::TimedOut(text)
        }
        mysql::Error::DriverError(DriverError::PacketOutOfSync | DriverError::Timeout)
        | mysql::Error::IoError(_)
        | mysql::Error::CodecError(_) => Failure::Lost { why: text, sent: true },
        mysql::Error::DriverError(_) => Failure::backend(text),
        _ => Failure::Lost { why: text, sent: true },
    }
}

fn kind_of(data_type: &str) -> Kind {
    match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit" => Kind::Int,
        "float" | "double" | "decimal" => Kind::Float,
        "datetime" | "timestamp" | "date" => Kind::Time,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
        _ => Kind::Text,
    }
}

impl MysqlConnection {
    fn params(statement: &Statement) -> Params {
        if statement.params.is_empty() {
            return Params::Empty;
        }
        Params::Positional(statement.params.iter().map(|(v, _)| cell(v)).collect())
    }
}

impl Connection for MysqlConnection {
    fn alive(&mut self) -> bool {
        self.0.ping().is_ok()
    }
    fn tables(&mut self) -> Result<Vec<String>, Failure> {
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE() \
                   AND table_type='BASE TABLE' ORDER BY table_name";
        self.0.query(sql).map_err(failure)
    }
    fn describe(&mut self, table: &str) -> Result<Option<Description>, Failure> {
        let sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema=DATABASE() \
                   AND table_name=? ORDER BY ordinal_position";
        let columns: Vec<(String, String)> = self.0.exec(sql, (table,)).map_err(failure)?;
        if columns.is_empty() {
            return Ok(None);
        }
        let sql = "SELECT index_name, column_name FROM information_schema.statistics WHERE table_schema=DATABASE() \
                   AND table_name=? AND non_unique=0 ORDER BY index_name='PRIMARY', index_name, seq_in_index";
        let rows: Vec<(String, String)> = self.0.exec(sql, (table,)).map_err(failure)?;
        let mut unique: Vec<(String, Vec<String>)> = Vec::new();
        for (index, column) in rows {
            match unique.last_mut().filter(|(name, _)| *name == index) {
                Some((_, columns)) => columns.push(column),
                None => unique.push((index, vec![column])),
            }
        }
        let column = |(name, kind): (String, String)| Column { name, kind: kind_of(&kind), cast: None };
        Ok(Some(Description {
            columns: columns.into_iter().map(column).collect(),
            unique: unique.into_iter().map(|(_, columns)| columns).collect(),
        }))
    }
    fn read(&mut self, statement: &Statement) -> Result<Rows, Failure> {
        let found = self.0.exec_iter(&statement.sql, Self::params(statement)).map_err(failure)?;
        let mut rows = Rows::new();
        for row in found {
            let row = row.map_err(failure)?;
            let bits: Vec<bool> =
                row.columns_ref().iter().map(|c| c.column_type() == ColumnType::MYSQL_TYPE_BIT).collect();
            let cells = row.unwrap_raw().into_iter().zip(&statement.kinds).zip(bits);
            rows.push(
                cells
                    .map(|((cell, kind), bit)| match cell {
                        Some(Cell::Bytes(b)) if bit => {
                            Value::Int(b.iter().fold(0, |n, b| (n << 8) | i64::from(*b)))
                        }
                        Some(cell) => value(cell, *kind),
                        None => Value::Null,
                    })
                    .collect(),
            );
        }
        Ok(rows)
    }
    fn write(&mut self, statement: &Statement) -> Result<u64, Failure> {
        let done = self.0.exec_iter(&statement.sql, Self::params(statement)).map_err(failure)?;
        Ok(done.affected_rows())
    }
    fn execute(&mut self, sql: &str) -> Result<(), Failure> {
        self.0.query_drop(sql).map_err(failure)
    }
}
