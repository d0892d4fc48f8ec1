//! Class `s`: hashes, encodings and escapes.

use sha3::Digest;

use super::{Args, TransformationRow, table};
use crate::Value;

pub(super) const ROWS: &[TransformationRow] = table! { "pv", "s";
    "md5" 0 0 Text "MD5, hexadecimal." |s, _| hex_value(&md5::Md5::digest(&s));
    "sha1" 0 0 Text "SHA-1, hexadecimal." |s, _| hex_value(&sha1::Sha1::digest(&s));
    "sha256" 0 0 Text "SHA-256, hexadecimal." |s, _| hex_value(&sha2::Sha256::digest(&s));
    "sha384" 0 0 Text "SHA-384, hexadecimal." |s, _| hex_value(&sha2::Sha384::digest(&s));
    "sha512" 0 0 Text "SHA-512, hexadecimal." |s, _| hex_value(&sha2::Sha512::digest(&s));
    "sha3" 0 1 Text "`{s.sha3,bits}`: SHA-3 of 224, 256 (default), 384 or 512 bits, hexadecimal." |s, a| match bits(a) {
        224 => hex_value(&sha3::Sha3_224::digest(&s)),
        256 => hex_value(&sha3::Sha3_256::digest(&s)),
        384 => hex_value(&sha3::Sha3_384::digest(&s)),
        512 => hex_value(&sha3::Sha3_512::digest(&s)),
        _ => Value::Null,
    };
    "keccak" 0 1 Text "`{s.keccak,bits}`: Keccak of 224, 256 (default), 384 or 512 bits, hexadecimal." |s, a| match bits(a) {
        224 => hex_value(&sha3::Keccak224::digest(&s)),
        256 => hex_value(&sha3::Keccak256::digest(&s)),
        384 => hex_value(&sha3::Keccak384::digest(&s)),
        512 => hex_value(&sha3::Keccak512::digest(&s)),
        _ => Value::Null,
    };
    "crc32" 0 0 Text "CRC-32 (IEEE), an integer." |s, _| Value::Int(i64::from(crc32(&s)));
    "corehash" 0 1 Text "`{s.corehash,size}`: the core's 32 bit hash, or with a size (a power of two) the slot." |s, a| {
        let hash = core_hash(&s);
        let size = a.int(0).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        Value::owned(size.map_or(hash, |size| hash & (size - 1)).to_string())
    };
    "encode.hexa" 0 0 Text "To hexadecimal." |s, _| hex_value(&s);
    "decode.hexa" 0 0 Text "From hexadecimal; null when it is not." |s, _| opt(decode_hex(&s));
    "encode.7bit" 0 0 Text "To packed GSM 7 bit characters, hexadecimal." |s, _| opt(encode_7bit(&s));
    "decode.7bit" 0 0 Text "From packed GSM 7 bit characters, hexadecimal." |s, _| opt(decode_hex(&s).map(|b| decode_7bit(&b)));
    "encode.base58" 0 0 Text "To base58 (Bitcoin's alphabet)." |s, _| opt(encode_base58(&s));
    "decode.base58" 0 0 Text "From base58; null when it is not." |s, _| opt(decode_base58(&s));
    "encode.base64" 0 0 Text "To base64." |s, _| Value::owned(encode_base64(&s, STANDARD, true));
    "decode.base64" 0 0 Text "From base64; null when it is not." |s, _| opt(decode_base64(&s, STANDARD, true));
    "encode.base64t" 0 0 Text "To base64 without padding." |s, _| Value::owned(encode_base64(&s, STANDARD, false));
    "decode.base64t" 0 0 Text "From base64 with or without padding." |s, _| opt(decode_base64(&s, STANDARD, false));
    "encode.base64url" 0 0 Text "To base64 with the URL alphabet." |s, _| Value::owned(encode_base64(&s, URL, true));
    "decode.base64url" 0 0 Text "From base64 with the URL alphabet." |s, _| opt(decode_base64(&s, URL, false));
    "encode.base64urlt" 0 0 Text "To base64 with the URL alphabet, without padding." |s, _| {
        Value::owned(encode_base64(&s, URL, false))
    };
    "decode.base64urlt" 0 0 Text "From base64 with the URL alphabet, with or without padding." |s, _| {
        opt(decode_base64(&s, URL, false))
    };
    "escape.common" 0 0 Text "Quotes, backslash and NUL with a backslash before them." |s, _| escape_common(&s);
    "unescape.common" 0 0 Text "Undoes `escape.common`." |s, _| unescape_common(&s);
    "escape.crlf" 0 0 Text "CR and LF as `\\r` and `\\n`." |s, _| escape_crlf(&s);
    "unescape.crlf" 0 0 Text "Undoes `escape.crlf`." |s, _| unescape_crlf(&s);
    "escape.user" 0 0 Text "Escaped for the user part of a SIP URI (RFC 3261 section 25.1)." |s, _| percent(&s, b"-_.!~*'()&=+$,;?/");
    "unescape.user" 0 0 Text "Undoes `escape.user`; null when an escape is broken." |s, _| opt(unpercent(&s, false, true));
    "escape.param" 0 0 Text "Escaped for a SIP URI parameter (RFC 3261 section 25.1)." |s, _| percent(&s, b"-_.!~*'()[]/:&+$");
    "unescape.param" 0 0 Text "Undoes `escape.param`; null when an escape is broken." |s, _| opt(unpercent(&s, false, true));
    "escape.csv" 0 0 Text "Quoted for CSV, quotes doubled (RFC 4180)." |s, _| {
        let mut out = vec![b'"'];
        for c in s.iter() {
            out.extend_from_slice(if *c == b'"' { b"\"\"" } else { std::slice::from_ref(c) });
        }
        out.push(b'"');
        Value::owned(out)
    };
    "urlencode.param" 0 0 Text "Escaped for a URL's query." |s, _| percent(&s, b"-_.~");
    "urldecode.param" 0 0 Text "Undoes `urlencode.param`; `+` is a space." |s, _| opt(unpercent(&s, true, false));
};

