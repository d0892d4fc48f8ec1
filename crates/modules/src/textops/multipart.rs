//! Multipart bodies (RFC 2046 §5.1, RFC 5621).

use message::{HeaderName, Message};
use script::{Outcome, Pv, RouteContext, Value, ksr_module};

use super::TextOps;
use super::body::{from_hex, set_body};
use super::headers::{media_param, media_type};
use super::text::find;

const BOUNDARY: &[u8] = b"unique-boundary-1";

/// One part; every slice is part of the message.
#[derive(Clone, Copy)]
pub(crate) struct Part<'m> {
    /// From the delimiter line on, up to the next delimiter.
    whole: &'m [u8],
    /// Header rows and content.
    raw: &'m [u8],
    headers: &'m [u8],
    /// Content, without the line end that belongs to the next delimiter.
    pub content: &'m [u8],
}

impl Part<'_> {
    fn media_type(&self) -> &[u8] {
        let row = self.headers.split(|b| *b == b'\n').find_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            let (name, value) = line.split_at(colon);
            (HeaderName::parse(name.trim_ascii()) == HeaderName::ContentType)
                .then(|| value.get(1..))
                .flatten()
        });
        row.unwrap_or_default().split(|b| *b == b';').next().unwrap_or_default().trim_ascii()
    }
}

/// The boundary of the message's body; `None` when it is not multipart.
fn boundary(message: &Message) -> Option<&[u8]> {
    media_type(message)?.get(..10).filter(|t| t.eq_ignore_ascii_case(b"multipart/"))?;
    media_param(message, "boundary").filter(|b| !b.is_empty())
}

/// Offset of the next delimiter line at or after `from`.
fn delimiter(body: &[u8], boundary: &[u8], from: usize) -> Option<usize> {
    let mark = [b"--", boundary].concat();
    let mut at = from;
    loop {
        let hit = at + find(body.get(at..)?, &mark, false)?;
        if hit == 0 || body.get(hit - 1) == Some(&b'\n') {
            return Some(hit);
        }
        at = hit + 1;
    }
}

fn parts(message: &Message) -> Vec<Part<'_>> {
    let mut all = Vec::new();
    let Some(boundary) = boundary(message) else { return all };
    let body = message.body();
    let mut at = delimiter(body, boundary, 0);
    while let Some(start) = at {
        let Some(after) = body.get(start + 2 + boundary.len()..) else { break };
        if after.starts_with(b"--") {
            break;
        }
        let Some(line) = after.iter().position(|b| *b == b'\n') else { break };
        let begin = start + 2 + boundary.len() + line + 1;
        let next = delimiter(body, boundary, begin);
        let end = next.unwrap_or(body.len());
        let raw = body.get(begin..end).unwrap_or_default();
        let (headers, content) = if raw.starts_with(b"\r\n") {
            (&b""[..], raw.get(2..).unwrap_or_default())
        } else {
            match find(raw, b"\r\n\r\n", false) {
                Some(empty) => raw.split_at(empty + 4),
                None => (raw, &b""[..]),
            }
        };
        all.push(Part {
            whole: body.get(start..end).unwrap_or_default(),
            raw,
            headers,
            content: content.strip_suffix(b"\r\n").unwrap_or(content),
        });
        at = next;
    }
    all
}

/// The first part of a media type.
pub(crate) fn find_part<'m>(message: &'m Message, media: &[u8]) -> Option<Part<'m>> {
    parts(message).into_iter().find(|p| p.media_type().eq_ignore_ascii_case(media))
}

fn put_part(
    ctx: &mut RouteContext<'_>,
    ctype: &[u8],
    pvname: &Pv,
    what: for<'m> fn(&Part<'m>) -> &'m [u8],
) -> Outcome {
    let message = ctx.message.clone();
    let text = match boundary(&message) {
        Some(_) => find_part(&message, ctype).map(|part| what(&part)),
        None => Some(message.body()).filter(|body| !body.is_empty()),
    };
    text.map_or(Outcome::FALSE, |text| Outcome::from(pvname.set(ctx, Value::str(text))))
}

fn append(ctx: &mut RouteContext<'_>, content: &[u8], media: &[u8], disposition: &[u8]) -> Outcome {
    let message = ctx.message.clone();
    let Some(boundary) = boundary(&message) else {
        tracing::error!(target: "textops", "append_body_part: the body is not multipart; see set_body_multipart");
        return Outcome::FALSE;
    };
    let body = message.body();
    let closing = [b"--", boundary, b"--"].concat();
    let head = match find(body, &closing, false) {
        Some(end) => body.get(..end).unwrap_or_default().to_vec(),
        None => [body, b"--", boundary, b"\r\n"].concat(),
    };
    let mut new = head;
    if new.ends_with(&[b"--", boundary, b"\r\n"].concat()) {
        // The body ended with an open delimiter, as `set_body_multipart` leaves it.
    } else {
        new.extend_from_slice(&[b"--", boundary, b"\r\n"].concat());
    }
    part_text(&mut new, content, media, disposition);
    new.extend_from_slice(&[b"--", boundary, b"--\r\n"].concat());
    ctx.edits.set_body(&new);
    Outcome::TRUE
}

