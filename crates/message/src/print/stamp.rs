//! `received` and `rport` for the Via of the element a request came from (RFC 3261 §18.2.1, RFC 3581 §4).

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::{Patch, Patches};
use crate::grammar::{self, trim_end, trim_last_semicolon};
use crate::{Edits, Message, Via};

/// Parameters the receiving server adds to the topmost Via (RFC 3261 §18.2.1, RFC 3581 §4).
#[derive(Debug, Clone, Copy)]
pub struct ViaStamp<'a> {
    /// Source address to write as `received`, `None` to leave it.
    pub received: Option<IpAddr>,
    /// Source port to write as the value of `rport`, `None` to leave it.
    pub rport: Option<u16>,
    /// Marker of the borrowed message.
    pub _message: std::marker::PhantomData<&'a ()>,
}

/// What a request from `source` needs in its topmost Via: `received` when sent-by differs (or rport is asked, RFC 3581 §4), `rport`
/// when the client asked or the script called `force_rport`.
pub fn via_stamp(request: &Message, source: SocketAddr, force_rport: bool) -> Option<ViaStamp<'_>> {
    let via = request.via().ok()?;
    let address = source.ip().to_canonical();
    let asked = via.rport.is_some();
    // "If the host portion of the "sent-by" parameter contains a domain name, or if it contains an IP address that
    // differs from the packet source address, the server MUST add a "received" parameter". RFC 3581 §4 for rport: "even
    // if it is identical". Kamailio's force_rport() alone does not count as having been asked.
    let received = (asked || via.ip() != Some(address)).then_some(address);
    let rport = (asked || force_rport).then_some(source.port());
    (received.is_some() || rport.is_some()).then_some(ViaStamp {
        received,
        rport,
        _message: std::marker::PhantomData,
    })
}

/// Where parameters go that the Via does not have yet. Kamailio writes them behind sent-by when it forwards and at
/// the end of the value when it replies; elements that compare a Via byte by byte get what they are used to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    BehindSentBy,
    AtEnd,
}

/// Patches the topmost Via of `message`, but for parts that the edits removed.
pub(super) fn add_patches<'a>(
    message: &Message,
    edits: &Edits,
    stamp: &ViaStamp<'_>,
    place: Place,
    patches: &mut Patches<'a>,
) {
    let Ok(via) = message.via() else { return };
    let Some((start, end)) = message.offset_of(via.text).map(|start| (start, start + via.text.len() as u32))
    else {
        return;
    };
    if edits.is_removed(start) || edits.is_removed(end.saturating_sub(1)) {
        return;
    }
    let new_params = match place {
        Place::AtEnd => start + trim_last_semicolon(via.text).len() as u32,
        Place::BehindSentBy => start + sent_by_end(&via),
    };
    let mut missing = (stamp.received, stamp.rport);
    for param in via.params.iter() {
        let Some(name_end) = message.offset_of(param.name).map(|at| at + param.name.len() as u32) else {
            continue;
        };
        let value =
            param.value.and_then(|value| message.offset_of(value).map(|at| (at, at + value.len() as u32)));
        if param.name.eq_ignore_ascii_case(b"received")
            && let Some(address) = missing.0.take()
        {
            match value {
                Some((start, end)) => patches.add(start, end, Patch::Received(b"", address)),
                None => patches.add(name_end, name_end, Patch::Received(b"=", address)),
            }
        } else if param.name.eq_ignore_ascii_case(b"rport")
            && let Some(port) = missing.1.take()
        {
            match value {
                Some((start, end)) => patches.add(start, end, Patch::Rport(b"", port)),
                None => patches.add(name_end, name_end, Patch::Rport(b"=", port)),
            }
        }
    }
    if let Some(port) = missing.1 {
        patches.add(new_params, new_params, Patch::Rport(b";rport=", port));
    }
    if let Some(address) = missing.0 {
        patches.add(new_params, new_params, Patch::Received(b";received=", address));
    }
}

/// Offset in the Via's text behind host and port: where its parameters begin, or its end.
fn sent_by_end(via: &Via<'_>) -> u32 {
    let host_end = (via.host.as_ptr() as usize).saturating_sub(via.text.as_ptr() as usize) + via.host.len();
    let rest = via.text.get(host_end..).unwrap_or_default();
    let semicolon = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
    (host_end + trim_end(rest.get(..semicolon).unwrap_or_default()).len()) as u32
}

/// Appends several texts.
#[inline]
pub(super) fn text(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends a number.
pub(super) fn decimal(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(grammar::decimal(number, &mut [0; 20]));
}

/// Appends an address; IPv6 without brackets, as §25.1 `via-received` has it.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                decimal(out, octet.into());
            }
        }
        // Writing into a Vec cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}
