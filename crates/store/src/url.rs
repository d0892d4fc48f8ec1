//! `db_url` as Kamailio writes it: `driver://user:password@host:port/database`, with our own settings behind a `?`.
//!
//! Nothing is decoded: a password stands as it is, and may hold every character but a line's end.

use std::time::Duration;

use crate::Error;

/// A database server's URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// `mysql`, `postgres`.
    pub scheme: String,
    /// User, empty none.
    pub user: String,
    /// Password, empty none.
    pub password: String,
    /// Host name or address without brackets, empty none.
    pub host: String,
    /// Port, if there is one.
    pub port: Option<u16>,
    /// Database.
    pub database: String,
    /// What stands behind the `?`.
    pub options: Options,
}

/// Settings behind the `?` of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `connect_timeout`: how long a connection may take to be made. Default 3 seconds.
    pub connect_timeout: Duration,
    /// `timeout`: how long an answer may take. Default 5 seconds.
    pub timeout: Duration,
    /// `pool`: most connections at a time. Default: the threads that may ask ([`crate::expect_threads`]).
    pub pool: usize,
    /// `socket`: the server's Unix socket (its folder for PostgreSQL) instead of host and port.
    pub socket: Option<String>,
    /// `synchronous=full` (SQLite): every write is forced to the disk before it counts.
    pub full_sync: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(5),
            pool: crate::open::expected_threads(),
            socket: None,
            full_sync: false,
        }
    }
}

impl Options {
    /// Takes the settings off the end of a URL.
    pub fn split<'t>(kind: &str, text: &'t str) -> Result<(&'t str, Options), Error> {
        let mut options = Options::default();
        let (connect, answer) = crate::open::timeouts(kind);
        options.connect_timeout = connect.unwrap_or(options.connect_timeout);
        options.timeout = answer.unwrap_or(options.timeout);
        let Some((rest, settings)) = text.rsplit_once('?') else { return Ok((text, options)) };
        for setting in settings.split('&').filter(|s| !s.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let bad = |takes: &str| Error::BadUrl(format!("database setting {name}={value}: {takes}"));
            let seconds = || -> Result<Duration, Error> {
                let s = value.parse::<f64>().ok().filter(|s| (0.01..=3600.0).contains(s));
                s.map(Duration::from_secs_f64).ok_or_else(|| bad("seconds, 0.01 to 3600"))
            };
            match name {
                "connect_timeout" => options.connect_timeout = seconds()?,
                "timeout" => options.timeout = seconds()?,
                "pool" => {
                    let n = value.parse().ok().filter(|n| (1..=1000).contains(n));
                    options.pool = n.ok_or_else(|| bad("1 to 1000 connections"))?;
                }
                "socket" if !value.is_empty() => options.socket = Some(value.into()),
                "synchronous" => match value {
                    "full" => options.full_sync = true,
                    "normal" => options.full_sync = false,
                    _ => return Err(bad("normal or full")),
                },
                _ => {
                    let known = "there are connect_timeout, timeout, pool, socket, synchronous";
                    return Err(Error::BadUrl(format!("unknown database setting {name}: {known}")));
                }
            }
        }
        Ok((rest, options))
    }
}

impl Url {
    /// Reads a server's URL.
    pub fn parse(text: &str) -> Result<Url, Error> {
        let shape = "a database server's URL is driver://user:password@host:port/database";
        let bad = |why: &str| Error::BadUrl(format!("{why}; {shape}"));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("there is no ://"))?;
        let (credentials, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (place, options) = Options::split(scheme, place)?;
        let (host, database) = place.split_once('/').ok_or_else(|| bad("there is no database name"))?;
        let (host, port) = match host.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']').ok_or_else(|| bad("there is no ] after ["))?;
                (host, after.strip_prefix(':'))
            }
            None => host.split_once(':').map_or((host, None), |(h, p)| (h, Some(p))),
        };
        let port = match port {
            Some(p) => Some(p.parse().map_err(|_| bad(&format!("{p} is no port")))?),
            None => None,
        };
        if database.is_empty() {
            return Err(bad("there is no database name"));
        }
        let (user, password) = (user.to_owned(), password.to_owned());
        let (host, database) = (host.to_owned(), database.to_owned());
        Ok(Url { scheme: scheme.to_owned(), user, password, host, port, database, options })
    }
}

/// Without the password: this is what log lines show.
impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if !self.user.is_empty() {
            write!(f, "{}@", self.user)?;
        }
        let v6 = self.host.contains(':');
        f.write_str(if v6 { "[" } else { "" })?;
        f.write_str(&self.host)?;
        f.write_str(if v6 { "]" } else { "" })?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", self.database)
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A URL as it may be shown: the password is left out.
pub fn without_password(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) if url.contains('@') => parsed.to_string(),
        _ => url.split('?').next().unwrap_or(url).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kamailios_forms() {
        let url =
            Url::parse("mysql://kamailio:k@m/a:il?io@[::1]:3307/kam?timeout=2.5&pool=3").expect("reads");
        assert_eq!((url.user.as_str(), url.password.as_str()), ("kamailio", "k@m/a:il?io"));
        assert_eq!((url.host.as_str(), url.port, url.database.as_str()), ("::1", Some(3307), "kam"));
        assert_eq!((url.options.timeout, url.options.pool), (Duration::from_millis(2500), 3));
        assert_eq!(url.to_string(), "mysql://kamailio@[::1]:3307/kam");
        let url = Url::parse("postgres://localhost/kamailio").expect("reads");
        assert_eq!((url.user.as_str(), url.host.as_str(), url.port), ("", "localhost", None));
        for bad in [
            "mysql:/x",
            "mysql://h",
            "mysql://h/",
            "mysql://h:x/d",
            "mysql://[::1/d",
            "mysql://h/d?pool=0",
            "mysql://h/d?x=1",
        ] {
            assert!(matches!(Url::parse(bad), Err(Error::BadUrl(_))), "{bad}");
        }
    }
}
