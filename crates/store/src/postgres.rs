//! PostgreSQL: `postgres://user:password@host:port/database`; without a host, and with `?socket=/folder`, over its Unix socket.
//!
//! Parameters are sent as text, which the server reads in the type of their column. Text may be neither cut nor hold NUL here: such a row is
//! refused. A connection is driven by the thread that uses it.

use std::error::Error as _;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls};

use crate::schema::{ColumnKind, Table};
use crate::sql::{
    Column, Connect, Connection, Description, Dialect, Failure, Kind, Pool, Replace, Server, Statement,
    TextRule, layout,
};
use crate::url::Url;
use crate::{Error, Rows, Value, time};

/// Prepared statements kept by a connection.
const STATEMENTS: usize = 64;
/// Where Debian's server has its socket.
const SOCKET_FOLDER: &str = "/run/postgresql";
/// Unix time of 2000-01-01, from which PostgreSQL counts.
const EPOCH: i64 = 946_684_800;

/// The database of a URL.
pub(crate) fn open(url: &str) -> Result<Server<Postgres>, Error> {
    let url = Url::parse(url)?;
    let (timeout, limit) = (url.options.timeout, url.options.pool);
    Ok(Server::new(Pool::new(Postgres { url: url.clone() }, url.to_string(), limit, timeout), timeout))
}

pub(crate) struct Postgres {
    url: Url,
}

pub(crate) struct PostgresConnection {
    runtime: Runtime,
    client: Client,
    timeout: Duration,
    /// Most recently used last.
    statements: Vec<(String, tokio_postgres::Statement)>,
}

impl Connect for Postgres {
    type Connection = PostgresConnection;
    fn name(&self) -> &'static str {
        "postgres"
    }
    fn dialect(&self) -> Dialect {
        Dialect { quote: '"', numbered: true, replace: Replace::ConflictOf, text: TextRule::Utf8NoNul }
    }
    fn connect(&self) -> Result<PostgresConnection, String> {
        let Url { user, password, host, port, database, options, .. } = &self.url;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let mut config = Config::new();
        let host = options.socket.as_deref().unwrap_or(if host.is_empty() { SOCKET_FOLDER } else { host });
        config.host(host).port(port.unwrap_or(5432)).dbname(database).application_name("trunkline");
        config.connect_timeout(options.connect_timeout);
        if !user.is_empty() {
            config.user(user);
        }
        if !password.is_empty() {
            config.password(password);
        }
        // A statement that nobody waits for any more ends on the server too. Not a start-up option: poolers refuse those.
        let limit = format!("SET statement_timeout = {}", options.timeout.as_millis());
        let made = async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(&limit).await?;
            Ok(client)
        };
        let client = runtime.block_on(async {
            match tokio::time::timeout(options.connect_timeout, made).await {
                Ok(result) => result.map_err(|e: tokio_postgres::Error| whole(&e)),
                Err(_) => Err("no answer in time".to_owned()),
            }
        })?;
        Ok(PostgresConnection { runtime, client, timeout: options.timeout, statements: Vec::new() })
    }
    fn layout(&self, table: &Table) -> Vec<String> {
        let columns = table.columns.iter().map(|c| {
            let kind = match &c.kind {
                ColumnKind::Auto => return format!("\"{}\" SERIAL PRIMARY KEY NOT NULL", c.name),
                ColumnKind::Int { bytes: 1 | 2, .. } => "SMALLINT".to_owned(),
                ColumnKind::Int { .. } => "INTEGER".to_owned(),
                ColumnKind::Real(_) => "REAL".to_owned(),
                ColumnKind::Text(n) => format!("VARCHAR({n})"),
                ColumnKind::LongText => "TEXT".to_owned(),
                ColumnKind::Blob => "BYTEA".to_owned(),
                ColumnKind::Time => "TIMESTAMP WITHOUT TIME ZONE".to_owned(),
            };
            layout::column(c, '"', &kind)
        });
        layout::table(table, '"', columns, true)
    }
    fn renumber(&self, table: &Table) -> Vec<String> {
        let numbered = table.columns.iter().filter(|c| c.kind == ColumnKind::Auto);
        let sql = |c: &crate::schema::Column| {
            let (table, column) = (&table.name, &c.name);
            format!(
                "SELECT setval(pg_get_serial_sequence('\"{table}\"', '{column}'), (SELECT COALESCE(MAX(\"{column}\"), 0) + 1 FROM \"{table}\"), false)"
            )
        };
        numbered.map(sql).collect()
    }
}

