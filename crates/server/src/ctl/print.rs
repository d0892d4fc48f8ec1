//! Answers for people: `name: value` lines, nested by two blanks, items of a list apart, as kamcmd prints them.

use serde_json::Value as Json;

/// The answer as text that ends with a line break.
pub fn readable(value: &Json) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    if out.is_empty() {
        out.push_str("ok\n");
    }
    out
}

fn write(value: &Json, depth: usize, out: &mut String) {
    match value {
        Json::Object(members) => {
            let width = members.iter().filter(|(_, v)| is_plain(v)).map(|(n, _)| n.len()).max().unwrap_or(0);
            for (name, v) in members {
                indent(depth, out);
                if is_plain(v) {
                    out.push_str(&format!("{:w$} {}\n", format!("{name}:"), plain(v), w = width + 1));
                } else {
                    out.push_str(&format!("{name}:\n"));
                    write(v, depth + 1, out);
                }
            }
        }
        Json::Array(items) => {
            let mut after_object = false;
            for item in items {
                if after_object {
                    out.push('\n');
                }
                after_object = matches!(item, Json::Object(_)) && depth == 0;
                write(item, depth, out);
            }
        }
        other => {
            indent(depth, out);
            out.push_str(&plain(other));
            out.push('\n');
        }
    }
}

fn is_plain(v: &Json) -> bool {
    !matches!(v, Json::Object(_) | Json::Array(_))
}

fn plain(v: &Json) -> String {
    match v {
        Json::Null => "-".to_owned(),
        // An answer may carry what a peer sent: nothing of it may command the terminal.
        Json::String(s) => {
            s.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
        }
        other => other.to_string(),
    }
}

fn indent(depth: usize, out: &mut String) {
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_lists_and_words() {
        let v = json!([{"IDX": 0, "DSC": "main"}, {"IDX": 10, "DSC": "udp", "in": {"a": [1, "x\u{1b}[2J"]}}]);
        assert_eq!(
            readable(&v),
            "IDX: 0\nDSC: main\n\nIDX: 10\nDSC: udp\nin:\n  a:\n    1\n    x\u{fffd}[2J\n"
        );
        assert_eq!(readable(&json!("5.8")), "5.8\n");
        assert_eq!(readable(&json!([])), "ok\n");
    }
}
