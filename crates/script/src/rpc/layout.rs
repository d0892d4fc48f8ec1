//! JSON as Kamailio's `jsonrpcs` writes it, byte for byte: tools such as `kamctl` read it line by line.

use serde_json::Value as Json;

/// With line breaks and tabs (`pretty_format` 1), without a line break at the end.
pub fn pretty(value: &Json) -> String {
    let mut out = String::new();
    write(value, Some(1), &mut out);
    out
}

/// On one line.
pub fn compact(value: &Json) -> String {
    let mut out = String::new();
    write(value, None, &mut out);
    out
}

/// `depth` is the number of tabs before the members of an object; `None` when all goes on one line.
fn write(value: &Json, depth: Option<usize>, out: &mut String) {
    match value {
        Json::Object(members) => {
            out.push('{');
            for (i, (name, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                if let Some(depth) = depth {
                    out.push('\n');
                    out.extend(std::iter::repeat_n('\t', depth));
                }
                out.push_str(&Json::from(name.as_str()).to_string());
                out.push(':');
                if depth.is_some() {
                    out.push('\t');
                }
                write(member, depth.map(|d| d + 1), out);
            }
            if let Some(depth) = depth {
                out.push('\n');
                out.extend(std::iter::repeat_n('\t', depth.saturating_sub(1)));
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(if depth.is_some() { ", " } else { "," });
                }
                write(item, depth.map(|d| d + 1), out);
            }
            out.push(']');
        }
        Json::Number(n) => match n.as_f64().filter(|_| n.is_f64()) {
            Some(float) => out.push_str(&format!("{float:.6}")),
            None => out.push_str(&n.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn as_the_packaged_kamailio_prints() {
        let value = json!({"r": [{"s": {"p": "udp", "q": 0.5}}, {"s": {}}], "z": ["a", 1]});
        assert_eq!(
            pretty(&value),
            "{\n\t\"r\":\t[{\n\t\t\t\"s\":\t{\n\t\t\t\t\"p\":\t\"udp\",\n\t\t\t\t\"q\":\t0.500000\n\t\t\t}\n\t\t}, {\n\t\t\t\"s\":\t{\n\t\t\t}\n\t\t}],\n\t\"z\":\t[\"a\", 1]\n}"
        );
        assert_eq!(
            compact(&value),
            "{\"r\":[{\"s\":{\"p\":\"udp\",\"q\":0.500000}},{\"s\":{}}],\"z\":[\"a\",1]}"
        );
    }
}
