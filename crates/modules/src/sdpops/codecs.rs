//! Payload types: which streams have which, and taking them out with the attributes that go with them.

use message::Edits;
use script::{Outcome, RouteContext};

use super::{NOTHING, items};
use crate::sdp::{Media, Sdp, fields};

/// How codecs are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// `PCMU`
    Name,
    /// Payload type number.
    Number,
}

/// Attributes that are about one payload type: `a=rtpmap:8 PCMA/8000`.
const PER_FORMAT: &[&[u8]] = &[b"rtpmap", b"fmtp", b"rtcp-fb"];

fn numbers<'m>(media: &Media<'m>, by: By, item: &'m [u8]) -> Vec<&'m [u8]> {
    match by {
        By::Number => vec![item],
        By::Name => media.payload_types(item),
    }
}

pub(super) fn remove(ctx: &mut RouteContext<'_>, by: By, list: &[u8], kind: &[u8], keep: bool) -> Outcome {
    let message = ctx.message.clone();
    let Some(sdp) = Sdp::of(&message) else { return Outcome::FALSE };
    let known = |media: &Media<'_>| items(list).any(|i| !media.payload_types(i).is_empty());
    if by == By::Name && !sdp.media.iter().any(known) {
        return Outcome::FALSE;
    }
    for media in sdp.media.iter().filter(|m| kind.is_empty() || m.kind.eq_ignore_ascii_case(kind)) {
        let listed: Vec<&[u8]> = items(list).flat_map(|i| numbers(media, by, i)).collect();
        let goes = |format: &[u8]| listed.contains(&format) != keep;
        remove_from(&mut ctx.edits, &message, media, goes);
    }
    NOTHING
}

fn remove_from(
    edits: &mut Edits,
    message: &message::Message,
    media: &Media<'_>,
    goes: impl Fn(&[u8]) -> bool,
) {
    let formats = fields(media.formats).filter(|f| goes(f));
    for format in formats {
        // With the blank before it.
        if let Some(at) = message.offset_of(format) {
            edits.remove(at.saturating_sub(1), at + format.len() as u32);
        }
    }
    for line in &media.lines {
        let about = PER_FORMAT.iter().find_map(|name| line.attribute(name));
        let format = about.and_then(|value| fields(value).next());
        if format.is_some_and(|f| f != b"*" && goes(f)) {
            edits.remove(line.start, line.next);
        }
    }
}

pub(super) fn with(ctx: &RouteContext<'_>, by: By, list: &[u8]) -> Outcome {
    let Some(sdp) = Sdp::of(&ctx.message) else { return Outcome::FALSE };
    let (mut found, mut missing) = (false, false);
    for media in &sdp.media {
        for item in items(list) {
            let numbers = numbers(media, by, item);
            let here = fields(media.formats).any(|f| numbers.contains(&f));
            found |= here;
            missing |= !here;
        }
    }
    match (found, missing) {
        (true, false) => Outcome(1),
        (true, true) => Outcome(2),
        (false, _) if by == By::Name => Outcome::FALSE,
        (false, _) => NOTHING,
    }
}
