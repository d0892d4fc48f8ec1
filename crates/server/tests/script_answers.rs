//! What a script is answered in the request route of an INVITE, with its transaction made: the answers of Kamailio 5.6 and 6.1.

mod common;

use common::{Folder, Phone, Server, text};

const ANSWERS: &[(&str, &str)] = &[
    ("KSR.pv.get('$T_branch_idx')", "0"),
    ("KSR.pv.get('$T_req($rm)')", "None"),
    // The table of `preload` is there from the first message on.
    ("KSR.registrar.unregister('location', 'sip:nobody@h')", "1"),
    ("KSR.registrar.unregister_ruid('location', 'sip:nobody@h', 'x')", "-3"),
    ("KSR.registrar.unregister('other', 'sip:nobody@h')", "-1"),
    ("KSR.tm.t_release()", "1"),
    ("KSR.tm.t_save_lumps()", "-1"),
    ("KSR.maxfwd.is_maxfwd_lt(256)", "-1"),
    ("KSR.maxfwd.is_maxfwd_lt(255)", "1"),
    ("KSR.maxfwd.process_maxfwd(256)", "-1"),
    ("KSR.maxfwd.process_maxfwd(-1)", "-1"),
    ("KSR.rr.is_direction('word')", "-6"),
    ("KSR.info('a line')", "0"),
    ("KSR.corex.append_branch_uri('sip:x@127.0.0.1')", "1"),
    ("KSR.tm.t_newtran()", "1"),
    ("KSR.pv.get('$T_branch_idx')", "1"),
    ("KSR.pv.get('$T(branch_index)')", "1"),
    ("KSR.pv.get('$T_req($rm)')", "None"),
    ("KSR.pv.get('$T_inv($rm)')", "None"),
    ("KSR.pv.get('$T_reply_last')", "None"),
    ("KSR.pv.get('$T(reply_type)')", "0"),
    ("KSR.pv.get('$T(uac_count)')", "None"),
    ("KSR.tmx.t_cancel_branches('all')", "-1"),
    ("KSR.tmx.t_cancel_branches('this')", "-1"),
];

#[test]
fn a_request_route_with_a_transaction() {
    let folder = Folder::new();
    let asked: Vec<&str> = ANSWERS.iter().map(|(call, _)| *call).collect();
    let script = format!(
        "import KSR\nclass H:\n    def child_init(self, rank):\n        return 0\n    def ksr_request_route(self, msg):\n        \
         got = ' '.join(repr(answer) for answer in [{}])\n        KSR.tm.t_reply(486, got)\n        return 1\n\
         def mod_init():\n    return H()\n",
        asked.join(", ")
    );
    let script = folder.write("route.py", &script);
    let modules = ["tm", "tmx", "sl", "pv", "usrloc", "registrar", "corex", "rr", "maxfwd", "app_python3"];
    let mut config = String::from("children=1\nlisten=udp:127.0.0.1:0\n");
    modules.iter().for_each(|m| config.push_str(&format!("loadmodule \"{m}.so\"\n")));
    config.push_str(&format!(
        "modparam(\"usrloc\", \"preload\", \"location\")\nmodparam(\"app_python3\", \"load\", \"{}\")\ncfgengine \"python\"\n",
        script.display()
    ));
    let config = folder.write("kamailio.cfg", &config);
    let server = Server::start_config(folder, &config, &[]);
    let phone = server.phone();
    phone.send("INVITE", "answers");
    let reason = reason(&phone);
    let got: Vec<&str> = reason.split(' ').collect();
    assert_eq!(got.len(), ANSWERS.len(), "{reason}");
    let wrong: Vec<String> = ANSWERS
        .iter()
        .zip(got)
        .filter(|((_, expected), got)| expected != got)
        .map(|((call, expected), got)| format!("{call} is {got}, should be {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.ran(&[("ksr_request_route", 1)]);
}

/// The reason phrase of the next final reply.
fn reason(phone: &Phone) -> String {
    loop {
        let reply = phone.receive();
        let first = text(&reply).lines().next().unwrap_or_default().to_owned();
        if let Some(reason) = first.strip_prefix("SIP/2.0 486 ") {
            return reason.to_owned();
        }
        assert!(first.starts_with("SIP/2.0 1"), "{first}");
    }
}
