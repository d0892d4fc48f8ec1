//! The control protocol: a line of words, answered by a line. `V` asks for the version, `VF date` for a feature.
//!
//! ```text
//! 71_5c1_1 Uc0,8,101 call-id 192.0.2.1 4000 from-tag;1        -> 71_5c1_1 35000 198.51.100.1
//! ```

use std::sync::atomic::Ordering;
use std::time::Duration;

use script::exchange::Ask;
use script::{Core, RouteContext};
use transaction::Now;

use super::flags::{Flags, Via};
use super::{Chosen, RtpProxy, parsed};
use crate::relay::{Attempt, Node};

/// The version of the protocol every relay must speak.
const VERSION: &[u8] = b"20040107";
/// Features: several streams in a call, changing the packet size, codecs in commands.
const FEATURES: [(&str, u64); 3] = [("20050322", STREAMS), ("20071116", PACKETS), ("20081102", CODECS)];
/// Streams have numbers: `;1` behind tags.
pub(super) const STREAMS: u64 = 1;
/// `Z20`
pub(super) const PACKETS: u64 = 2;
/// `c0,8,101`
pub(super) const CODECS: u64 = 4;

/// Names of a call at the relay.
pub(super) struct Call {
    /// Call-ID, with a branch behind it when flags ask for one.
    pub id: Vec<u8>,
    /// What the node is chosen by: the Call-ID.
    pub key: Vec<u8>,
    pub from_tag: Vec<u8>,
    pub to_tag: Option<Vec<u8>>,
}

impl Call {
    /// `None` when the message lacks what names a call.
    pub fn of(rtpproxy: &RtpProxy, ctx: &RouteContext<'_>, flags: &Flags) -> Option<Call> {
        let message = &ctx.message;
        // A word of the protocol must stay one.
        let word = |t: &[u8]| !t.is_empty() && !t.iter().any(|b| *b <= b' ' || *b == b';');
        let from_tag = message.from().ok()?.tag().filter(|t| word(t))?.to_vec();
        let to_tag = message.to().ok()?.tag().filter(|t| word(t)).map(<[u8]>::to_vec);
        let key = message.call_id().to_vec();
        if key.is_empty() || key.iter().any(|b| *b <= b' ') {
            return None;
        }
        let at = match flags.via {
            Via::None => None,
            Via::First => Some(0),
            Via::Second => Some(1),
            Via::Auto => Some(if message.is_request() { 0 } else { 1 }),
            Via::Extra => {
                let name = &rtpproxy.settings.extra_id_pv;
                let pv = parsed(&rtpproxy.extra_id, ctx.core, name, "extra_id_pv")?;
                let value = pv.get(ctx).to_text().into_owned();
                let id = [key.as_slice(), b";", &value].concat();
                return word(&value).then_some(Call { id, key, from_tag, to_tag });
            }
        };
        let mut id = key.clone();
        if let Some(at) = at {
            let branch = message.vias().nth(at)?.ok()?.branch?;
            id.push(b';');
            id.extend_from_slice(branch);
        }
        Some(Call { id, key, from_tag, to_tag })
    }
}

fn seconds(now: Now) -> u64 {
    now.mono.as_millis() / 1000
}

impl RtpProxy {
    fn put(
        &self,
        core: &Core,
        node: &Node,
        command: &[u8],
        tries: u32,
    ) -> Result<Vec<u8>, script::exchange::AskError> {
        core.exchange.ask(&Ask {
            peer: &node.peer,
            payload: command,
            timeout: Duration::from_secs(u64::from(self.settings.rtpproxy_tout.clamp(1, 60))),
            tries,
            from: None,
            tos: None,
        })
    }

    fn until(&self, now: Now) -> u64 {
        seconds(now) + u64::from(self.settings.rtpproxy_disable_tout)
    }

    /// Whether a node is there and speaks our version; what it can is remembered.
    pub(super) fn is_there(&self, core: &Core, node: &Node, now: Now, tries: u32) -> bool {
        let fail = |why: &str| {
            node.down("rtpproxy", why, self.until(now));
            false
        };
        match self.put(core, node, b"V", tries) {
            Ok(version) if version.trim_ascii() == VERSION => {}
            Ok(_) => return fail("another version of the protocol"),
            Err(why) => return fail(&why.to_string()),
        }
        let mut features = 0;
        for (date, bit) in FEATURES {
            match self.put(core, node, format!("VF {date}").as_bytes(), tries) {
                Ok(answer) if answer.first() == Some(&b'1') => features |= bit,
                Ok(_) => {}
                Err(why) => return fail(&why.to_string()),
            }
        }
        node.features.store(features, Ordering::Relaxed);
        node.up("rtpproxy");
        true
    }

    /// Sends a command to the node of a call, to the next when it does not answer. Its URL and the answer.
    pub(super) fn ask(
        &self,
        ctx: &RouteContext<'_>,
        key: &[u8],
        tries: u32,
        command: &dyn Fn(&Node) -> Vec<u8>,
    ) -> Option<(String, Vec<u8>)> {
        let how = Attempt {
            module: "rtpproxy",
            set: ctx.slots.peek::<Chosen>().map_or(0, |c| c.0),
            call: key,
            now: seconds(ctx.now),
            until: self.until(ctx.now),
            limit: usize::MAX,
            first: None,
            stays: false,
            desperate: false,
        };
        self.pool.ask(
            &how,
            |node| self.is_there(ctx.core, node, ctx.now, 1),
            |node| self.put(ctx.core, node, &command(node), tries),
        )
    }
}
