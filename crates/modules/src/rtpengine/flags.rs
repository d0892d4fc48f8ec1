//! What scripts write, `replace-origin ICE=remove direction=priv direction=pub`, as the relay wants it.

use super::bencode::{Dict, Value};

/// Which Via branch makes a session of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Via {
    #[default]
    None,
    First,
    Second,
    /// The first of a request, the second of a reply.
    Auto,
    /// The value of `extra_id_pv`.
    Extra,
    /// `extra` in requests, the first Via in replies.
    AutoExtra,
}

/// Flags as understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Flags {
    /// What goes to the relay as it is.
    pub dict: Dict,
    /// Via branch.
    pub via: Via,
    /// `call-id=`
    pub call_id: Option<Vec<u8>>,
    /// `from-tag=`
    pub from_tag: Option<Vec<u8>>,
    /// `to-tag`, or `to-tag=` with a value.
    pub to_tag: Option<Vec<u8>>,
    /// `to-tag`: it goes along whatever the command.
    pub with_to_tag: bool,
    /// `force-answer`
    pub answer: bool,
    /// `directional`: only what the sender sends.
    pub directional: bool,
}

/// What cannot be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadFlag(pub String);

/// Names whose values are collected in lists.
const LISTS: &[&str] = &["direction", "T.38", "SDES", "OSRTP", "rtcp-mux", "replace", "from-tags"];
/// Names whose values are numbers.
const NUMBERS: &[&str] = &["TOS", "repacketize"];
/// Kinds of `codec-strip=PCMA` and `codec-strip-PCMA`.
const CODEC: &[&str] =
    &["strip", "offer", "mask", "set", "transcode", "except", "accept", "consume", "ignore"];
/// Transports that may stand alone.
const TRANSPORTS: &[&str] =
    &["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"];

impl Flags {
    pub fn parse(text: &[u8]) -> Result<Flags, BadFlag> {
        let text = String::from_utf8_lossy(text);
        let mut flags = Flags::default();
        // SRTP, AVPF and DTLS together name a transport.
        let (mut secure, mut feedback, mut dtls, mut named) = (false, false, false, false);
        for word in text.split_ascii_whitespace() {
            match word {
                "RTP" | "AVP" => named = true,
                "SRTP" => (secure, named) = (true, true),
                "AVPF" => (feedback, named) = (true, true),
                "DTLS" => (dtls, named) = (true, true),
                _ => flags.take(word)?,
            }
        }
        if named && flags.dict.get("transport-protocol").is_none() {
            let name = format!(
                "{}RTP/{}AVP{}",
                if dtls { "UDP/TLS/" } else { "" },
                if secure || dtls { "S" } else { "" },
                if feedback { "F" } else { "" }
            );
            flags.dict.set("transport-protocol", Value::text(name));
        }
        Ok(flags)
    }

