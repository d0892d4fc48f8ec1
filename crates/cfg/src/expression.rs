//! Expressions of `#!ifexp` and `#!defexp`.
//!
//! Values are numbers and strings. A define with a value counts as that string without its quotes, one without a
//! value as 1, an undefined name as 0. The right operand is converted to the type of the left one, so
//! `1 + "20"` is 21 and `"1" + 20` is `"120"`. A number is true when it is not 0, a string when it is not empty.

use std::collections::HashMap;

use crate::lex::read_string;

/// Brackets and prefix operators deeper than this are refused.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Text(String),
}

impl Value {
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Value::Number(n) => *n != 0.0,
            Value::Text(s) => !s.is_empty(),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Value::Number(n) => *n,
            Value::Text(s) => s.trim().parse().unwrap_or(0.0),
        }
    }

    fn truth(value: bool) -> Self {
        Value::Number(if value { 1.0 } else { 0.0 })
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Number(n) => write!(f, "{n}"),
            Value::Text(s) => f.write_str(s),
        }
    }
}

/// An expression that cannot be evaluated: byte offset in it, and why.
pub(crate) type Failure = (usize, String);

/// Evaluates `text`; `define` says what a name stands for.
pub(crate) fn evaluate(text: &str, define: &dyn Fn(&str) -> Option<Value>) -> Result<Value, Failure> {
    let mut parser = Parser { text, pos: 0, depth: 0, define, locals: HashMap::new() };
    let value = parser.comma()?;
    match parser.rest().chars().next() {
        None => Ok(value),
        Some(c) => Err((parser.pos, format!("unexpected '{c}' in the expression"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    pos: usize,
    depth: usize,
    define: &'a dyn Fn(&str) -> Option<Value>,
    locals: HashMap<String, Value>,
}

/// Binary operators from the weakest to the strongest.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];
const TWO_CHARACTERS: [&str; 9] = ["||", "&&", "==", "!=", "<=", ">=", "<<", ">>", "**"];

impl<'a> Parser<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.pos..).unwrap_or("");
        self.pos += rest.len() - rest.trim_start().len();
        rest.trim_start()
    }

    fn operator(&mut self) -> &'a str {
        let rest = self.rest();
        let two = rest.get(..2).filter(|op| TWO_CHARACTERS.contains(op));
        two.or_else(|| rest.get(..1)).unwrap_or("")
    }

    fn comma(&mut self) -> Result<Value, Failure> {
        let mut value = self.assignment()?;
        while self.operator() == "," {
            self.pos += 1;
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn assignment(&mut self) -> Result<Value, Failure> {
        let rest = self.rest();
        let length = crate::lex::word_length(rest);
        let name = rest.get(..length).unwrap_or("");
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            let back = self.pos;
            self.pos += length;
            if self.operator() == "=" {
                self.pos += 1;
                self.deeper(back)?;
                let value = self.assignment()?;
                self.depth -= 1;
                self.locals.insert(name.to_owned(), value.clone());
                return Ok(value);
            }
            self.pos = back;
        }
        self.binary(0)
    }

    fn deeper(&mut self, at: usize) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err((at, "the expression is nested too deeply".into())) } else { Ok(()) }
    }

    fn binary(&mut self, level: usize) -> Result<Value, Failure> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let operator = self.operator();
            if operator.is_empty() || !operators.contains(&operator) {
                return Ok(left);
            }
            let at = self.pos;
            self.pos += operator.len();
            let right = self.binary(level + 1)?;
            left = apply(operator, left, right).map_err(|why| (at, why))?;
        }
    }

    fn unary(&mut self) -> Result<Value, Failure> {
        let at = self.pos;
        let operator = self.operator();
        if !matches!(operator, "!" | "-" | "+" | "^" | "~") {
            return self.power();
        }
        self.pos += 1;
        self.deeper(at)?;
        let value = self.unary()?;
        self.depth -= 1;
        Ok(match operator {
            "!" => Value::truth(!value.is_true()),
            "-" => Value::Number(-value.number()),
            "+" => Value::Number(value.number()),
            _ => Value::Number(!(value.number() as i64) as f64),
        })
    }

    fn power(&mut self) -> Result<Value, Failure> {
        let base = self.primary()?;
        if self.operator() != "**" {
            return Ok(base);
        }
        self.pos += 2;
        let at = self.pos;
        self.deeper(at)?;
        let exponent = self.unary()?;
        self.depth -= 1;
        Ok(Value::Number(base.number().powf(exponent.number())))
    }

    fn primary(&mut self) -> Result<Value, Failure> {
        let rest = self.rest();
        let at = self.pos;
        match rest.chars().next() {
            None => Err((at, "the expression ends where a value is expected".into())),
            Some('(') => {
                self.pos += 1;
                self.deeper(at)?;
                let value = self.comma()?;
                self.depth -= 1;
                if self.operator() != ")" {
                    return Err((at, "this '(' is not closed".into()));
                }
                self.pos += 1;
                Ok(value)
            }
            Some(quote @ ('"' | '\'')) => {
                let (value, length) =
                    read_string(rest, quote).ok_or((at, "this string is not closed".to_owned()))?;
                self.pos += length;
                Ok(Value::Text(value))
            }
            Some(c) if c.is_ascii_digit() => {
                let hex = rest.starts_with("0x");
                let belongs =
                    |c: char| if hex { c.is_ascii_alphanumeric() } else { c.is_ascii_digit() || c == '.' };
                let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
                let digits = rest.get(..length).unwrap_or("");
                let value = match digits.strip_prefix("0x") {
                    Some(hex) => i64::from_str_radix(hex, 16).ok().map(|n| n as f64),
                    None => digits.parse().ok(),
                };
                self.pos += length;
                value.map(Value::Number).ok_or_else(|| (at, format!("'{digits}' is not a number")))
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let length = crate::lex::word_length(rest);
                let name = rest.get(..length).unwrap_or("");
                self.pos += length;
                if self.operator() == "(" {
                    return Err((at, format!("there is no function '{name}' in preprocessor expressions")));
                }
                let local = self.locals.get(name).cloned();
                Ok(local.or_else(|| (self.define)(name)).unwrap_or(Value::Number(0.0)))
            }
            Some(c) => Err((at, format!("unexpected '{c}' where a value is expected"))),
        }
    }
}

