//! Accounting rows, log lines and dialogs: what Trunkline writes is what the packaged Kamailio writes for the same calls, each server with
//! an SQLite database of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use trunkline_conformance::peer::{Peer, Received};
use trunkline_conformance::subject::{Kind, Setup, Subject};

/// A database file with Kamailio's tables and our columns.
struct Ledger {
    path: PathBuf,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(folder) = self.path.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Python's own SQLite: there is a Python wherever these servers are built.
fn python(code: &str, args: &[&str]) -> String {
    let out = Command::new("python3").arg("-c").arg(code).args(args).output().expect("python3");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

impl Ledger {
    fn new(name: &str) -> Ledger {
        let folder = std::env::temp_dir().join(format!("trunkline-accounting-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("acc.db");
        const CREATE: &str = "\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for name in ('standard', 'acc', 'dialog'):
    db.executescript(open('/usr/share/kamailio/db_sqlite/' + name + '-create.sql').read())
for table in ('acc', 'missed_calls'):
    for column in ('src_user', 'src_domain', 'src_ip', 'dst_ouser', 'dst_user', 'dst_domain', 'leg'):
        db.execute('ALTER TABLE ' + table + ' ADD COLUMN ' + column + ' VARCHAR(64)')
for column in ('ci', 'tag', 'what'):
    db.execute('ALTER TABLE acc_cdrs ADD COLUMN ' + column + ' VARCHAR(64)')
db.commit()
";
        python(CREATE, &[path.to_str().expect("a path")]);
        Ledger { path }
    }
    /// Rows as lines, oldest first, without the times that differ.
    fn rows(&self) -> Vec<String> {
        const READ: &str = "\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for table, columns in (('acc', 'method,from_tag,to_tag,callid,sip_code,sip_reason,typeof(time) in (\\'real\\',\\'integer\\',\\'text\\'),'
                        'src_user,src_domain,src_ip,dst_ouser,dst_user,dst_domain,leg'),
                       ('missed_calls', 'method,from_tag,to_tag,callid,sip_code,sip_reason,typeof(time),'
                        'src_user,src_domain,src_ip,dst_ouser,dst_user,dst_domain,leg'),
                       ('acc_cdrs', 'typeof(start_time),typeof(duration),round(duration),ci,tag,what')):
    for row in db.execute('SELECT ' + columns + ' FROM ' + table + ' ORDER BY ci, id' if table == 'acc_cdrs' else
                          'SELECT ' + columns + ' FROM ' + table + ' ORDER BY callid, id'):
        print(table, *row, sep='|')
";
        let text = python(READ, &[self.path.to_str().expect("a path")]);
        // Kamailio's driver for SQLite writes empty text as NULL.
        text.lines().map(|line| without_own_tag(line, '|').replace("|None", "|")).collect()
    }
}

/// A To tag that the server made; those of the user agents begin with `t-`.
fn without_own_tag(line: &str, separator: char) -> String {
    let mut fields: Vec<String> = line.split(separator).map(str::to_owned).collect();
    for field in &mut fields {
        let own =
            |tag: &str| tag.starts_with("tl-") || (tag.len() > 30 && tag.contains('-') && !tag.contains(' '));
        if let Some(tag) = field.strip_prefix("to_tag=").filter(|t| own(t)) {
            *field = field.replace(tag, "<tag>");
        } else if own(field) {
            *field = "<tag>".into();
        }
    }
    fields.join(&separator.to_string())
}

struct Play {
    subject: Subject,
    ledger: Ledger,
    alice: Peer,
    bob: Peer,
    carol: Peer,
}

impl Play {
    fn new(kind: Kind) -> Play {
        let ledger = Ledger::new(&format!("{kind:?}"));
        let subject = Play::start(kind, &ledger, &[]);
        Play::with(subject, ledger)
    }

    fn start(kind: Kind, ledger: &Ledger, more: &[String]) -> Subject {
        // Lives as long as the test.
        let define = format!("DB=\"sqlite:///{}\"", ledger.path.display());
        let defines: Vec<&'static str> =
            std::iter::once(define).chain(more.iter().cloned()).map(|d| &*d.leak()).collect();
        let defines: &'static [&'static str] = defines.leak();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let setup = Setup { defines, ..Setup::PLAIN };
        Subject::start_with(kind, &config.join("accounting.cfg"), &config.join("accounting.py"), &setup)
    }

    fn with(subject: Subject, ledger: Ledger) -> Play {
        let peer = |name| Peer::new(name, subject.address);
        let (alice, bob, carol) = (peer("alice"), peer("bob"), peer("carol"));
        Play { subject, ledger, alice, bob, carol }
    }

    fn request(&self, method: &str, call: &str, cseq: u32, branch: &str, rows: &str) -> String {
        let (me, server) = (self.alice.address, self.subject.address);
        format!(
            "{method} sip:bob@{server} SIP/2.0\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call}{branch}\nMax-Forwards: 8\n\
             From: \"A\" <sip:alice@a.example>;tag=t-{call}\nTo: <sip:bob@b.example>\nCall-ID: {call}\nCSeq: {cseq} {method}\n\
             Contact: <sip:alice@{me}>\n{rows}Content-Length: 0\n\n"
        )
    }

    /// INVITE to bob; what bob gets.
    fn invite(&mut self, call: &str, what: &str) -> Received {
        let rows = format!(
            "X-Do: {what}\nX-Uri: sip:bobby@{}\nX-Uri2: sip:caro@{}\n",
            self.bob.address, self.carol.address
        );
        self.alice.send(&self.request("INVITE", call, 1, "i", &rows));
        self.bob.expect("INVITE")
    }

    fn within(&self, method: &str, cseq: u32, ok: &Received) -> String {
        let call = ok.header("Call-ID").to_owned();
        let mut routes: Vec<&str> = ok.all("Record-Route");
        routes.reverse();
        let rows: String = routes.iter().map(|r| format!("Route: {r}\n")).collect();
        let target = format!("sip:bob@{}", self.bob.address);
        self.request(method, &call, cseq, &format!("{method}{cseq}"), &rows)
            .replacen(&format!("sip:bob@{}", self.subject.address), &target, 1)
            .replace("To: <sip:bob@b.example>", &format!("To: {}", ok.header("To")))
    }

    /// A call that is answered and ended by the caller, or by the callee.
    fn answered(&mut self, call: &str, what: &str, by_callee: bool) {
        let invite = self.invite(call, what);
        let contact = format!("Contact: <sip:bob@{}>\n", self.bob.address);
        self.bob.send(&invite.reply("180 Ringing", "t-bob", &contact));
        self.alice.expect("180");
        self.bob.send(&invite.reply("200 Fine", "t-bob", &contact));
        let ok = self.alice.expect("200");
        self.alice.send(&self.within("ACK", 1, &ok));
        self.bob.expect("ACK");
        if by_callee {
            let me = self.bob.address;
            let route: String = invite.all("Record-Route").iter().map(|r| format!("Route: {r}\n")).collect();
            self.bob.send(&format!(
                "BYE sip:alice@{} SIP/2.0\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call}bb\nMax-Forwards: 8\n{route}\
                 From: <sip:bob@b.example>;tag=t-bob\nTo: <sip:alice@a.example>;tag=t-{call}\nCall-ID: {call}\nCSeq: 7 BYE\n\
                 Content-Length: 0\n\n",
                self.alice.address
            ));
            let bye = self.alice.expect("BYE");
            self.alice.send(&bye.reply("200 Bye", "", ""));
            self.bob.expect("200");
        } else {
            self.alice.send(&self.within("BYE", 2, &ok));
            let bye = self.bob.expect("BYE");
            self.bob.send(&bye.reply("200 Bye", "", ""));
            self.alice.expect("200");
        }
    }

    /// A call that fails with this reply of bob's.
    fn refused(&mut self, call: &str, what: &str, status: &str, heard: &str) {
        let invite = self.invite(call, what);
        self.bob.send(&invite.reply(status, "t-bob", ""));
        self.bob.expect("ACK");
        if what == "serial" {
            let invite = self.carol.expect("INVITE");
            self.carol.send(&invite.reply("480 Away", "t-carol", ""));
            self.carol.expect("ACK");
        }
        self.end(call, heard);
    }

    /// The caller gets a failure and acknowledges it.
    fn end(&mut self, call: &str, heard: &str) {
        let failure = self.alice.expect(heard);
        let ack = self.request("ACK", call, 1, "i", "");
        let to = format!("To: {}", failure.header("To"));
        self.alice.send(&ack.replace("To: <sip:bob@b.example>", &to));
    }

    fn cancelled(&mut self, call: &str) {
        let invite = self.invite(call, "");
        self.bob.send(&invite.reply("180 Ringing", "t-bob", ""));
        self.alice.expect("180");
        self.alice.send(&self.request("CANCEL", call, 1, "i", ""));
        let cancel = self.bob.expect("CANCEL");
        self.bob.send(&cancel.reply("200 OK", "t-bob", ""));
        self.bob.send(&invite.reply("487 Request Terminated", "t-bob", ""));
        self.bob.expect("ACK");
        self.end(call, "487");
    }

    fn here(&mut self, call: &str, what: &str, heard: &str) {
        self.alice.send(&self.request("INVITE", call, 1, "i", &format!("X-Do: {what}\n")));
        self.end(call, heard);
    }

    /// Nobody answers.
    fn silent(&mut self, call: &str) {
        self.invite(call, "");
        self.end(call, "408");
        self.bob.received.clear();
    }

    /// What the log says of it: accounting lines, and what the script said.
    fn log(&self) -> Vec<String> {
        let log = self.subject.log();
        let mut lines: Vec<String> = log
            .lines()
            .filter_map(|line| {
                let line = line.find("ACC: ").or_else(|| line.find("SAY ")).and_then(|at| line.get(at..))?;
                let line = match line.find("timestamp=") {
                    Some(at) => {
                        format!("{}{}", &line[..at], &line[line[at..].find(';').map_or(at, |n| at + n)..])
                    }
                    None => line.to_owned(),
                };
                Some(without_own_tag(&line, ';'))
            })
            .collect();
        // Two workers of Kamailio's write them.
        lines.sort();
        lines
    }
}

fn play(kind: Kind) -> (Vec<String>, Vec<String>, Vec<String>) {
    let mut p = Play::new(kind);
    // First: Kamailio would show the To tag of the reply before.
    p.here("d2-stateless", "stateless", "404");
    p.answered("a1-answered", "", false);
    p.answered("a2-by-callee", "", true);
    p.answered("a3-legs", "legs", false);
    p.refused("b1-busy", "", "486 Busy Here", "486");
    p.refused("b2-failed", "failed", "480 Somewhere Else", "480");
    p.refused("b3-serial", "serial", "486 Busy Here", "480");
    p.refused("b4-mapped", "mapped", "486 Busy Here", "404");
    p.refused("b5-challenged", "", "401 Unauthorized", "401");
    p.refused("b6-moved", "", "302 Moved", "302");
    p.cancelled("c1-cancelled");
    p.here("d1-local", "local", "404");
    p.silent("e1-silent");
    // The last row is written after the last reply.
    let end = Instant::now() + Duration::from_secs(10);
    let missed = |log: String| log.lines().any(|l| l.contains("ACC: call missed") && l.contains("e1-silent"));
    while !missed(p.subject.log()) && Instant::now() < end {
        std::thread::yield_now();
    }
    // Reading while Kamailio writes would make it lose rows.
    p.bob.settle(Duration::from_millis(500));
    // The cookie in Record-Route, which both sides bring back.
    let cookies = p
        .bob
        .received
        .iter()
        .chain(&p.alice.received)
        .filter_map(|m| m.lines().find(|l| l.starts_with("Record-Route:")))
        .map(|l| l.replace(&p.subject.address.to_string(), "<server>"))
        .map(|l| match l.split_once(";did=") {
            Some((before, cookie)) => {
                let dots = cookie
                    .trim_end_matches('>')
                    .split('.')
                    .filter(|n| n.chars().all(|c| c.is_ascii_hexdigit()));
                format!("{before};did={} hexadecimal numbers", dots.count())
            }
            None => l,
        })
        .collect();
    (p.ledger.rows(), p.log(), cookies)
}

#[test]
fn rows_and_lines_are_equal_to_kamailios() {
    let (ours, theirs) = std::thread::scope(|both| {
        let ours = both.spawn(|| play(Kind::Trunkline));
        let theirs = play(Kind::Kamailio);
        (ours.join().expect("the calls through Trunkline"), theirs)
    });
    let differs = |what: &str, ours: &[String], theirs: &[String]| {
        let mut out = String::new();
        for line in theirs.iter().filter(|l| !ours.contains(l)) {
            out += &format!("- {line}\n");
        }
        for line in ours.iter().filter(|l| !theirs.contains(l)) {
            out += &format!("+ {line}\n");
        }
        if out.is_empty() && ours != theirs {
            out = format!("another order or number: {} and {}\n", theirs.len(), ours.len());
        }
        if out.is_empty() { out } else { format!("=== {what}\n{out}") }
    };
    let wrong = [
        differs("rows", &ours.0, &theirs.0),
        differs("log", &ours.1, &theirs.1),
        differs("Record-Route", &ours.2, &theirs.2),
    ]
    .concat();
    assert!(wrong.is_empty(), "- Kamailio, + Trunkline\n{wrong}");
    assert!(ours.0.len() > 12 && ours.1.len() > 30 && ours.2.len() > 10, "{ours:?}");
}

/// Another program that keeps the database to itself until it is ended.
struct Hold(std::process::Child);

impl Hold {
    fn on(ledger: &Ledger) -> Hold {
        use std::io::{BufRead, BufReader};
        const HOLD: &str = "\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('BEGIN EXCLUSIVE')
print('held', flush=True)
sys.stdin.read()
";
        let mut child = Command::new("python3")
            .args(["-c", HOLD])
            .arg(&ledger.path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line, "held\n");
        Hold(child)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn rows_outlive_a_database_that_is_away_and_a_server_that_is_killed() {
    let ledger = Ledger::new("journal");
    let journal = ledger.path.with_extension("journal");
    let defines = [format!("JOURNAL=\"{}\"", journal.display())];
    let mut p = Play::with(Play::start(Kind::Trunkline, &ledger, &defines), ledger);
    let waiting = || std::fs::read_to_string(&journal).unwrap_or_default();
    let until = |what: &str, done: &mut dyn FnMut() -> bool| {
        let end = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < end, "{what}; in the file:\n{}", waiting());
            std::thread::yield_now();
        }
    };
    let accounted = |ledger: &Ledger| -> Vec<String> {
        let rows = ledger.rows().into_iter().filter(|r| r.starts_with("acc|"));
        rows.map(|r| r.split('|').nth(4).unwrap_or_default().to_owned()).collect()
    };
    p.answered("j1-before", "", false);
    until("the rows of the first call are in the database", &mut || accounted(&p.ledger).len() == 2);
    let hold = Hold::on(&p.ledger);
    for call in ["j2-away", "j3-away"] {
        p.answered(call, "", false);
    }
    // INVITE, BYE and the record of the call.
    until("the rows of two calls are in the file", &mut || waiting().matches('\n').count() >= 6);
    let Play { subject, ledger, .. } = p;
    subject.crash();
    let mut p = Play::with(Play::start(Kind::Trunkline, &ledger, &defines), ledger);
    p.answered("j4-after", "", false);
    drop(hold);
    until("all rows are in the database", &mut || accounted(&p.ledger).len() >= 8);
    let twice = ["j1-before", "j2-away", "j3-away", "j4-after"].map(|call| [call, call]).concat();
    assert_eq!(accounted(&p.ledger), twice, "each row once");
    until("the file is empty again", &mut || waiting().is_empty());
}