    fn take(&mut self, word: &str) -> Result<(), BadFlag> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let text = |v: &str| Some(v.as_bytes().to_vec());
        match (name, value) {
            ("via-branch", Some(v)) => {
                self.via = match v {
                    "1" => Via::First,
                    "2" => Via::Second,
                    "auto" => Via::Auto,
                    "extra" => Via::Extra,
                    "auto-extra" => Via::AutoExtra,
                    // The branch of what is sent next is not known yet when a script runs.
                    _ => return Err(BadFlag(format!("{word}: 1, 2, auto, extra or auto-extra"))),
                };
            }
            ("call-id", Some(v)) => self.call_id = text(v),
            ("from-tag", Some(v)) => self.from_tag = text(v),
            ("from-tag", None) => {}
            ("to-tag", Some(v)) => (self.to_tag, self.with_to_tag) = (text(v), true),
            ("to-tag", None) => self.with_to_tag = true,
            ("force-answer", None) => self.answer = true,
            ("directional", None) => self.directional = true,
            ("internal" | "external", None) => self.dict.push("direction", Value::text(name)),
            ("delete-delay", Some(v)) => {
                let seconds = v.parse().map_err(|_| BadFlag(format!("{word}: a number of seconds")))?;
                self.dict.set("delete delay", Value::Int(seconds));
            }
            (_, None) if TRANSPORTS.contains(&name) => self.dict.set("transport-protocol", Value::text(name)),
            (_, Some(v)) if NUMBERS.contains(&name) && v.parse::<i64>().is_ok() => {
                self.dict.set(name, Value::Int(v.parse().unwrap_or(0)));
            }
            (_, Some(v)) if LISTS.contains(&name) => self.dict.push(name, Value::text(v)),
            _ => self.take_compound(name, value),
        }
        Ok(())
    }

    /// `replace-origin`, `codec-strip-PCMA`, `SDES-off`, `rtcp-mux-offer`; else a plain flag or a name with its value.
    fn take_compound(&mut self, name: &str, value: Option<&str>) {
        if let Some(rest) = name.strip_prefix("codec-") {
            let (kind, codec) = match value {
                Some(value) => (rest, value),
                None => rest.split_once('-').unwrap_or((rest, "")),
            };
            if CODEC.contains(&kind) && !codec.is_empty() {
                return self.dict.dict_mut("codec").push(kind, Value::text(codec));
            }
        }
        let list = ["replace", "rtcp-mux", "SDES", "OSRTP"].iter().find_map(|list| {
            let rest = name.strip_prefix(list)?.strip_prefix('-')?;
            Some((*list, rest))
        });
        match (list, value) {
            (Some((list, rest)), None) => self.dict.push(list, Value::text(rest)),
            (_, Some(value)) => self.dict.set(name, Value::text(value)),
            (_, None) => self.dict.push("flags", Value::text(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(flags: &str) -> String {
        let mut out = Vec::new();
        Flags::parse(flags.as_bytes()).expect("fine").dict.write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn as_the_relay_wants_them() {
        for (flags, expected) in [
            ("trust-address symmetric", "d5:flagsl13:trust-address9:symmetricee"),
            ("replace-origin replace-session-connection", "d7:replacel6:origin18:session-connectionee"),
            ("ICE=remove TOS=184", "d3:ICE6:remove3:TOSi184ee"),
            ("direction=priv direction=pub external", "d9:directionl4:priv3:pub8:externalee"),
            ("RTP", "d18:transport-protocol7:RTP/AVPe"),
            ("SRTP AVPF", "d18:transport-protocol9:RTP/SAVPFe"),
            ("DTLS", "d18:transport-protocol16:UDP/TLS/RTP/SAVPe"),
            ("RTP/SAVPF SRTP", "d18:transport-protocol9:RTP/SAVPFe"),
            ("rtcp-mux-offer rtcp-mux-accept", "d8:rtcp-muxl5:offer6:acceptee"),
            ("codec-strip=PCMA codec-mask-PCMU", "d5:codecd5:stripl4:PCMAe4:maskl4:PCMUeee"),
            ("SDES-off SDES=no-A", "d4:SDESl3:off4:no-Aee"),
            ("T.38=decode label=L1 delete-delay=3", "d4:T.38l6:decodee5:label2:L112:delete delayi3ee"),
            ("bar=baz", "d3:bar3:baze"),
            ("", "de"),
        ] {
            assert_eq!(written(flags), expected, "{flags}");
        }
    }

    #[test]
    fn what_is_not_for_the_relay() {
        let flags = Flags::parse(b"via-branch=auto to-tag from-tag=f call-id=c directional force-answer")
            .expect("fine");
        assert!(flags.dict.0.is_empty() && flags.directional && flags.answer && flags.with_to_tag);
        assert_eq!(
            (flags.via, flags.from_tag, flags.call_id),
            (Via::Auto, Some(b"f".to_vec()), Some(b"c".to_vec()))
        );
        assert!(Flags::parse(b"via-branch=next").is_err());
        assert!(Flags::parse(b"delete-delay=soon").is_err());
    }
}
