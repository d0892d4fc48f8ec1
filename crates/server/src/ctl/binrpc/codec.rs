//! BINRPC on the wire, version 1: what `kamcmd` sends and what it prints.
//!
//! ```text
//! packet   0xA1 | kind:4 lenlen-1:2 cookielen-1:2 | length | cookie | record...
//! record   long:1 size:3 type:4 | content of `size` bytes, or, if long, its length in `size` bytes and then the content
//! ```
//!
//! A structure begins with type 3 and ends with the long bit set on it; its members are a name (type 5) each with a value. An array is
//! type 4. Texts and names end with NUL, numbers are big-endian without leading zeros, a double is thousandths.
//!
//! Kamailio's commands put several members of one name into a structure; JSON cannot. Where its `jsonrpcs` prints a list of objects with one
//! member each, `[{"Contact": {..}}, {"Contact": {..}}]`, its `ctl` sends one structure. So does [`reply`], but for lists in [`APART`].

use serde_json::{Map, Value as Json};

/// First byte: magic 10, version 1.
const MAGIC: u8 = 0xA1;
/// Longest request.
pub const REQUEST_MAX: usize = 1 << 20;
/// How deep structures of a request may be in each other.
const DEPTH_MAX: usize = 16;
/// How deep structures of an answer may be in each other; what lies deeper is left out.
const ANSWER_DEPTH_MAX: usize = 64;

/// Lists whose items are structures of their own there, too: what names them is a script's choice.
const APART: [&str; 2] = ["profiles", "variables"];

const REQUEST: u8 = 0;
const REPLY: u8 = 1;
const FAULT: u8 = 3;

const INT: u8 = 0;
const STR: u8 = 1;
const DOUBLE: u8 = 2;
const STRUCT: u8 = 3;
const ARRAY: u8 = 4;
const NAME: u8 = 5;
const BYTES: u8 = 6;
const LONG: u8 = 0x80;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Comes back in the answer.
    pub cookie: Vec<u8>,
    /// Command.
    pub method: String,
    /// Its parameters.
    pub params: Vec<Json>,
}

/// What the bytes received so far are.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// The beginning of a packet.
    Incomplete,
    /// A request, and how many bytes it took.
    Request(usize, Request),
    /// No request, nor the beginning of one: the cookie if it could be read, and why.
    Bad(Vec<u8>, &'static str),
}

/// Reads a request from the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Packet {
    let bad = |why| Packet::Bad(Vec::new(), why);
    match bytes.first() {
        None => return Packet::Incomplete,
        Some(&MAGIC) => {}
        Some(_) => return bad("this is no BINRPC of version 1"),
    }
    let Some(second) = bytes.get(1) else { return Packet::Incomplete };
    if second >> 4 != REQUEST {
        return bad("this is no request");
    }
    let (length_size, cookie_size) = (usize::from(second >> 2 & 3) + 1, usize::from(second & 3) + 1);
    let Some(length) = bytes.get(2..2 + length_size) else { return Packet::Incomplete };
    let length = number(length) as usize;
    if length > REQUEST_MAX {
        return bad("the request is too long");
    }
    let start = 2 + length_size + cookie_size;
    let Some(cookie) = bytes.get(2 + length_size..start) else { return Packet::Incomplete };
    let Some(body) = bytes.get(start..start + length) else { return Packet::Incomplete };
    match records(body) {
        Ok((method, params)) => {
            Packet::Request(start + length, Request { cookie: cookie.to_vec(), method, params })
        }
        Err(why) => Packet::Bad(cookie.to_vec(), why),
    }
}

/// Up to eight bytes as a number; more are never asked for.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn records(body: &[u8]) -> Result<(String, Vec<Json>), &'static str> {
    let mut reader = Reader { body, at: 0 };
    let mut params = Vec::new();
    let Some(Item::Value(Json::String(method))) = reader.next(0)? else {
        return Err("the name of a command is expected");
    };
    while reader.at < body.len() {
        match reader.next(0)? {
            Some(Item::Value(value)) => params.push(value),
            _ => return Err("a value is expected"),
        }
    }
    Ok((method, params))
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

enum Item {
    Value(Json),
    Name(String),
    End(u8),
}