fn opt(bytes: Option<Vec<u8>>) -> Value<'static> {
    bytes.map_or(Value::Null, Value::owned)
}

fn bits(a: &Args<'_, '_>) -> i64 {
    if a.is_empty() { 256 } else { a.int(0).unwrap_or(0) }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn push_hex(out: &mut Vec<u8>, byte: u8) {
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

fn hex_value(bytes: &[u8]) -> Value<'static> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    bytes.iter().for_each(|b| push_hex(&mut out, *b));
    Value::owned(out)
}

/// MD5 in hexadecimal, for modules (digest authentication, `$T` ids).
pub fn md5_hex(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    md5::Md5::digest(bytes).iter().for_each(|b| push_hex(&mut out, *b));
    out
}

fn digit(c: u8) -> Option<u8> {
    (c as char).to_digit(16).map(|d| d as u8)
}

fn decode_hex(s: &[u8]) -> Option<Vec<u8>> {
    if !s.len().is_multiple_of(2) {
        return None;
    }
    s.chunks(2).map(|p| Some(digit(*p.first()?)? << 4 | digit(*p.get(1)?)?)).collect()
}

fn crc32(s: &[u8]) -> u32 {
    !s.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

/// The core's string hash: words of four bytes, each mixed with itself shifted, folded at the end.
pub fn core_hash(s: &[u8]) -> u32 {
    let hash = s.chunks(4).fold(0u32, |hash, word| {
        let v = word.iter().fold(0u32, |v, b| v << 8 | u32::from(*b));
        hash.wrapping_add(v ^ v >> 3)
    });
    hash.wrapping_add((hash >> 11).wrapping_add(hash >> 13).wrapping_add(hash >> 23))
}

fn encode_7bit(s: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut have) = (Vec::new(), 0u16, 0u32);
    for c in s {
        bits |= u16::from(c & 0x7f) << have;
        have += 7;
        if have >= 8 {
            push_hex(&mut out, bits as u8);
            bits >>= 8;
            have -= 8;
        }
    }
    if have > 0 {
        push_hex(&mut out, bits as u8);
    }
    out.make_ascii_uppercase();
    Some(out)
}

fn decode_7bit(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut bits, mut have) = (Vec::new(), 0u16, 0u32);
    for b in bytes {
        bits |= u16::from(*b) << have;
        have += 8;
        while have >= 7 {
            out.push((bits & 0x7f) as u8);
            bits >>= 7;
            have -= 7;
        }
    }
    // Padding of a text whose length is a multiple of eight characters less one.
    if out.last() == Some(&0) {
        out.pop();
    }
    out
}

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

