//! `trunkline ctl`: one command to the running server, its answer for people or (`--json`) for programs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use script::Module;
use serde_json::{Value as Json, json};

use super::print;
use crate::cli::CtlArgs;
use crate::rpc::ServerModule;
use crate::say;

/// Runs `ctl`.
pub fn run(args: &CtlArgs) -> ExitCode {
    match &args.command {
        None => {
            say::out(command_list(args.socket.as_deref()));
            ExitCode::SUCCESS
        }
        Some(command) => {
            let params: Vec<Json> = args.args.iter().map(|a| parameter(a)).collect();
            match ask(args.socket.as_deref(), command, &params) {
                Ok(answer) if args.json => match (answer.get("result"), answer.get("error")) {
                    (Some(result), None) => {
                        say::out(result);
                        ExitCode::SUCCESS
                    }
                    _ => {
                        say::out(answer);
                        ExitCode::FAILURE
                    }
                },
                Ok(answer) => match answer.get("error") {
                    Some(e) => {
                        let code = e.get("code").cloned().unwrap_or_default();
                        let text = e.get("message").and_then(Json::as_str).unwrap_or_default();
                        say::err(format_args!("error {code}: {text}"));
                        if text == "Method Not Found" {
                            say::err(unknown_command(args.socket.as_deref(), command));
                        }
                        ExitCode::FAILURE
                    }
                    None => {
                        say::out(
                            print::readable(answer.get("result").unwrap_or(&Json::Null))
                                .trim_end_matches('\n'),
                        );
                        ExitCode::SUCCESS
                    }
                },
                Err(e) => {
                    say::err(format_args!("trunkline ctl: {e}"));
                    ExitCode::FAILURE
                }
            }
        }
    }
}

/// What to do about a command the server does not have.
fn unknown_command(socket: Option<&Path>, command: &str) -> String {
    let listed = Client::connect(socket).and_then(|mut c| c.call("system.listMethods", &[]));
    let names = listed.ok().and_then(|mut answer| answer.get_mut("result").map(Json::take));
    let names: Vec<&str> =
        names.iter().filter_map(Json::as_array).flatten().filter_map(Json::as_str).collect();
    match cfg::suggest(command, names.iter().copied()) {
        Some(near) => format!("Did you mean '{near}'?"),
        None => "`trunkline ctl` without a command lists what the server can be asked.".to_owned(),
    }
}

/// A word of the command line as kamcmd reads it: numbers are numbers, `s:` marks text.
fn parameter(word: &str) -> Json {
    match word.strip_prefix("s:") {
        Some(text) => json!(text),
        None => word.parse::<i64>().map_or_else(|_| json!(word), |n| json!(n)),
    }
}

/// The commands with their first sentence: the running server's if one answers, else the built-in ones.
pub fn command_list(socket: Option<&Path>) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut title = "Commands of the running server:";
    if let Ok(mut c) = Client::connect(socket)
        && let Ok(answer) = c.call("system.listMethods", &[])
        && let Some(Json::Array(names)) = answer.get("result")
    {
        for name in names.iter().filter_map(Json::as_str) {
            let help = c.call("system.methodHelp", &[json!(name)]).ok();
            let doc = help.as_ref().and_then(|h| h.get("result")).and_then(Json::as_str).unwrap_or_default();
            rows.push((name.to_owned(), first_sentence(doc)));
        }
    }
    if rows.is_empty() {
        title = "Commands (no server answers; a running one may have more or fewer, by its modules):";
        let own = ServerModule::default();
        rows.extend(own.rpc().iter().map(|r| (r.name.to_owned(), first_sentence(r.doc))));
        for module in modules::names().filter_map(modules::create) {
            rows.extend(module.rpc().iter().map(|r| (r.name.to_owned(), first_sentence(r.doc))));
        }
        rows.sort();
        rows.dedup_by(|a, b| a.0 == b.0);
    }
    let width = rows.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
    let mut text = String::from(title);
    for (name, doc) in rows {
        text.push_str(&format!("\n  {name:width$}  {doc}"));
    }
    text
}

fn first_sentence(doc: &str) -> String {
    let line = doc.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    match line.find(". ") {
        Some(end) => line.get(..=end).unwrap_or_default().to_owned(),
        None => line,
    }
}

fn ask(socket: Option<&Path>, command: &str, params: &[Json]) -> Result<Json, String> {
    Client::connect(socket)?.call(command, params)
}

struct Client {
    reader: BufReader<UnixStream>,
}

impl Client {
    fn connect(socket: Option<&Path>) -> Result<Client, String> {
        let paths: Vec<PathBuf> = match socket {
            Some(p) => vec![p.to_owned()],
            None => super::default_paths(),
        };
        let mut reasons = Vec::new();
        for path in &paths {
            match UnixStream::connect(path) {
                Ok(stream) => {
                    let limit = Some(Duration::from_secs(30));
                    stream.set_read_timeout(limit).map_err(|e| e.to_string())?;
                    return Ok(Client { reader: BufReader::new(stream) });
                }
                Err(e) => reasons.push(format!("{}: {e}", path.display())),
            }
        }
        Err(format!(
            "no server answers\n  {}\nIs it running? The start-up lines name its control socket; give it with --ctl PATH or TRUNKLINE_CTL.",
            reasons.join("\n  ")
        ))
    }

    fn call(&mut self, command: &str, params: &[Json]) -> Result<Json, String> {
        let mut text = json!({"jsonrpc": "2.0", "method": command, "params": params, "id": 1}).to_string();
        text.push('\n');
        self.reader.get_mut().write_all(text.as_bytes()).map_err(|e| format!("not sent: {e}"))?;
        let mut line = String::new();
        self.reader.read_line(&mut line).map_err(|e| format!("no answer: {e}"))?;
        serde_json::from_str(&line).map_err(|e| format!("the answer is no JSON: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_parameters() {
        assert_eq!(parameter("5"), json!(5));
        assert_eq!(parameter("s:5"), json!("5"));
        assert_eq!(parameter("sip:a@b"), json!("sip:a@b"));
        assert_eq!(parameter("all"), json!("all"));
    }

    #[test]
    fn without_a_server_the_built_in_commands_are_listed() {
        let text = command_list(Some(Path::new("/nonexistent/t.sock")));
        assert!(text.contains("core.uptime  ") && text.contains("no server answers"), "{text}");
    }
}
