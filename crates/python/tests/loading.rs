//! A script that cannot route does not start, and the reason says where to look.

mod common;
use common::*;

fn error(text: &str) -> String {
    match Server::load(text, |_| {}) {
        Ok(_) => panic!("loaded:\n{text}"),
        Err(e) => e.message,
    }
}

#[test]
fn syntax_error() {
    let e = error("import KSR\ndef mod_init():\n    return 1 +* 2\n");
    assert!(e.contains("route.py:3:"), "{e}");
    assert!(e.contains("SyntaxError: invalid syntax\n        return 1 +* 2\n                  ^"), "{e}");
}

#[test]
fn import_that_fails() {
    let e = error("import KSR\nimport no_such_module_here\n");
    assert!(e.contains("could not be imported") && e.contains("route.py\", line 2"), "{e}");
    assert!(e.contains("No module named 'no_such_module_here'"), "{e}");
    let e = error("import KSR\nx = undefined_name\n");
    assert!(e.contains("NameError") && e.contains("line 2"), "{e}");
}

#[test]
fn no_mod_init() {
    assert!(error("import KSR\n").contains("has no function mod_init()"));
    assert!(error("mod_init = 5\n").contains("has no function mod_init()"));
    assert!(error("def mod_init(): pass\n").contains("returned None"));
    let e = error("def mod_init():\n    raise ValueError('no database')\n");
    assert!(
        e.contains("mod_init() of ") && e.contains("ValueError: no database") && e.contains("line 2"),
        "{e}"
    );
}

#[test]
fn no_request_callback() {
    let e = error("class H:\n    def ksr_reply_route(self, msg): pass\ndef mod_init(): return H()\n");
    assert!(e.contains("has no callback ksr_request_route(self, msg)"), "{e}");
}

#[test]
fn other_names() {
    let text = "class H:\n    def on_request(self, msg): return 5\ndef start(): return H()\n";
    let server = Server::load(text, |s| {
        s.script_init = "start".into();
        s.request_callback = "on_request".into();
    })
    .expect("script");
    assert_eq!(server.engine.found(), ["on_request"]);
}

#[test]
fn child_init_that_fails() {
    for (body, expected) in
        [("raise RuntimeError('no socket')", "RuntimeError: no socket"), ("return -1", "child_init(7) of ")]
    {
        let text = format!(
            "class H:\n    def child_init(self, rank):\n        {body}\n    def ksr_request_route(self, msg): pass\n\
             def mod_init(): return H()\n"
        );
        for mode in modes() {
            let server = Server::mode(&text, mode);
            let e = server.engine.worker(7, &server.core).err().expect("refused").message;
            assert!(e.contains(expected), "{e}");
        }
    }
}

#[test]
fn settings_out_of_range() {
    let e = Server::load("", |s| s.threads_mode = 2).err().expect("refused").message;
    assert!(e.contains("threads_mode is 2"), "{e}");
    let e = Server::load("", |s| s.script = "/no/such/script.py".into()).err().expect("refused").message;
    assert!(e.contains("cannot read the script /no/such/script.py"), "{e}");
    assert!("some".parse::<trunkline_python::Interpreters>().is_err());
    assert!("later".parse::<trunkline_python::OnException>().is_err());
}

#[test]
fn per_worker_needs_a_python_that_has_it() {
    if modes().len() > 1 {
        return;
    }
    let text = "class H:\n    def ksr_request_route(self, msg): pass\ndef mod_init(): return H()\n";
    let load = |mode| Server::load(text, |s| s.interpreters = mode);
    let e = load(trunkline_python::Interpreters::PerWorker).err().expect("refused").message;
    assert!(e.contains("needs Python 3.13"), "{e}");
    let server = load(trunkline_python::Interpreters::Auto).expect("shared instead");
    assert_eq!(server.engine.rpc_engine()["interpreters"], "shared");
}

#[test]
fn the_scripts_folder_and_the_standard_library_are_found() {
    let text = "import KSR, sys, os\nimport json, logging, threading, socket, asyncio, concurrent.futures, subprocess, re, datetime\n\
        import neighbour\nassert sys.path[0] == os.path.dirname(os.path.abspath(__file__)), sys.path\n\
        assert sys.argv == [__file__], sys.argv\nassert sys.flags.utf8_mode == 1\nassert __name__.startswith('route'), __name__\n\
        class H:\n    def ksr_request_route(self, msg):\n        return neighbour.VALUE\n\
        def mod_init():\n    assert subprocess.run(['true']).returncode == 0\n    return H()\n";
    for mode in modes() {
        let script = write("route.py", text);
        std::fs::write(script.with_file_name("neighbour.py"), "VALUE = 42\n").expect("written");
        let server = match Server::load("", |s| {
            s.script = script;
            s.interpreters = mode;
        }) {
            Ok(server) => server,
            Err(e) => panic!("{mode:?}: {e}"),
        };
        let ran = server.station(1).run("ksr_request_route", INVITE);
        assert_eq!(ran.outcome, script::RunOutcome::Returned(42));
    }
}

/// A libpython of another version or place could be found at run time: the loader has its own idea where to look.
#[test]
fn python_at_run_time_is_the_one_this_was_built_against() {
    let built = std::process::Command::new(env!("TRUNKLINE_PYTHON_EXECUTABLE"))
        .args(["-c", "import sys; print(sys.version, sys.base_prefix)"])
        .env_remove("VIRTUAL_ENV")
        .output()
        .expect("python");
    let built = String::from_utf8_lossy(&built.stdout).trim().to_owned();
    assert!(!built.is_empty());
    let text = format!(
        "import KSR, sys\nfound = '%s %s' % (sys.version, sys.base_prefix)\nassert found == {built:?}, found\n\
         class H:\n    def ksr_request_route(self, msg): pass\ndef mod_init(): return H()\n"
    );
    for mode in modes() {
        Server::mode(&text, mode);
    }
}

/// An extension module that refuses an interpreter of its own, as numpy does; played by a Python module.
#[test]
fn auto_falls_back_to_shared() {
    // A free-threaded build takes the shared interpreter at once.
    if modes().len() < 2 || cfg!(Py_GIL_DISABLED) {
        return;
    }
    let text = "import KSR\ntry:\n    import _interpreters\nexcept ImportError:\n    import _xxsubinterpreters as _interpreters\n\
        current = _interpreters.get_current()\ncurrent = current[0] if isinstance(current, tuple) else current\n\
        if current != 0:\n    try:\n        raise ImportError('module fastmath._core does not support loading in subinterpreters')\n\
        \x20   except ImportError as e:\n        raise ImportError('please reinstall fastmath') from e\n\
        class H:\n    def ksr_request_route(self, msg): pass\ndef mod_init(): return H()\n";
    let load = |mode| Server::load(text, |s| s.interpreters = mode);
    let server = load(trunkline_python::Interpreters::Auto).expect("shared instead");
    let rpc = server.engine.rpc_engine();
    assert_eq!(rpc["interpreters"], "shared");
    assert!(rpc["why"].as_str().is_some_and(|w| w.contains("fastmath._core")), "{rpc}");
    assert!(log().contains("extension module fastmath._core does not support more than one"), "{}", log());
    let e = load(trunkline_python::Interpreters::PerWorker).err().expect("refused").message;
    assert!(e.contains("fastmath._core") && e.contains("\"shared\""), "{e}");
}