fn part_text(out: &mut Vec<u8>, content: &[u8], media: &[u8], disposition: &[u8]) {
    out.extend_from_slice(&[b"Content-Type: ", media, b"\r\n"].concat());
    if !disposition.is_empty() {
        out.extend_from_slice(&[b"Content-Disposition: ", disposition, b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
}

fn make_multipart(ctx: &mut RouteContext<'_>, content: &[u8], media: &[u8], boundary: &[u8]) -> Outcome {
    if content.is_empty() || media.is_empty() {
        tracing::error!(target: "textops", "set_body_multipart: there is no body or no Content-Type");
        return Outcome::FALSE;
    }
    let boundary = if boundary.is_empty() { BOUNDARY } else { boundary };
    let mut body = [b"--", boundary, b"\r\n"].concat();
    part_text(&mut body, content, media, b"");
    body.extend_from_slice(&[b"--", boundary, b"--\r\n"].concat());
    let media = [b"multipart/mixed;boundary=\"", boundary, b"\""].concat();
    set_body(ctx, &body, &media, b"Mime-Version: 1.0\r\n");
    Outcome::TRUE
}

#[ksr_module("textops", rows = "MULTIPART")]
impl TextOps {
    /// Leaves of a multipart body only the first part of this media type. Content-Type stays: replace it. Returns 1, or -1 when there is no
    /// such part.
    #[ksr(cfg = ["filter_body"])]
    fn filter_body(&self, ctx: &mut RouteContext<'_>, content_type: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        match find_part(&message, content_type) {
            Some(part) => {
                ctx.edits.set_body(part.content);
                Outcome::TRUE
            }
            None => Outcome::FALSE,
        }
    }
    /// Makes the body the first part of a multipart one, with the boundary `unique-boundary-1`. Returns 1, or -1 without a body.
    #[ksr(cfg = ["set_body_multipart"])]
    fn set_body_multipart_mode(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.set_body_multipart_boundary(ctx, b"")
    }
    /// Makes the body the first part of a multipart one with this boundary. Returns 1, or -1 without a body.
    #[ksr(cfg = ["set_body_multipart"])]
    fn set_body_multipart_boundary(&self, ctx: &mut RouteContext<'_>, delim: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let media = message.header(HeaderName::ContentType).map_or(&b""[..], |h| h.value);
        make_multipart(ctx, message.body(), media, delim)
    }
    /// Replaces the body by a multipart one with this part, with the boundary `unique-boundary-1`. Returns 1, or -1 when one is empty.
    #[ksr(cfg = ["set_body_multipart"])]
    fn set_body_multipart_content(&self, ctx: &mut RouteContext<'_>, nbody: &[u8], ctype: &[u8]) -> Outcome {
        make_multipart(ctx, nbody, ctype, b"")
    }
    /// Replaces the body by a multipart one with this part and this boundary. Returns 1, or -1 when one is empty.
    #[ksr(cfg = ["set_body_multipart"])]
    fn set_body_multipart(
        &self,
        ctx: &mut RouteContext<'_>,
        nbody: &[u8],
        ctype: &[u8],
        delim: &[u8],
    ) -> Outcome {
        make_multipart(ctx, nbody, ctype, delim)
    }
    /// Appends a part to a multipart body; further header rows may follow the media type, separated by CRLF. Returns 1, or -1 when the body
    /// is not multipart.
    #[ksr(cfg = ["append_body_part"])]
    fn append_body_part(&self, ctx: &mut RouteContext<'_>, txt: &[u8], ctype: &[u8]) -> Outcome {
        append(ctx, txt, ctype, b"")
    }
    /// As `append_body_part`, with a Content-Disposition.
    #[ksr(cfg = ["append_body_part"])]
    fn append_body_part_cd(
        &self,
        ctx: &mut RouteContext<'_>,
        txt: &[u8],
        ctype: &[u8],
        cdisp: &[u8],
    ) -> Outcome {
        append(ctx, txt, ctype, cdisp)
    }
    /// As `append_body_part`, with the content in hexadecimal digits. Returns -1 also when it is not such a text.
    #[ksr(cfg = ["append_body_part_hex"])]
    fn append_body_part_hex(&self, ctx: &mut RouteContext<'_>, htxt: &[u8], ctype: &[u8]) -> Outcome {
        from_hex(htxt).map_or(Outcome::FALSE, |content| append(ctx, &content, ctype, b""))
    }
    /// As `append_body_part_hex`, with a Content-Disposition.
    #[ksr(cfg = ["append_body_part_hex"])]
    fn append_body_part_hex_cd(
        &self,
        ctx: &mut RouteContext<'_>,
        htxt: &[u8],
        ctype: &[u8],
        cdisp: &[u8],
    ) -> Outcome {
        from_hex(htxt).map_or(Outcome::FALSE, |content| append(ctx, &content, ctype, cdisp))
    }
    /// Removes the first part of this media type from a multipart body. Returns 1, or -1 when there is none.
    #[ksr(cfg = ["remove_body_part"])]
    fn remove_body_part(&self, ctx: &mut RouteContext<'_>, ctype: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let Some(part) = find_part(&message, ctype) else { return Outcome::FALSE };
        let Some(start) = message.offset_of(part.whole) else { return Outcome::FALSE };
        ctx.edits.remove(start, start + part.whole.len() as u32);
        Outcome::TRUE
    }
    /// Puts the content of the first part of this media type into a pseudo-variable; a body that is not multipart as it is, whatever its
    /// type. Returns 1, or -1 when there is none.
    #[ksr(cfg = ["get_body_part"])]
    fn get_body_part(&self, ctx: &mut RouteContext<'_>, ctype: &[u8], pvname: &Pv) -> Outcome {
        put_part(ctx, ctype, pvname, |part| part.content)
    }
    /// As `get_body_part`, with the header rows of the part.
    #[ksr(cfg = ["get_body_part_raw"])]
    fn get_body_part_raw(&self, ctx: &mut RouteContext<'_>, ctype: &[u8], pvname: &Pv) -> Outcome {
        put_part(ctx, ctype, pvname, |part| part.raw)
    }
}