fn apply(operator: &str, left: Value, right: Value) -> Result<Value, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match operator {
        "||" => return Ok(Value::truth(left.is_true() || right.is_true())),
        "&&" => return Ok(Value::truth(left.is_true() && right.is_true())),
        _ => {}
    }
    let order = match &left {
        Value::Text(text) => Some(text.as_str().cmp(right.to_string().as_str())),
        Value::Number(n) => n.partial_cmp(&right.number()),
    };
    let comparison = match operator {
        "==" => Some(order == Some(Equal)),
        "!=" => Some(order != Some(Equal)),
        "<" => Some(order == Some(Less)),
        ">" => Some(order == Some(Greater)),
        "<=" => Some(matches!(order, Some(Less | Equal))),
        ">=" => Some(matches!(order, Some(Greater | Equal))),
        _ => None,
    };
    if let Some(truth) = comparison {
        return Ok(Value::truth(truth));
    }
    if let (Value::Text(text), "+") = (&left, operator) {
        return Ok(Value::Text(format!("{text}{right}")));
    }
    let (a, b) = (left.number(), right.number());
    let (whole_a, whole_b) = (a as i64, b as i64);
    let shift = whole_b.clamp(0, 63) as u32;
    Ok(Value::Number(match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" | "%" if b == 0.0 => return Err("division by zero".into()),
        "/" => a / b,
        "%" => a % b,
        "<<" => whole_a.wrapping_shl(shift) as f64,
        ">>" => whole_a.wrapping_shr(shift) as f64,
        "&" => (whole_a & whole_b) as f64,
        "|" => (whole_a | whole_b) as f64,
        "^" => (whole_a ^ whole_b) as f64,
        _ => return Err(format!("'{operator}' is not an operator here")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str) -> Result<String, String> {
        let define = |name: &str| match name {
            "WITH_NAT" => Some(Value::Number(1.0)),
            "OS_NAME" => Some(Value::Text("linux".into())),
            "KAMAILIO_VERSION" => Some(Value::Text("6001000".into())),
            "ZERO" => Some(Value::Text("0".into())),
            _ => None,
        };
        evaluate(text, &define).map(|v| v.to_string()).map_err(|(at, why)| format!("{at}: {why}"))
    }

    #[test]
    fn documented_conversions() {
        for (text, result) in [
            ("1 + \"20\"", "21"),
            ("\"1\" + 20", "120"),
            ("4 > \"20\"", "0"),
            ("\"4\" > 20", "1"),
            ("KAMAILIO_VERSION >= 5006000", "1"),
            ("WITH_NAT && (OS_NAME == 'linux')", "1"),
            ("WITH_NAT && !MISSING || 0", "1"),
            ("MISSING || MISSING_TOO", "0"),
            ("!ZERO", "0"),
            ("1<<4 | 1", "17"),
            ("2**3*2-10/4", "13.5"),
            ("7 % 4 == 3", "1"),
            ("x = 3, x * x", "9"),
            ("\"sip:\" + OS_NAME + ':5060'", "sip:linux:5060"),
            ("0x10 - -1", "17"),
        ] {
            assert_eq!(eval(text).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn failures_say_where() {
        assert_eq!(eval("1 + "), Err("4: the expression ends where a value is expected".into()));
        assert_eq!(eval("(1"), Err("0: this '(' is not closed".into()));
        assert_eq!(
            eval("strlen(1)"),
            Err("0: there is no function 'strlen' in preprocessor expressions".into())
        );
        assert_eq!(eval("1 2"), Err("2: unexpected '2' in the expression".into()));
        assert_eq!(eval("1/0"), Err("1: division by zero".into()));
        assert!(eval(&"(".repeat(10_000)).is_err());
        assert!(eval(&"-".repeat(10_000)).is_err());
    }
}