/// An error with what it came from.
fn whole(e: &tokio_postgres::Error) -> String {
    match e.source() {
        Some(source) if e.as_db_error().is_none() => format!("{e}: {source}"),
        _ => e.as_db_error().map_or_else(|| e.to_string(), |d| d.message().to_owned()),
    }
}

/// A value as text of its column's type.
#[derive(Debug)]
struct Param<'a>(&'a Value, Kind);

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self.0, self.1) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Int(n), _) => out.put_slice(n.to_string().as_bytes()),
            (Value::Float(f), _) => out.put_slice(f.to_string().as_bytes()),
            (Value::Time(n), _) => out.put_slice(time::text(*n).ok_or("no such time")?.as_bytes()),
            (Value::Text(t), Kind::Bytes) => {
                out.put_slice(b"\\x");
                t.iter().for_each(|b| out.put_slice(format!("{b:02x}").as_bytes()));
            }
            (Value::Text(t), _) => out.put_slice(t),
        }
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
    to_sql_checked!();
}

/// A value as the server sends it, by the type it names.
struct Read(Value);

impl<'a> FromSql<'a> for Read {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Read, Box<dyn std::error::Error + Sync + Send>> {
        let time = |micros: i64| {
            let local =
                chrono::DateTime::from_timestamp(micros.div_euclid(1_000_000).saturating_add(EPOCH), 0);
            local.map_or(Value::Null, |t| Value::Time(time::unix(t.naive_utc())))
        };
        Ok(Read(match *kind {
            Type::INT2 => Value::Int(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Value::Int(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::OID => Value::Int(u32::from_sql(kind, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(kind, raw)?.into()),
            Type::FLOAT4 => {
                let f = f32::from_sql(kind, raw)?;
                // What was meant by 0.1, not what is nearest to it in 32 bits.
                Value::Float(f.to_string().parse().unwrap_or(f64::from(f)))
            }
            Type::FLOAT8 => Value::Float(f64::from_sql(kind, raw)?),
            Type::TIMESTAMP => time(i64::from_be_bytes(raw.try_into()?)),
            Type::TIMESTAMPTZ => {
                Value::Time(i64::from_be_bytes(raw.try_into()?).div_euclid(1_000_000).saturating_add(EPOCH))
            }
            Type::DATE => time(i64::from(i32::from_be_bytes(raw.try_into()?)).saturating_mul(86_400_000_000)),
            _ => Value::text(raw),
        }))
    }
    fn from_sql_null(_: &Type) -> Result<Read, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Read(Value::Null))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

fn kind_of(name: &str) -> (Kind, Option<&'static str>) {
    match name {
        "int2" | "int4" | "int8" | "oid" | "bool" => (Kind::Int, None),
        "float4" | "float8" => (Kind::Float, None),
        "numeric" => (Kind::Float, Some("float8")),
        "timestamp" | "timestamptz" | "date" => (Kind::Time, None),
        "bytea" => (Kind::Bytes, None),
        "varchar" | "text" => (Kind::Text, None),
        _ => (Kind::Text, Some("text")),
    }
}

fn failure(e: &tokio_postgres::Error) -> Failure {
    let text = whole(e);
    let Some(db) = e.as_db_error() else {
        if e.is_closed() || e.source().is_some_and(|s| s.is::<std::io::Error>()) {
            return Failure::Lost { why: text, sent: true };
        }
        return Failure::Lost { why: text, sent: true };
    };
    let code = db.code();
    let class = code.code().get(..2).unwrap_or_default();
    if *code == SqlState::QUERY_CANCELED {
        return Failure::TimedOut(text);
    }
    // A plan that the table has outgrown: nothing was done, a fresh connection has none.
    if *code == SqlState::FEATURE_NOT_SUPPORTED && text.contains("cached plan") {
        return Failure::Lost { why: text, sent: false };
    }
    match class {
        "08" | "57" => return Failure::Lost { why: text, sent: true },
        "53" | "25" => return Failure::Refused(Error::Unavailable(text)),
        _ => {}
    }
    Failure::Refused(match code {
        c if *c == SqlState::UNIQUE_VIOLATION => Error::Duplicate(db.detail().unwrap_or(&text).to_owned()),
        c if *c == SqlState::UNDEFINED_TABLE => Error::NoTable(text),
        c if *c == SqlState::UNDEFINED_COLUMN => {
            let column = text.split('"').nth(1).unwrap_or_default().to_owned();
            Error::NoColumn { table: db.table().unwrap_or_default().to_owned(), column }
        }
        _ if matches!(class, "22" | "23") => Error::BadRow(text),
        _ => Error::Backend(text),
    })
}

impl PostgresConnection {
    /// Waits for an answer, not longer than it may take.
    fn wait<R>(
        runtime: &Runtime,
        timeout: Duration,
        f: impl Future<Output = Result<R, tokio_postgres::Error>>,
    ) -> Result<R, Failure> {
        // The server's own timeout comes first, so that the connection lives on.
        let limit = timeout + Duration::from_millis(250);
        match runtime.block_on(async { tokio::time::timeout(limit, f).await }) {
            Ok(result) => result.map_err(|e| failure(&e)),
            Err(_) => Err(Failure::TimedOut("the server is silent".into())),
        }
    }
    fn prepared(&mut self, sql: &str) -> Result<tokio_postgres::Statement, Failure> {
        if let Some(at) = self.statements.iter().position(|(s, _)| s == sql) {
            let used = self.statements.remove(at);
            let statement = used.1.clone();
            self.statements.push(used);
            return Ok(statement);
        }
        let statement = Self::wait(&self.runtime, self.timeout, self.client.prepare(sql))?;
        if self.statements.len() >= STATEMENTS {
            self.statements.remove(0);
        }
        self.statements.push((sql.to_owned(), statement.clone()));
        Ok(statement)
    }
    fn rows(
        &mut self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let statement = self.prepared(sql)?;
        Self::wait(&self.runtime, self.timeout, self.client.query(&statement, params))
    }
}

impl Connection for PostgresConnection {
    fn alive(&mut self) -> bool {
        Self::wait(&self.runtime, self.timeout, self.client.simple_query("")).is_ok()
    }
    fn tables(&mut self) -> Result<Vec<String>, Failure> {
        let sql = "SELECT relname::text FROM pg_class WHERE relkind IN ('r','p') AND pg_table_is_visible(oid) \
                   AND relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY (current_schemas(false))) \
                   ORDER BY 1";
        let rows = self.rows(sql, &[])?;
        rows.iter().map(|r| r.try_get(0)).collect::<Result<_, _>>().map_err(|e| failure(&e))
    }
    fn describe(&mut self, table: &str) -> Result<Option<Description>, Failure> {
        let get = |row: &tokio_postgres::Row, i| -> Result<String, Failure> {
            row.try_get(i).map_err(|e| failure(&e))
        };
        let sql = "SELECT a.attname::text, t.typname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
                   JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname::text = $1 AND pg_table_is_visible(c.oid) \
                   AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
        let mut columns = Vec::new();
        for row in self.rows(sql, &[&table])? {
            let (kind, cast) = kind_of(&get(&row, 1)?);
            columns.push(Column { name: get(&row, 0)?, kind, cast });
        }
        if columns.is_empty() {
            return Ok(None);
        }
        let sql = "SELECT i.indexrelid::text, a.attname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
                   CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(att, n) \
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.att \
                   WHERE c.relname::text = $1 AND pg_table_is_visible(c.oid) AND i.indisunique AND i.indpred IS NULL \
                   AND i.indexprs IS NULL ORDER BY i.indisprimary, i.indexrelid, k.n";
        let mut unique: Vec<(String, Vec<String>)> = Vec::new();
        for row in self.rows(sql, &[&table])? {
            let (index, column) = (get(&row, 0)?, get(&row, 1)?);
            match unique.last_mut().filter(|(name, _)| *name == index) {
                Some((_, columns)) => columns.push(column),
                None => unique.push((index, vec![column])),
            }
        }
        let unique = unique.into_iter().map(|(_, columns)| columns).collect();
        Ok(Some(Description { columns, unique }))
    }
    fn read(&mut self, statement: &Statement) -> Result<Rows, Failure> {
        let params: Vec<Param<'_>> = statement.params.iter().map(|(v, k)| Param(v, *k)).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let rows = self.rows(&statement.sql, &params)?;
        let row = |row: &tokio_postgres::Row| {
            (0..row.len()).map(|i| row.try_get::<_, Read>(i).map(|r| r.0)).collect::<Result<Vec<_>, _>>()
        };
        rows.iter().map(row).collect::<Result<_, _>>().map_err(Failure::backend)
    }
    fn write(&mut self, statement: &Statement) -> Result<u64, Failure> {
        let params: Vec<Param<'_>> = statement.params.iter().map(|(v, k)| Param(v, *k)).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let prepared = self.prepared(&statement.sql)?;
        Self::wait(&self.runtime, self.timeout, self.client.execute(&prepared, &params))
    }
    fn execute(&mut self, sql: &str) -> Result<(), Failure> {
        Self::wait(&self.runtime, self.timeout, self.client.batch_execute(sql))
    }
}
