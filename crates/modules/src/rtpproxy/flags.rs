//! The letters that scripts give to `rtpproxy_offer` and its like.

/// Which Via branch makes a session of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Via {
    /// None: one session for the Call-ID.
    #[default]
    None,
    /// `1`: the first Via.
    First,
    /// `2`: the second Via.
    Second,
    /// `3`: the first of a request, the second of a reply.
    Auto,
    /// `b`: the value of `extra_id_pv`.
    Extra,
}

/// Letters as understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Flags {
    /// Options for the relay, in the order in which they were given.
    pub options: Vec<u8>,
    /// `x`: interfaces by family.
    pub bridge: bool,
    /// `r`: addresses in the SDP are true.
    pub trust: bool,
    /// `l`: only a session that is there.
    pub lookup: bool,
    /// `f`: also when it is marked.
    pub force: bool,
    /// `c`: the session's connection address too.
    pub session: bool,
    /// `t`: end the call without the To tag.
    pub no_to_tag: bool,
    /// Via branch.
    pub via: Via,
    /// `zNN`: milliseconds in a packet.
    pub packet: Option<u16>,
}

/// A letter that means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadFlag(pub u8);

impl Flags {
    pub fn parse(text: &[u8]) -> Result<Flags, BadFlag> {
        let mut flags = Flags::default();
        let mut rest = text;
        while let Some((letter, after)) = rest.split_first() {
            rest = after;
            match letter.to_ascii_lowercase() {
                b' ' | b'+' | b'o' => {}
                b'1' => flags.via = Via::First,
                b'2' => flags.via = Via::Second,
                b'3' => flags.via = Via::Auto,
                b'b' => flags.via = Via::Extra,
                b'a' => {
                    flags.options.push(b'A');
                    flags.trust = true;
                }
                b'i' => flags.options.push(b'I'),
                b'e' => flags.options.push(b'E'),
                b'w' => flags.options.push(b'S'),
                b'x' => flags.bridge = true,
                b'l' => flags.lookup = true,
                b'f' => flags.force = true,
                b'r' => flags.trust = true,
                b'c' => flags.session = true,
                b't' => flags.no_to_tag = true,
                b'z' => {
                    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                    let (number, after) = rest.split_at(digits);
                    rest = after;
                    flags.packet = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok());
                }
                other => return Err(BadFlag(other)),
            }
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters() {
        let flags = Flags::parse(b"corwz20").expect("fine");
        assert_eq!((flags.options.as_slice(), flags.packet, flags.session), (&b"S"[..], Some(20), true));
        assert!(flags.trust && !flags.lookup);
        assert_eq!(Flags::parse(b"aie").expect("fine").options, b"AIE");
        assert_eq!(Flags::parse(b"3").expect("fine").via, Via::Auto);
        assert_eq!(Flags::parse(b"cq"), Err(BadFlag(b'q')));
    }
}
