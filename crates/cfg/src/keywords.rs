//! Reserved words: the preprocessor never replaces them.

use crate::params;

/// Words that begin statements of the main level, other than parameters.
pub(crate) const STATEMENTS: [&str; 17] = [
    "loadmodule",
    "loadmodulex",
    "modparam",
    "modparamx",
    "request_route",
    "route",
    "reply_route",
    "onreply_route",
    "onsend_route",
    "failure_route",
    "branch_route",
    "event_route",
    "include_file",
    "import_file",
    "flags",
    "bool",
    "avpflags",
];

const ACTIONS: [&str; 30] = [
    "if",
    "else",
    "while",
    "switch",
    "case",
    "default",
    "break",
    "return",
    "exit",
    "drop",
    "yes",
    "no",
    "on",
    "off",
    "true",
    "false",
    "enable",
    "disable",
    "and",
    "or",
    "not",
    "defined",
    "advertise",
    "forward",
    "method",
    "uri",
    "status",
    "udp",
    "tcp",
    "tls",
];

pub(crate) fn is_reserved(word: &str) -> bool {
    STATEMENTS.contains(&word) || ACTIONS.contains(&word) || params::find(word).is_some()
}

/// Words that begin statements of route blocks.
pub(crate) fn is_action(word: &str) -> bool {
    ACTIONS.contains(&word)
}
