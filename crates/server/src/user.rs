//! `trunkline user`: subscribers, with the digests that authentication looks for.

use std::io::{BufRead, IsTerminal, Read};
use std::os::fd::AsFd;

use md5::{Digest, Md5};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use store::{Condition, Database, Error, Query, Value};

use crate::cli::{PasswordArgs, SubscriberArgs, UserCommand};
use crate::{db, say};

/// Longest password read from standard input.
const LONGEST: u64 = 4096;

/// Where subscribers are.
struct Subscribers {
    db: std::sync::Arc<dyn Database>,
    table: String,
    user: String,
    domain: String,
    password: String,
    /// Whether the server computes digests from the password itself.
    from_plaintext: bool,
}

/// Runs a command; an error is what to say.
pub fn run(command: &UserCommand) -> Result<(), String> {
    match command {
        UserCommand::Add { user, password, subscribers } => {
            let (at, name) = (Subscribers::find(subscribers)?, Name::parse(user)?);
            at.add(&name, password)
        }
        UserCommand::Passwd { user, password, subscribers } => {
            let (at, name) = (Subscribers::find(subscribers)?, Name::parse(user)?);
            at.passwd(&name, password)
        }
        UserCommand::Rm { user, subscribers } => {
            let (at, name) = (Subscribers::find(subscribers)?, Name::parse(user)?);
            match at.db.delete(&at.table, &at.is(&name)).map_err(said)? {
                0 => Err(format!("there is no {name}")),
                _ => {
                    say::out(format_args!("{name} is gone"));
                    Ok(())
                }
            }
        }
        UserCommand::List { only, subscribers } => Subscribers::find(subscribers)?.list(only.as_deref()),
    }
}

fn said(e: Error) -> String {
    e.to_string()
}

/// user@domain.
struct Name {
    user: String,
    domain: String,
}

impl Name {
    fn parse(text: &str) -> Result<Name, String> {
        let (user, domain) = match text.split_once('@') {
            Some((user, domain)) => (user.to_owned(), domain.to_owned()),
            None => match std::env::var("SIP_DOMAIN") {
                Ok(domain) if !domain.is_empty() => (text.to_owned(), domain),
                _ => return Err(format!("{text}: which domain? {text}@example.com, or set SIP_DOMAIN")),
            },
        };
        let fine = |t: &str| {
            !t.is_empty()
                && t.chars().all(|c| !c.is_control() && !c.is_whitespace() && !"@:;<>\"".contains(c))
        };
        if !fine(&user) || !fine(&domain) {
            return Err(format!("{text:?} is no user@domain"));
        }
        Ok(Name { user, domain: domain.to_ascii_lowercase() })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.user, self.domain)
    }
}