fn encode_base58(s: &[u8]) -> Option<Vec<u8>> {
    // Quadratic in the length.
    if s.len() > 4096 {
        return None;
    }
    let mut digits: Vec<u8> = Vec::new();
    for b in s {
        let mut carry = u32::from(*b);
        for d in &mut digits {
            carry += u32::from(*d) << 8;
            *d = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = s.iter().take_while(|b| **b == 0).count();
    let digits = digits.iter().rev().filter_map(|d| BASE58.get(usize::from(*d)).copied());
    Some(std::iter::repeat_n(b'1', zeros).chain(digits).collect())
}

fn decode_base58(s: &[u8]) -> Option<Vec<u8>> {
    if s.len() > 8192 {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for c in s {
        let mut carry = BASE58.iter().position(|b| b == c)? as u32;
        for b in &mut bytes {
            carry += u32::from(*b) * 58;
            *b = carry as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry as u8);
            carry >>= 8;
        }
    }
    let zeros = s.iter().take_while(|c| **c == b'1').count();
    Some(std::iter::repeat_n(0, zeros).chain(bytes.iter().rev().copied()).collect())
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode_base64(s: &[u8], alphabet: &[u8; 64], pad: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(s.len().div_ceil(3) * 4);
    for chunk in s.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(alphabet[(word >> (18 - 6 * i) & 63) as usize]);
            } else if pad {
                out.push(b'=');
            }
        }
    }
    out
}

fn decode_base64(s: &[u8], alphabet: &[u8; 64], strict: bool) -> Option<Vec<u8>> {
    if strict && !s.len().is_multiple_of(4) {
        return None;
    }
    let end = s.iter().rposition(|c| *c != b'=').map_or(0, |at| at + 1);
    let mut out = Vec::with_capacity(s.len() / 4 * 3 + 3);
    for chunk in s.get(..end)?.chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut word = 0u32;
        for c in chunk {
            word = word << 6 | alphabet.iter().position(|a| a == c)? as u32;
        }
        word <<= 6 * (4 - chunk.len());
        out.extend_from_slice(word.to_be_bytes().get(1..chunk.len())?);
    }
    Some(out)
}

fn escape_common(s: &[u8]) -> Value<'static> {
    let mut out = Vec::with_capacity(s.len() + 8);
    for c in s {
        match c {
            b'\'' | b'"' | b'\\' => out.extend_from_slice(&[b'\\', *c]),
            0 => out.extend_from_slice(b"\\0"),
            _ => out.push(*c),
        }
    }
    Value::owned(out)
}

fn unescape_common(s: &[u8]) -> Value<'static> {
    let mut out = Vec::with_capacity(s.len());
    let mut bytes = s.iter();
    while let Some(c) = bytes.next() {
        match (c, bytes.as_slice().first()) {
            (b'\\', Some(next @ (b'\'' | b'"' | b'\\' | b'0'))) => {
                out.push(if *next == b'0' { 0 } else { *next });
                bytes.next();
            }
            _ => out.push(*c),
        }
    }
    Value::owned(out)
}

fn escape_crlf(s: &[u8]) -> Value<'static> {
    let mut out = Vec::with_capacity(s.len() + 8);
    for c in s {
        match c {
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(*c),
        }
    }
    Value::owned(out)
}

fn unescape_crlf(s: &[u8]) -> Value<'static> {
    let mut out = Vec::with_capacity(s.len());
    let mut bytes = s.iter();
    while let Some(c) = bytes.next() {
        let escaped = match (c, bytes.as_slice().first()) {
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            _ => None,
        };
        if escaped.is_some() {
            bytes.next();
        }
        out.push(escaped.unwrap_or(*c));
    }
    Value::owned(out)
}

fn percent(s: &[u8], also: &[u8]) -> Value<'static> {
    let mut out = Vec::with_capacity(s.len() + 16);
    for c in s {
        if c.is_ascii_alphanumeric() || also.contains(c) {
            out.push(*c);
        } else {
            out.push(b'%');
            push_hex(&mut out, *c);
        }
    }
    Value::owned(out)
}

fn unpercent(s: &[u8], plus: bool, strict: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(s.len());
    let mut rest = s;
    while let Some((c, after)) = rest.split_first() {
        rest = after;
        match c {
            b'%' => {
                let byte = match after {
                    [a, b, ..] => digit(*a).zip(digit(*b)).map(|(a, b)| a << 4 | b),
                    _ => None,
                };
                match byte {
                    Some(b) => {
                        out.push(b);
                        rest = after.get(2..).unwrap_or_default();
                    }
                    None if strict => return None,
                    None => out.push(b'%'),
                }
            }
            b'+' if plus => out.push(b' '),
            c => out.push(*c),
        }
    }
    Some(out)
}
