//! `trunkline db` and `trunkline user`, on SQLite and on the servers.

mod common;
#[path = "../../store/tests/common/mod.rs"]
mod databases;

use std::io::Write;
use std::process::Stdio;

use common::{Folder, binary, text};

/// Runs a command; its success and what it said, both outputs together.
fn run(args: &[&str], input: &str) -> (bool, String) {
    let mut command = binary();
    command
        .args(args)
        .env_remove("SIP_DOMAIN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("runs");
    // A command that reads nothing closes it.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("ends");
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

fn fine(args: &[&str], input: &str) -> String {
    let (ok, said) = run(args, input);
    assert!(ok, "{args:?}: {said}");
    said
}

fn refused(args: &[&str]) -> String {
    let (ok, said) = run(args, "");
    assert!(!ok, "{args:?}: {said}");
    said
}

fn everything(url: &str, other: &str) {
    let made = fine(&["db", "create", url], "");
    assert!(
        made.contains("made  location (version 9)") && made.contains("33 tables made, 0 were there"),
        "{made}"
    );
    assert!(fine(&["db", "create", url], "").contains("0 tables made, 33 were there"));
    let checked = fine(&["db", "check", url], "");
    assert_eq!(checked.lines().filter(|l| l.starts_with("fine")).count(), 33, "{checked}");

    let user =
        |command: &[&str], more: &[&str], input: &str| run(&[command, more, &["--db", url]].concat(), input);
    assert_eq!(
        user(&["user", "add"], &["alice@Example.com"], "secret\n"),
        (true, "alice@example.com added\n".into())
    );
    assert!(user(&["user", "add"], &["bob'--@example.com", "b'ob", "--plaintext"], "").0);
    let again = user(&["user", "add"], &["alice@example.com", "x"], "");
    assert!(!again.0 && again.1.contains("is there already"), "{}", again.1);
    assert!(user(&["user", "add"], &["carol", "x"], "").1.contains("which domain?"));
    let shown = fine(&["db", "show", url, "subscriber"], "");
    assert!(shown.contains("(hidden)") && !shown.contains("b'ob"), "{shown}");
    // md5 of alice:example.com:secret and of alice@example.com:example.com:secret, as kamctl has them.
    let shown = fine(&["db", "show", url, "subscriber", "--secrets"], "");
    assert!(shown.contains(HA1), "{shown}");
    assert!(shown.contains(HA1B) && shown.contains("b'ob"), "{shown}");
    assert!(user(&["user", "passwd"], &["alice@example.com"], "other\n").0);
    assert!(!fine(&["db", "show", url, "subscriber", "--secrets"], "").contains(HA1));
    assert!(
        user(&["user", "passwd"], &["nobody@example.com", "x"], "")
            .1
            .contains("there is no nobody@example.com")
    );

    let moved = fine(&["db", "migrate", url, other], "");
    assert!(moved.contains("copied   subscriber: 2 rows") && moved.contains("2 rows copied"), "{moved}");
    assert!(
        refused(&["db", "migrate", url, other])
            .contains("left     subscriber: the other database has rows in it")
    );
    assert_eq!(fine(&["user", "list", "--db", other], ""), "alice@example.com\nbob'--@example.com\n");
    assert_eq!(
        user(&["user", "rm"], &["bob'--@example.com"], ""),
        (true, "bob'--@example.com is gone\n".into())
    );
    assert_eq!(user(&["user", "list"], &["example.com"], "").1, "alice@example.com\n");
    assert!(!user(&["user", "rm"], &["bob'--@example.com"], "").0);

    let shared = store::open(url).expect("opens");
    let location = [store::Condition::equal("table_name", store::Value::text("location"))];
    assert_eq!(shared.update("version", &["table_version"], &[store::Value::Int(8)], &location), Ok(1));
    assert!(refused(&["db", "check", url]).contains("wrong    location: version 8, wanted 9"));
}

const HA1: &str = "b1726872c344b6dc8365b774f8fd6412";
const HA1B: &str = "c79656e4f06dbae9fdf6727654273c65";

#[test]
fn on_sqlite() {
    let folder = databases::Folder::new();
    let other = format!("sqlite://{}/other.db", folder.0.display());
    everything(&folder.sqlite(), &other);
}

#[test]
fn on_servers() {
    let folder = databases::Folder::new();
    for kind in ["mysql", "postgres"] {
        let Some(url) = databases::server(kind, "commands") else { continue };
        everything(&url, &format!("sqlite://{}/{kind}.db", folder.0.display()));
    }
}

#[test]
fn text_files_are_moved() {
    let (files, target) = (Folder::new(), databases::Folder::new());
    files.write(
        "version",
        "id(int,auto) table_name(string) table_version(int)\n0:subscriber:7\n0:location:9\n",
    );
    let subscriber =
        "id(int,auto) username(string) domain(string) password(string) ha1(string) ha1b(string)\n";
    files.write("subscriber", &format!("{subscriber}1:a\\:b:example.com:p\\\\w::\n2:c:example.com:::\n"));
    files.write("location", "id(int,auto) ruid(string) username(string) domain(string,null) contact(string) expires(int)\n1:r1:alice::sip:a@h:1\n");
    let url = format!("text://{}", files.path().display());
    let (ok, said) = run(&["db", "migrate", &url, &target.sqlite()], "");
    assert!(!ok && said.contains("copied   subscriber: 2 rows"), "{said}");
    assert!(said.contains("location: reading:") && said.contains("line 2: 7 values for 6 columns"), "{said}");
    assert_eq!(fine(&["user", "list", "--db", &target.sqlite()], ""), "a:b@example.com\nc@example.com\n");
}

/// The stock configuration names its database; its calculate_ha1 needs the password itself.
#[test]
fn the_configuration_says_where() {
    let (folder, database) = (Folder::new(), databases::Folder::new());
    let url = database.sqlite();
    let config = format!(
        "#!ifdef WITH_AUTH\nloadmodule \"auth_db.so\"\nmodparam(\"auth_db\", \"db_url\", \"{url}\")\n\
         modparam(\"auth_db\", \"calculate_ha1\", yes)\nmodparam(\"auth_db\", \"password_column\", \"password\")\n#!endif\n"
    );
    let config = folder.write("kamailio.cfg", &config).display().to_string();
    assert!(refused(&["db", "create", "-f", &config]).contains("sets no db_url (with these defines)"));
    assert!(refused(&["user", "list", "-f", &config]).contains("--db URL"));
    let flags = ["-f", &config, "-A", "WITH_AUTH"];
    assert!(refused(&[&["user", "list"], &flags[..]].concat()).contains("there is no file"));
    fine(&[&["db", "create"], &flags[..]].concat(), "");
    fine(&[&["user", "add", "alice@example.com", "secret"], &flags[..]].concat(), "");
    assert!(fine(&["db", "show", &url, "subscriber", "--secrets"], "").contains("  secret  "));
}
