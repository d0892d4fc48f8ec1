//! Audio on hold in an SDP (RFC 2543 appendix B.5, RFC 3264 §8.4).

use message::Message;

use super::headers::media_type;
use super::multipart;

/// The SDP of a message: its body, or the part of that type.
pub(super) fn sdp(message: &Message) -> &[u8] {
    match media_type(message) {
        Some(t) if t.eq_ignore_ascii_case(b"application/sdp") => message.body(),
        Some(_) => multipart::find_part(message, b"application/sdp").map_or(b"", |p| p.content),
        None => b"",
    }
}

pub(super) fn audio_on_hold(sdp: &[u8]) -> i64 {
    #[derive(Clone, Copy, Default)]
    struct Level {
        null: Option<bool>,
        mute: Option<bool>,
    }
    let mut session = Level::default();
    let mut media: Vec<(bool, Level)> = Vec::new();
    for line in sdp.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end) {
        if let Some(m) = line.strip_prefix(b"m=") {
            media.push((m.starts_with(b"audio"), Level::default()));
            continue;
        }
        let level = media.last_mut().map_or(&mut session, |(_, l)| l);
        match line {
            [b'c', b'=', rest @ ..] => {
                let address = rest.rsplit(|b| *b == b' ').next().unwrap_or_default();
                level.null = Some(address == b"0.0.0.0" || address == b"::");
            }
            b"a=sendonly" | b"a=inactive" => level.mute = Some(true),
            b"a=sendrecv" | b"a=recvonly" => level.mute = Some(false),
            _ => {}
        }
    }
    let audio = || media.iter().filter(|(audio, _)| *audio).map(|(_, l)| l);
    if audio().any(|l| l.null.or(session.null) == Some(true)) {
        return 1;
    }
    if audio().any(|l| l.mute.or(session.mute) == Some(true)) {
        return 2;
    }
    -1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_hold() {
        let head = b"v=0\r\no=a 1 1 IN IP4 h\r\n";
        let hold = |rest: &[u8]| audio_on_hold(&[head.as_slice(), rest].concat());
        assert_eq!(hold(b"c=IN IP4 0.0.0.0\r\nm=audio 1 RTP/AVP 0\r\n"), 1);
        assert_eq!(hold(b"c=IN IP4 0.0.0.0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 1.2.3.4\r\n"), -1);
        assert_eq!(hold(b"c=IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\na=sendonly\r\n"), 2);
        assert_eq!(hold(b"c=IN IP4 1.2.3.4\r\na=inactive\r\nm=audio 1 RTP/AVP 0\r\n"), 2);
        assert_eq!(hold(b"c=IN IP4 1.2.3.4\r\na=inactive\r\nm=audio 1 RTP/AVP 0\r\na=sendrecv\r\n"), -1);
        assert_eq!(hold(b"c=IN IP4 1.2.3.4\r\nm=video 1 RTP/AVP 0\r\na=inactive\r\n"), -1);
        assert_eq!(hold(b""), -1);
    }
}
