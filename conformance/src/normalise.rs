//! Makes transcripts of two servers comparable: addresses become roles, and what a server is free to choose becomes a placeholder.

/// Replaces addresses by roles and server-chosen values (branches of the server's Via, its tags, Server, expires counted down) by
/// placeholders.
pub fn message(text: &str, roles: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out += &line_of(line, roles);
        out.push('\n');
    }
    out
}

/// A column of an accounting row: tags that the server made become a placeholder.
pub fn value(text: &str) -> String {
    let made_here = text.len() > 20 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if made_here { "<tag>".into() } else { text.into() }
}

fn line_of(line: &str, roles: &[(&str, &str)]) -> String {
    let mut line = line.to_string();
    let ours = |text: &str| roles.iter().any(|(a, r)| r.starts_with("<server") && text.contains(a));
    let lower = line.to_ascii_lowercase();
    if lower.starts_with("server:")
        || lower.starts_with("user-agent: kamailio")
        || lower.starts_with("user-agent: trunkline")
    {
        return "Server: <server name>".into();
    }
    if lower.starts_with("via:") && ours(&line) {
        line = replace_param(&line, "branch");
    }
    // Tags of the user agents in the scenarios start with "t-"; others were made by the server.
    if (lower.starts_with("to:") || lower.starts_with("t:"))
        && let Some(at) = line.find(";tag=")
        && !line[at + 5..].starts_with("t-")
    {
        line = replace_param(&line, "tag");
    }
    if (lower.starts_with("www-authenticate:") || lower.starts_with("proxy-authenticate:"))
        && let Some((before, rest)) = line.split_once("nonce=\"")
        && let Some((_, after)) = rest.split_once('"')
    {
        line = format!("{before}nonce=\"<nonce>\"{after}");
    }
    if lower.starts_with("contact:") {
        line = replace_param_all(&replace_param_all(&line, "expires"), "temp-gruu");
    }
    if lower.starts_with("www-authenticate:") || lower.starts_with("proxy-authenticate:") {
        line = replace_nonce(&line);
    }
    for (address, role) in roles {
        line = line.replace(address, role);
        if let Some((ip, port)) = address.rsplit_once(':') {
            // set_contact_alias
            line = line.replace(&format!("{ip}~{port}"), &format!("{ip}~{role}"));
            line = line.replace(&format!("rport={port}"), &format!("rport={role}"));
            line = line.replace(&format!("~{port}~"), &format!("~{role}~"));
            // The agent's port at an address that is not its own.
            line = line.replace(&format!(":{port}"), &format!(":{role}"));
        }
    }
    line
}

/// A nonce that the server made: those of the scenarios are short.
fn replace_nonce(line: &str) -> String {
    let Some((before, rest)) = line.split_once("nonce=\"") else { return line.into() };
    match rest.split_once('"') {
        Some((nonce, after)) if nonce.len() > 24 => format!("{before}nonce=\"<nonce>\"{after}"),
        _ => line.into(),
    }
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
        let roles = [("127.0.0.1:7000", "<server>"), ("127.0.0.1:7001", "<alice>")];
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