impl Reader<'_> {
    fn take(&mut self, n: usize) -> Result<&[u8], &'static str> {
        let end = self.at.checked_add(n).ok_or("a record is too long")?;
        let taken = self.body.get(self.at..end).ok_or("a record is cut off")?;
        self.at = end;
        Ok(taken)
    }

    /// The next record; `None` at the end.
    fn next(&mut self, depth: usize) -> Result<Option<Item>, &'static str> {
        let Some(head) = self.body.get(self.at).copied() else { return Ok(None) };
        self.at += 1;
        let (long, size, kind) = (head & LONG != 0, usize::from(head >> 4 & 7), head & 15);
        if matches!(kind, STRUCT | ARRAY) {
            if long {
                return Ok(Some(Item::End(kind)));
            }
            if depth >= DEPTH_MAX {
                return Err("structures are too deep in each other");
            }
            let whole = if kind == STRUCT { self.structure(depth + 1)? } else { self.array(depth + 1)? };
            return Ok(Some(Item::Value(whole)));
        }
        let length = if long { number(self.take(size)?) as usize } else { size };
        let content = self.take(length)?;
        let text = |c: &[u8]| String::from_utf8_lossy(c.strip_suffix(&[0]).unwrap_or(c)).into_owned();
        Ok(Some(match kind {
            INT => Item::Value(Json::from(signed(content)?)),
            DOUBLE => Item::Value(Json::from(signed(content)? as f64 / 1000.0)),
            STR | BYTES => Item::Value(Json::String(text(content))),
            NAME => Item::Name(text(content)),
            _ => return Err("a record of unknown type"),
        }))
    }

    fn structure(&mut self, depth: usize) -> Result<Json, &'static str> {
        let mut members = Map::new();
        loop {
            match self.next(depth)? {
                Some(Item::End(STRUCT)) => return Ok(Json::Object(members)),
                Some(Item::Name(name)) => match self.next(depth)? {
                    Some(Item::Value(value)) => members.insert(name, value),
                    _ => return Err("a member without a value"),
                },
                _ => return Err("a structure that does not end"),
            };
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, &'static str> {
        let mut items = Vec::new();
        loop {
            match self.next(depth)? {
                Some(Item::End(ARRAY)) => return Ok(Json::Array(items)),
                Some(Item::Value(value)) => items.push(value),
                _ => return Err("an array that does not end"),
            }
        }
    }
}

/// Four bytes are a signed number, eight too; fewer are not negative.
fn signed(content: &[u8]) -> Result<i64, &'static str> {
    let n = number(content);
    match content.len() {
        4 => Ok(i64::from(n as u32 as i32)),
        0..=8 => Ok(n as i64),
        _ => Err("a number is too long"),
    }
}

/// A request, as a client writes it.
#[cfg(test)]
pub fn request(r: &Request) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, STR, &r.method);
    r.params.iter().for_each(|p| value(&mut body, p, 0));
    packet(REQUEST, &r.cookie, &body)
}

