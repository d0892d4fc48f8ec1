//! The binary as unit files, shells and pipes call it.

mod common;

use std::process::Stdio;

use common::{ANSWER, Folder, MODULES, Server, binary, kill, run_to_end, text};

/// A configuration `kamailio.cfg` and its script in one folder; the script is named relative to it.
fn beside() -> Folder {
    let folder = Folder::new();
    folder.write("route.py", ANSWER);
    let modules = MODULES.replace("{script}", "route.py");
    folder.write("kamailio.cfg", &format!("children=1\nlisten=udp:127.0.0.1:0\n{modules}"));
    folder
}

#[test]
fn a_script_is_found_whatever_the_working_directory_becomes() {
    let folder = beside();
    let control = folder.path().join("ctl.sock");
    // Relative to the shell's folder; the server works in `/` before it loads the script.
    let mut child = binary()
        .current_dir(folder.path())
        .args(["-f", "kamailio.cfg", "-w", "/", "--ctl", &control.display().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("trunkline");
    let mut said = String::new();
    let stderr = child.stderr.take().expect("stderr");
    for line in std::io::BufRead::lines(std::io::BufReader::new(stderr)).map_while(Result::ok) {
        said.push_str(&line);
        if line.starts_with("Ready.") {
            kill(child.id(), "TERM");
        }
    }
    assert_eq!(child.wait().expect("exit").code(), Some(0), "{said}");
    assert!(said.contains("Ready."), "{said}");
}

#[test]
fn a_script_in_the_working_directory_comes_before_one_beside_the_configuration() {
    let folder = beside();
    let elsewhere = Folder::new();
    elsewhere.write("route.py", "import nosuchmodule_of_the_other_script\n");
    let out = run_to_end(&[
        "-c",
        "-f",
        &folder.path().join("kamailio.cfg").display().to_string(),
        "-w",
        &elsewhere.path().display().to_string(),
    ]);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains(&elsewhere.path().join("route.py").display().to_string()), "{said}");
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let folder = beside();
    let config = folder.path().join("kamailio.cfg");
    for args in
        [vec!["check", "-f", "/nonexistent/k.cfg"], vec!["check", "-f"], vec!["generate"], vec!["version"]]
    {
        let (reader, writer) = std::io::pipe().expect("pipe");
        let mut command = binary();
        command.args(&args);
        if args.last() == Some(&"-f") {
            command.arg(&config);
        }
        command.stdout(writer.try_clone().expect("pipe")).stderr(writer);
        drop(reader);
        let code = command.status().expect("trunkline").code();
        assert!(matches!(code, Some(0 | 1)), "{args:?}: {code:?}");
    }
}

#[test]
fn a_check_prints_the_version_when_asked() {
    for args in [&["-cv"][..], &["check", "-v"], &["-V"], &["run", "--version"], &["version"]] {
        let out = run_to_end(args);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", text(&out.stderr));
        assert!(text(&out.stdout).starts_with("version: trunkline "), "{args:?}: {}", text(&out.stdout));
    }
}

#[test]
fn the_evaluated_configuration_is_printed_and_nothing_started() {
    let folder = Folder::new();
    folder.write("more.cfg", "children=WORKERS\n");
    let config = folder.write(
        "kamailio.cfg",
        "#!define WORKERS 3\n#!ifdef QUIET\ndebug=0\n#!else\ndebug=2\n#!endif\ninclude_file \"more.cfg\"\n",
    );
    let config = config.display().to_string();
    let out = run_to_end(&["--cfg-print", "-f", &config]);
    assert_eq!((text(&out.stdout).as_str(), out.status.code()), ("debug=2\nchildren=3\n", Some(0)));
    let out = run_to_end(&["-A", "QUIET", "--cfg-print", "-f", &config]);
    assert_eq!(text(&out.stdout), "debug=0\nchildren=3\n");
    let out = run_to_end(&["--cfg-print", "-f", "/nonexistent/kamailio.cfg"]);
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn flags_without_a_meaning_are_named_in_one_debug_line() {
    let server = Server::start_with(
        "children=1",
        ANSWER,
        &[
            "-DDEe",
            "-ddd",
            "-m64",
            "-M",
            "8",
            "-N",
            "2",
            "-xfm",
            "-X",
            "qm",
            "-TS",
            "-rR",
            "-L/usr/lib",
            "-W",
            "epoll_lt",
        ],
    );
    let lines: Vec<&str> = server.banner.lines().filter(|l| l.contains("without a meaning")).collect();
    assert_eq!(lines.len(), 1, "{}", server.banner);
    assert!(
        lines[0].contains("DEBUG") && lines[0].ends_with(": -L -m -M -x -X -N -T -S -r -R -W"),
        "{}",
        lines[0]
    );
    assert_eq!(server.end().0, 0);
}

#[test]
fn sockets_of_the_command_line_come_after_those_of_the_configuration() {
    let server = Server::start_with(
        "children=1",
        ANSWER,
        &["-l", "udp:127.0.0.1:0/192.0.2.1:5060", "-l", "udp:[::1]:0"],
    );
    let rows: Vec<&str> = server.banner.lines().filter(|l| l.contains("listening")).collect();
    assert_eq!(rows.len(), 3, "{}", server.banner);
    assert!(rows[1].contains("advertised as 192.0.2.1:5060"), "{}", rows[1]);
    assert!(rows[2].contains("udp:[::1]:"), "{}", rows[2]);
}
