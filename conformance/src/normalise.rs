//! Makes transcripts of two servers comparable: addresses become roles, and what a server is free to choose becomes a placeholder.

use std::net::SocketAddr;

/// Replaces addresses by roles and server-chosen values (branches of the server's Via, its tags, Server, expires counted down) by
/// placeholders.
pub fn message(text: &str, roles: &[(SocketAddr, &str)]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out += &line_of(line, roles);
        out.push('\n');
    }
    out
}

fn line_of(line: &str, roles: &[(SocketAddr, &str)]) -> String {
    let mut line = line.to_string();
    let ours = roles.iter().find(|(_, r)| *r == "<server>").map(|(a, _)| a.to_string()).unwrap_or_default();
    let lower = line.to_ascii_lowercase();
    if lower.starts_with("server:")
        || lower.starts_with("user-agent: kamailio")
        || lower.starts_with("user-agent: trunkline")
    {
        return "Server: <server name>".into();
    }
    if lower.starts_with("via:") && line.contains(&ours) {
        line = replace_param(&line, "branch");
    }
    // Tags of the user agents in the scenarios start with "t-"; others were made by the server.
    if (lower.starts_with("to:") || lower.starts_with("t:"))
        && let Some(at) = line.find(";tag=")
        && !line[at + 5..].starts_with("t-")
    {
        line = replace_param(&line, "tag");
    }
    if lower.starts_with("contact:") {
        line = replace_param_all(&line, "expires");
    }
    for (address, role) in roles {
        line = line.replace(&address.to_string(), role);
        line = line.replace(&format!("rport={}", address.port()), &format!("rport={role}"));
    }
    line
}

fn replace_param(line: &str, name: &str) -> String {
    let key = format!(";{name}=");
    match line.find(&key) {
        Some(at) => {
            let value = at + key.len();
            let end = line[value..].find([';', ',', '>', ' ']).map_or(line.len(), |e| value + e);
            format!("{}<{name}>{}", &line[..value], &line[end..])
        }
        None => line.into(),
    }
}

fn replace_param_all(line: &str, name: &str) -> String {
    line.split(", ").map(|part| replace_param(part, name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_placeholders() {
        let server: SocketAddr = "127.0.0.1:7000".parse().unwrap();
        let alice: SocketAddr = "127.0.0.1:7001".parse().unwrap();
        let roles = [(server, "<server>"), (alice, "<alice>")];
        assert_eq!(
            message("Via: SIP/2.0/UDP 127.0.0.1:7000;branch=z9hG4bKabc;x=1", &roles),
            "Via: SIP/2.0/UDP <server>;branch=<branch>;x=1\n"
        );
        assert_eq!(
            message("Via: SIP/2.0/UDP 127.0.0.1:7001;branch=z9hG4bKabc", &roles),
            "Via: SIP/2.0/UDP <alice>;branch=z9hG4bKabc\n"
        );
        assert_eq!(message("To: <sip:b@x>;tag=t-1", &roles), "To: <sip:b@x>;tag=t-1\n");
        assert_eq!(message("To: <sip:b@x>;tag=abc.def", &roles), "To: <sip:b@x>;tag=<tag>\n");
        assert_eq!(message("Server: kamailio (5.6.3)", &roles), "Server: <server name>\n");
    }
}