/// The answer that carries this result.
pub fn reply(cookie: &[u8], result: &Json) -> Vec<u8> {
    let mut body = Vec::new();
    match result {
        Json::Null => {}
        // `{}` is how JSON-RPC says that there is nothing to say.
        Json::Object(members) if members.is_empty() => {}
        Json::Array(items) if items.iter().all(is_structure_of_one) => {
            if !items.is_empty() {
                structure(&mut body, items, true, 0);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| value(&mut body, item, 0)),
        one => value(&mut body, one, 0),
    }
    packet(REPLY, cookie, &body)
}

/// The answer that says why there is no result.
pub fn fault(cookie: &[u8], code: i64, message: &str) -> Vec<u8> {
    let mut body = Vec::new();
    value(&mut body, &Json::from(code), 0);
    text(&mut body, STR, message);
    packet(FAULT, cookie, &body)
}

fn packet(kind: u8, cookie: &[u8], body: &[u8]) -> Vec<u8> {
    // A cookie has one byte at least; four at most were read.
    let cookie = if cookie.is_empty() { &[0] } else { cookie };
    let length = trimmed(body.len() as u64);
    let length = if length.is_empty() { vec![0] } else { length };
    let sizes = (length.len().min(4) - 1) << 2 | (cookie.len().min(4) - 1);
    let mut out = vec![MAGIC, kind << 4 | sizes as u8];
    out.extend_from_slice(&length);
    out.extend_from_slice(cookie);
    out.extend_from_slice(body);
    out
}

fn trimmed(n: u64) -> Vec<u8> {
    n.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect()
}

fn record(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    if content.len() < 8 {
        out.push((content.len() as u8) << 4 | kind);
    } else {
        let length = trimmed(content.len() as u64);
        out.push(LONG | (length.len() as u8) << 4 | kind);
        out.extend_from_slice(&length);
    }
    out.extend_from_slice(content);
}

fn text(out: &mut Vec<u8>, kind: u8, text: &str) {
    // A NUL inside would end it early for the reader.
    let mut content: Vec<u8> = text.bytes().map(|b| if b == 0 { b'?' } else { b }).collect();
    content.push(0);
    record(out, kind, &content);
}

/// Numbers that 32 bits cannot hold are sent as doubles, as Kamailio does with its counters.
fn int(out: &mut Vec<u8>, n: i64) {
    match n {
        0..=0xffff_ffff => record(out, INT, &trimmed(n as u64)),
        -0x8000_0000..0 => record(out, INT, &(n as i32).to_be_bytes()),
        _ => double(out, n.checked_mul(1000), &n.to_string()),
    }
}

fn double(out: &mut Vec<u8>, thousandths: Option<i64>, shown: &str) {
    match thousandths {
        Some(n @ -0x8000_0000..0) => record(out, DOUBLE, &(n as i32).to_be_bytes()),
        Some(n) if n >= 0 => record(out, DOUBLE, &trimmed(n as u64)),
        _ => text(out, STR, shown),
    }
}

fn is_structure_of_one(item: &Json) -> bool {
    item.as_object().is_some_and(|o| o.len() == 1 && o.values().all(|v| v.is_object() || v.is_array()))
}

fn value(out: &mut Vec<u8>, json: &Json, depth: usize) {
    match json {
        // As Kamailio's commands say that they have nothing.
        Json::Null => text(out, STR, "<null string>"),
        Json::Bool(b) => int(out, i64::from(*b)),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => int(out, i),
            (None, Some(f)) if (f * 1000.0).abs() < 9e15 => {
                double(out, Some((f * 1000.0).round() as i64), &n.to_string());
            }
            _ => text(out, STR, &n.to_string()),
        },
        Json::String(s) => text(out, STR, s),
        Json::Array(items) => structure(out, items, true, depth),
        Json::Object(members) => {
            out.push(STRUCT);
            named(out, members, depth);
            out.push(LONG | STRUCT);
        }
    }
}

/// A list inside of an answer: members of the objects of one member each when they are to be merged, other items without a name.
fn structure(out: &mut Vec<u8>, items: &[Json], merge: bool, depth: usize) {
    out.push(STRUCT);
    let merge = merge && items.iter().all(|i| i.as_object().is_some_and(|o| o.len() == 1));
    for item in items {
        match item.as_object().filter(|_| merge) {
            Some(members) => named(out, members, depth),
            None if depth < ANSWER_DEPTH_MAX => value(out, item, depth + 1),
            None => {}
        }
    }
    out.push(LONG | STRUCT);
}