impl Subscribers {
    fn find(args: &SubscriberArgs) -> Result<Subscribers, String> {
        let mut at = Subscribers {
            db: std::sync::Arc::new(store::Memory::new()),
            table: args.table.clone(),
            user: "username".into(),
            domain: "domain".into(),
            password: "password".into(),
            from_plaintext: false,
        };
        let mut url = args.db.clone();
        if url.is_none() {
            let config = db::configuration(&args.database)?;
            let text = |name: &str| match config.modparam("auth_db", name) {
                Some(cfg::Value::Str(s)) => Some(s.clone()),
                _ => None,
            };
            url = text("db_url");
            at.user = text("user_column").unwrap_or(at.user);
            at.domain = text("domain_column").unwrap_or(at.domain);
            at.from_plaintext =
                config.modparam("auth_db", "calculate_ha1").and_then(cfg::Value::as_int).unwrap_or(0) != 0;
            if at.from_plaintext {
                at.password = text("password_column").unwrap_or(at.password);
            }
        }
        let url = url.ok_or_else(|| {
            let file = args.database.file.display();
            format!("{file} sets no db_url for auth_db (with these defines): name the database with --db URL")
        })?;
        at.db = store::open(&url).map_err(said)?;
        Ok(at)
    }
    fn is(&self, name: &Name) -> [Condition<'_>; 2] {
        [
            Condition::equal(&self.user, Value::text(&name.user)),
            Condition::equal(&self.domain, Value::text(&name.domain)),
        ]
    }
    fn add(&self, name: &Name, args: &PasswordArgs) -> Result<(), String> {
        if self.db.count(&self.table, &self.is(name)).map_err(said)? > 0 {
            return Err(format!("{name} is there already; `trunkline user passwd` changes the password"));
        }
        let (columns, row) = self.secrets(name, args)?;
        let columns: Vec<&str> = [self.user.as_str(), &self.domain].into_iter().chain(columns).collect();
        let row: Vec<Value> =
            [Value::text(&name.user), Value::text(&name.domain)].into_iter().chain(row).collect();
        self.db.insert(&self.table, &columns, &row).map_err(said)?;
        say::out(format_args!("{name} added"));
        Ok(())
    }
    fn passwd(&self, name: &Name, args: &PasswordArgs) -> Result<(), String> {
        if self.db.count(&self.table, &self.is(name)).map_err(said)? == 0 {
            return Err(format!("there is no {name}; `trunkline user add` makes one"));
        }
        let (columns, row) = self.secrets(name, args)?;
        self.db.update(&self.table, &columns, &row, &self.is(name)).map_err(said)?;
        say::out(format_args!("{name} has a new password"));
        Ok(())
    }
    fn list(&self, only: Option<&str>) -> Result<(), String> {
        let mut conditions = Vec::new();
        if let Some(only) = only {
            let (user, domain) = only.split_once('@').map_or((None, only), |(u, d)| (Some(u), d));
            conditions.push(Condition::equal(&self.domain, Value::text(domain)));
            conditions.extend(user.map(|u| Condition::equal(&self.user, Value::text(u))));
        }
        let columns = [self.user.as_str(), &self.domain];
        let order_by = Some(self.user.as_str());
        let query =
            Query { table: &self.table, columns: &columns, conditions: &conditions, order_by, limit: 0 };
        let rows = self.db.query(&query).map_err(said)?;
        for row in &rows {
            let part =
                |at| row.get(at).and_then(Value::as_text).map(String::from_utf8_lossy).unwrap_or_default();
            say::out(db::printable(&format!("{}@{}", part(0), part(1))));
        }
        Ok(())
    }
    /// The columns that make a password, and their values.
    fn secrets(&self, name: &Name, args: &PasswordArgs) -> Result<(Vec<&str>, Vec<Value>), String> {
        let password = match &args.password {
            Some(p) => p.clone(),
            None => ask(name)?,
        };
        if password.is_empty() || password.chars().any(char::is_control) {
            return Err("a password is at least one character, and none is a control character".into());
        }
        let realm = args.realm.as_deref().unwrap_or(&name.domain);
        let md5 = |text: String| Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let ha1 = md5(format!("{}:{realm}:{password}", name.user));
        let ha1b = md5(format!("{name}:{realm}:{password}"));
        if args.no_plaintext && self.from_plaintext {
            say::err(
                "trunkline: this configuration has calculate_ha1 set: without the password itself this user cannot log in",
            );
        }
        let plain = !args.no_plaintext && (args.plaintext || self.from_plaintext);
        let kept = if plain { password.as_str() } else { "" };
        Ok((
            vec![&self.password, "ha1", "ha1b"],
            vec![Value::text(kept), Value::text(ha1), Value::text(ha1b)],
        ))
    }
}

/// The password from the terminal, without showing it, or the first line of standard input.
fn ask(name: &Name) -> Result<String, String> {
    let failed = |e: &dyn std::fmt::Display| format!("reading the password: {e}");
    let mut line = String::new();
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        stdin.lock().take(LONGEST).read_line(&mut line).map_err(|e| failed(&e))?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    say::err(format_args!("Password for {name}:"));
    let before = tcgetattr(stdin.as_fd()).map_err(|e| failed(&e))?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &silent).map_err(|e| failed(&e))?;
    let read = stdin.lock().take(LONGEST).read_line(&mut line);
    let _ = tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &before);
    read.map_err(|e| failed(&e))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
