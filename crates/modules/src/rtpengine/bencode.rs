//! Bencode, the notation of the ng control protocol: `d7:command4:pinge`.

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `i42e`
    Int(i64),
    /// `4:text`
    Text(Vec<u8>),
    /// `l...e`
    List(Vec<Value>),
    /// `d...e`, in the order in which it was written.
    Dict(Dict),
}

/// A dictionary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dict(pub Vec<(Vec<u8>, Value)>);

impl Value {
    pub fn text(text: impl AsRef<[u8]>) -> Value {
        Value::Text(text.as_ref().to_vec())
    }
    pub fn as_text(&self) -> Option<&[u8]> {
        match self {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            Value::Text(t) => std::str::from_utf8(t).ok()?.parse().ok(),
            _ => None,
        }
    }
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Value::Dict(d) => Some(d),
            _ => None,
        }
    }
    pub fn as_list(&self) -> &[Value] {
        match self {
            Value::List(l) => l,
            _ => &[],
        }
    }
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Int(n) => out.extend_from_slice(format!("i{n}e").as_bytes()),
            Value::Text(t) => write_text(t, out),
            Value::List(l) => {
                out.push(b'l');
                l.iter().for_each(|v| v.write(out));
                out.push(b'e');
            }
            Value::Dict(d) => d.write(out),
        }
    }
    /// Reads one value; what stands behind it is let pass.
    pub fn read(text: &[u8]) -> Option<Value> {
        Reader { text }.value(0)
    }
}

impl Dict {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name.as_bytes()).map(|(_, v)| v)
    }
    /// The text of a name.
    pub fn text(&self, name: &str) -> Option<&[u8]> {
        self.get(name)?.as_text()
    }
    /// The dictionary of a name.
    pub fn dict(&self, name: &str) -> Option<&Dict> {
        self.get(name)?.as_dict()
    }
    /// Sets a name, in the place of an earlier value.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(n, _)| n == name.as_bytes()) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }
    /// Adds to the list of a name.
    pub fn push(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(n, _)| n == name.as_bytes()) {
            Some((_, Value::List(list))) => list.push(value),
            Some((_, old)) => *old = Value::List(vec![value]),
            None => self.0.push((name.into(), Value::List(vec![value]))),
        }
    }
    /// The dictionary of a name, made when absent.
    pub fn dict_mut(&mut self, name: &str) -> &mut Dict {
        let at = match self.0.iter().position(|(n, v)| n == name.as_bytes() && v.as_dict().is_some()) {
            Some(at) => at,
            None => {
                self.0.push((name.into(), Value::Dict(Dict::default())));
                self.0.len() - 1
            }
        };
        match self.0.get_mut(at) {
            Some((_, Value::Dict(dict))) => dict,
            _ => unreachable!("found or made above"),
        }
    }
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'd');
        for (name, value) in &self.0 {
            write_text(name, out);
            value.write(out);
        }
        out.push(b'e');
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", text.len()).as_bytes());
    out.extend_from_slice(text);
}

struct Reader<'t> {
    text: &'t [u8],
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        match *self.text.first()? {
            b'i' => {
                self.take(1)?;
                let digits = self.until(b'e')?;
                Some(Value::Int(std::str::from_utf8(digits).ok()?.parse().ok()?))
            }
            b'l' => {
                self.take(1)?;
                let mut list = Vec::new();
                while !self.ended()? {
                    list.push(self.value(depth + 1)?);
                }
                Some(Value::List(list))
            }
            b'd' => {
                self.take(1)?;
                let mut dict = Dict::default();
                while !self.ended()? {
                    let name = self.string()?.to_vec();
                    dict.0.push((name, self.value(depth + 1)?));
                }
                Some(Value::Dict(dict))
            }
            _ => Some(Value::text(self.string()?)),
        }
    }
    /// Takes the `e` of a list or dictionary when it is next.
    fn ended(&mut self) -> Option<bool> {
        let end = *self.text.first()? == b'e';
        if end {
            self.take(1)?;
        }
        Some(end)
    }
    fn string(&mut self) -> Option<&'t [u8]> {
        let digits = self.until(b':')?;
        if digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.take(std::str::from_utf8(digits).ok()?.parse().ok()?)
    }
    fn until(&mut self, end: u8) -> Option<&'t [u8]> {
        // Numbers are short: a text without an end must not be searched again and again.
        let at = self.text.iter().take(21).position(|b| *b == end)?;
        let found = self.take(at)?;
        self.take(1)?;
        Some(found)
    }
    fn take(&mut self, count: usize) -> Option<&'t [u8]> {
        let (taken, rest) = self.text.split_at_checked(count)?;
        self.text = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut dict = Dict::default();
        dict.set("command", Value::text("offer"));
        dict.set("TOS", Value::Int(-1));
        dict.push("flags", Value::text("a"));
        dict.push("flags", Value::text("b"));
        dict.dict_mut("codec").push("strip", Value::text("PCMA"));
        dict.set("TOS", Value::Int(184));
        let mut out = Vec::new();
        dict.write(&mut out);
        assert_eq!(out, b"d7:command5:offer3:TOSi184e5:flagsl1:a1:be5:codecd5:stripl4:PCMAeee");
        assert_eq!(Value::read(&out), Some(Value::Dict(dict)));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in
            ["", "d", "i1", "ie", "5:abc", "d1:a", "l", "x", "-1:a", "99999999999:a", "i1x2e", "di1e1:ae"]
        {
            assert_eq!(Value::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Value::read(&b"l".repeat(100_000)), None);
        assert_eq!(Value::read(b"0:"), Some(Value::text("")));
    }
}