fn named(out: &mut Vec<u8>, members: &Map<String, Json>, depth: usize) {
    if depth >= ANSWER_DEPTH_MAX {
        return;
    }
    for (name, member) in members {
        text(out, NAME, name);
        match member.as_array().filter(|_| APART.contains(&name.as_str())) {
            Some(items) => structure(out, items, false, depth + 1),
            None => value(out, member, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|d| (d[0] << 4 | d[1]) as u8).collect()
    }

    const COOKIE: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

    /// Bytes the packaged Kamailio sent.
    #[test]
    fn answers_as_observed() {
        for (result, wanted) in [
            (json!({}), "a1130012345678"),
            (json!(2), "a1130212345678 1002"),
            (
                json!([{"entry": 13, "size": 1, "slot": [{"name": "a", "value": 5, "type": "int"}]},
                       {"entry": 14, "size": 1, "slot": [{"name": "b", "value": "text", "type": "str"}]}]),
                "a11378123456780365656e74727900100d5573697a6500100155736c6f74000303556e616d65002161006576616c756500\
                 100555747970650041696e74008383830365656e74727900100e5573697a6500100155736c6f74000303556e616d650021\
                 62006576616c7565005174657874005574797065004173747200838383",
            ),
            (
                json!({"name": "q_malloc", "size": 67_108_864.0}),
                "a1131f1234567803556e616d65009109715f6d616c6c6f63005573697a6500520fa000000083",
            ),
        ] {
            assert_eq!(reply(&COOKIE, &result), hex(wanted), "{result}");
        }
        assert_eq!(
            fault(&COOKIE, 500, "command nope not found"),
            hex("a1331c12345678 2001f4 9117636f6d6d616e64206e6f7065206e6f7420666f756e6400")
        );
    }

    /// What its `jsonrpcs` and its `ctl` answered to the same command: the one becomes the other.
    #[test]
    fn json_becomes_the_packets_kamailio_sent() {
        let rows = include_str!("observed.tsv").lines().filter(|l| !l.starts_with('#'));
        for row in rows {
            let fields: Vec<&str> = row.split('\t').collect();
            let answer: Json = serde_json::from_str(fields[1]).unwrap();
            let packet = match answer.get("error") {
                None => reply(&COOKIE, &answer["result"]),
                Some(e) => fault(&COOKIE, e["code"].as_i64().unwrap(), e["message"].as_str().unwrap()),
            };
            assert_eq!(packet, hex(fields[2]), "{}", fields[0]);
        }
    }

    #[test]
    fn lists_of_one_member_each_are_one_structure() {
        let merged = reply(&COOKIE, &json!({"AoRs": [{"AoR": "a"}, {"AoR": "b"}]}));
        assert_eq!(
            merged,
            hex("a1131a12345678 03 55416f527300 03 45416f5200 216100 45416f5200 216200 83 83")
        );
        let apart = reply(&COOKIE, &json!({"variables": [{"a": "b"}]}));
        assert_eq!(apart, hex("a1131812345678 03 950a7661726961626c657300 03 03 256100 216200 83 83 83"));
        let top = reply(&COOKIE, &json!([{"s": {"p": 1}}, {"s": {}}]));
        assert_eq!(top, hex("a1131112345678 03 257300 03 257000 1001 83 257300 0383 83"));
    }

    #[test]
    fn requests() {
        let r = Request {
            cookie: COOKIE.to_vec(),
            method: "ul.dump".into(),
            params: vec![json!("x"), json!(-1), json!(70_000), json!(0.5), json!({"a": {"b": 1}})],
        };
        let bytes = request(&r);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Packet::Incomplete, "{end}");
        }
        assert_eq!(read(&bytes), Packet::Request(bytes.len(), r));
        let deep: Vec<u8> = [vec![0x21, b'm', 0], vec![STRUCT; 100]].concat();
        assert!(matches!(read(&packet(REQUEST, &COOKIE, &deep)), Packet::Bad(c, _) if c == COOKIE));
        assert!(matches!(read(b"GET / HTTP/1.1"), Packet::Bad(..)));
        assert!(matches!(read(&[MAGIC, 0x0c, 0xff, 0xff, 0xff, 0xff]), Packet::Bad(..)));
    }

    proptest! {
        #[test]
        fn no_bytes_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
            let framed = packet(REQUEST, &COOKIE, &bytes);
            prop_assert!(read(&framed) != Packet::Incomplete);
        }

        #[test]
        fn what_is_written_is_read(
            method in "[a-z.]{1,20}",
            texts in proptest::collection::vec("[^\0]{0,300}", 0..5),
            n in i32::MIN..=i32::MAX,
        ) {
            let mut params: Vec<Json> = texts.into_iter().map(Json::from).collect();
            params.push(json!(n));
            let r = Request { cookie: vec![7], method, params };
            let bytes = request(&r);
            prop_assert_eq!(read(&bytes), Packet::Request(bytes.len(), r));
        }
    }
}
