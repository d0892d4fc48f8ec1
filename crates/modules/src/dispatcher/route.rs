//! What a selection does to the request: `$du` or the Request-URI, the list for `ds_next_*`, branches of algorithm 12.

use std::sync::Arc;

use message::{Method, Uri};
use script::vars::VarValue;
use script::{Branch, RouteContext};

use super::sets::Set;
use super::{Destination, Dispatcher, select, unix};
use crate::usrloc::socket_text;

/// Where a destination goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// `$du`.
    NextHop,
    /// The Request-URI.
    RequestUri,
    /// Only into the list.
    List,
}

impl Into {
    /// `0 d D`, `1 r R`, `2 x X`: the first letter counts.
    pub fn parse(text: &[u8]) -> Option<Into> {
        match text.first()? {
            b'0' | b'd' | b'D' => Some(Into::NextHop),
            b'1' | b'r' | b'R' => Some(Into::RequestUri),
            b'2' | b'x' | b'X' => Some(Into::List),
            _ => None,
        }
    }
}

/// `1=4;2=8`: sets with their algorithms; without one it is 0. `None` when it is not that.
pub fn parse_rules(text: &[u8]) -> Option<Vec<(i64, i64)>> {
    let text = std::str::from_utf8(text).ok()?;
    let rule = |rule: &str| {
        let (set, algorithm) = rule.split_once('=').unwrap_or((rule, "0"));
        Some((set.trim().parse().ok()?, algorithm.trim().parse().ok()?))
    };
    let rules: Vec<_> = text.split(';').filter(|r| !r.trim().is_empty()).map(rule).collect::<Option<_>>()?;
    (!rules.is_empty()).then_some(rules)
}

/// The call load algorithm.
const CALL_LOAD: i64 = 10;
/// The algorithm of all at once.
const PARALLEL: i64 = 12;

impl Dispatcher {
    /// Selects from the sets of the rules, in order. False when nothing was found.
    pub(super) fn select(
        &self,
        ctx: &mut RouteContext<'_>,
        rules: &[(i64, i64)],
        into: Into,
        limit: usize,
    ) -> bool {
        if into == Into::NextHop && !self.settings.force_dst && !ctx.target.dst_uri.is_empty() {
            tracing::error!(target: "dispatcher", call_id = %String::from_utf8_lossy(ctx.message.call_id()), "$du is set already (force_dst is 0)");
            return false;
        }
        let sets = self.sets();
        let limit = if limit == 0 { usize::MAX } else { limit };
        let keep = self.settings.flags & 2 != 0;
        let mut chosen: Vec<VarValue> = Vec::new();
        let mut taken = 0;
        for (id, algorithm) in rules {
            let Some(set) = sets.set(*id) else {
                tracing::error!(target: "dispatcher", set = id, "there is no such set");
                continue;
            };
            let left = limit.saturating_sub(taken);
            if left == 0 {
                break;
            }
            if *algorithm == PARALLEL {
                taken += self.all_at_once(ctx, set, into, left, taken > 0);
                continue;
            }
            if *algorithm == CALL_LOAD && self.settings.ds_hash_size == 0 {
                tracing::error!(target: "dispatcher", "algorithm 10 needs ds_hash_size above 0");
                continue;
            }
            let Some(first) = select::first(self, ctx, set, *algorithm) else { continue };
            let counted = *algorithm == CALL_LOAD && ctx.message.method() == Method::Invite;
            let now = ctx.now;
            // Those that follow are skipped for overload as the first: a request tried again is one, too.
            let fits = |(at, d): &(usize, &Arc<Destination>)| match *algorithm {
                CALL_LOAD => d.has_room(),
                select::OVERLOAD => *at == 0 || !d.overload().skips(now, false),
                _ => true,
            };
            let following = order(set, first, self.settings.use_default).enumerate();
            for (_, destination) in following.filter(fits).take(left) {
                if taken == 0 {
                    self.send_to(ctx, destination, into);
                    if counted {
                        self.count_call(ctx, destination);
                    }
                }
                taken += 1;
                if !keep {
                    break;
                }
                chosen.push(self.entry(ctx, set.id, destination, counted));
            }
            if !keep && taken > 0 {
                break;
            }
        }
        if self.settings.xavp_ctx_mode & 1 == 0 && taken > 0 {
            let count = i64::try_from(chosen.len()).unwrap_or(i64::MAX);
            let value = VarValue::Xavp(vec![(b"cnt"[..].into(), VarValue::Int(count))]);
            push(ctx, &self.settings.xavp_ctx, vec![value]);
        }
        push(ctx, &self.settings.xavp_dst, chosen);
        taken > 0
    }

    /// Sends to all that take calls: the first as the target, the others as branches.
    fn all_at_once(
        &self,
        ctx: &mut RouteContext<'_>,
        set: &Set,
        into: Into,
        limit: usize,
        only_branches: bool,
    ) -> usize {
        let uri = ctx.request_uri().to_vec();
        let used: Vec<&Arc<Destination>> = set.list.iter().filter(|d| d.is_used()).take(limit).collect();
        for (n, destination) in used.iter().enumerate() {
            if n == 0 && !only_branches {
                self.send_to(ctx, destination, into);
                continue;
            }
            if ctx.branches.len() >= ctx.core.config.max_branches {
                tracing::warn!(target: "dispatcher", set = set.id, "more destinations than max_branches allows");
                return n;
            }
            let mut branch =
                Branch { uri: uri.clone(), q: -1, socket: destination.socket, ..Branch::default() };
            match into {
                Into::RequestUri => branch.uri = with_destination(&uri, &destination.uri),
                _ => branch.dst_uri = destination.uri.as_bytes().into(),
            }
            ctx.branches.push(branch);
        }
        used.len()
    }

    fn send_to(&self, ctx: &mut RouteContext<'_>, destination: &Destination, into: Into) {
        match into {
            Into::NextHop => ctx.target.dst_uri = destination.uri.as_bytes().into(),
            Into::RequestUri => ctx.target.uri = with_destination(ctx.request_uri(), &destination.uri),
            Into::List => return,
        }
        if let Some(socket) = destination.socket.or(self.default_socket) {
            ctx.target.socket = Some(socket);
        }
    }

    /// What the list tells scripts of a destination, and `ds_next_*` of the destination to use.
    fn entry(&self, ctx: &RouteContext<'_>, set: i64, d: &Destination, with_duid: bool) -> VarValue {
        let text = |name: &str, value: &str| (name.as_bytes().into(), VarValue::Str(value.as_bytes().into()));
        let mut fields = vec![text("uri", &d.uri), (b"grp"[..].into(), VarValue::Int(set))];
        if with_duid && !d.attributes.duid.is_empty() {
            fields.push(text("dstid", &d.attributes.duid));
        }
        if self.settings.xavp_dst_mode & 1 == 0 && !d.attributes.body.is_empty() {
            fields.push(text("attrs", &d.attributes.body));
        }
        let listener = d.socket.and_then(|s| ctx.core.listeners.get(usize::from(s.0)));
        if let Some(listener) = listener {
            if self.settings.xavp_dst_mode & 2 != 0 {
                let mut socket = Vec::new();
                socket_text(listener, &mut socket);
                fields.push((b"socket"[..].into(), VarValue::Str(socket.into())));
            }
            if let Some(name) = listener.name.as_deref().filter(|_| self.settings.xavp_dst_mode & 4 != 0) {
                fields.push(text("sockname", name));
            }
        }
        VarValue::Xavp(fields)
    }

    fn count_call(&self, ctx: &RouteContext<'_>, destination: &Arc<Destination>) {
        let expires = unix(ctx.now).saturating_add(self.settings.ds_hash_initexpire);
        self.calls.set(ctx.message.call_id(), destination, expires);
    }

    /// Set and URI of the list's first entry.
    pub(super) fn current(&self, ctx: &RouteContext<'_>) -> Option<(i64, String, bool)> {
        ctx.vars.as_ref()?.with(|lists| {
            let name = self.settings.xavp_dst.as_bytes();
            let (_, value) = lists.xavps.iter().find(|(n, _)| **n == *name)?;
            let VarValue::Xavp(fields) = value else { return None };
            let field = |name: &[u8]| fields.iter().find(|(n, _)| **n == *name).map(|(_, v)| v);
            let Some(VarValue::Str(uri)) = field(b"uri") else { return None };
            let Some(VarValue::Int(set)) = field(b"grp") else { return None };
            Some((*set, String::from_utf8_lossy(uri).into_owned(), field(b"dstid").is_some()))
        })
    }

    /// Uses the list's first entry, or with `next` the one after it, which then is the first.
    pub(super) fn use_list(&self, ctx: &mut RouteContext<'_>, next: bool, into: Into) -> bool {
        if next {
            let name = self.settings.xavp_dst.as_bytes();
            let Some(vars) = &ctx.vars else { return false };
            vars.with(|lists| {
                if let Some(at) = lists.xavps.iter().position(|(n, _)| **n == *name) {
                    lists.xavps.remove(at);
                }
            });
        }
        let Some((id, uri, counted)) = self.current(ctx) else { return false };
        let known = self.sets().set(id).and_then(|s| s.find(&uri).cloned());
        match known {
            Some(destination) => {
                self.send_to(ctx, &destination, into);
                if counted && ctx.message.method() == Method::Invite {
                    self.count_call(ctx, &destination);
                }
            }
            // Reloaded meanwhile: the script goes on with what it chose.
            None if into == Into::RequestUri => ctx.target.uri = with_destination(ctx.request_uri(), &uri),
            None => ctx.target.dst_uri = uri.into_bytes(),
        }
        true
    }
}

/// Destinations in the order they are tried: those that take calls, from the first on around; the default one last.
fn order(set: &Set, first: usize, use_default: bool) -> impl Iterator<Item = &Arc<Destination>> {
    let size = select::choosable(set, use_default);
    // The first may be the default itself, when no other takes this call.
    let before = if first < size { 0..first } else { 0..0 };
    let around = (first..size).chain(before).filter_map(|i| set.list.get(i));
    let default = set.list.get(size..).unwrap_or_default().iter();
    around.chain(default).filter(|d| d.is_used())
}

/// The user of the one with host, port and parameters of the other.
fn with_destination(uri: &[u8], destination: &str) -> Vec<u8> {
    let user = Uri::parse(uri).ok().and_then(|u| u.user).filter(|u| !u.is_empty());
    let (Some(user), Some((scheme, rest))) = (user, destination.split_once(':')) else {
        return destination.as_bytes().into();
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    [scheme.as_bytes(), b":", user, b"@", host.as_bytes()].concat()
}

fn push(ctx: &mut RouteContext<'_>, name: &str, values: Vec<VarValue>) {
    if values.is_empty() || name.is_empty() {
        return;
    }
    ctx.vars().with(|lists| {
        lists.xavps.splice(0..0, values.into_iter().map(|v| (Box::from(name.as_bytes()), v)));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_request_uris() {
        assert_eq!(parse_rules(b"2=8;4=4"), Some(vec![(2, 8), (4, 4)]));
        assert_eq!(parse_rules(b"2"), Some(vec![(2, 0)]));
        assert_eq!([parse_rules(b"bad"), parse_rules(b""), parse_rules(b"2=x")], [None, None, None]);
        for (uri, destination, want) in [
            ("sip:a@h.com:5099;z=1", "sip:127.0.0.1:1;transport=udp", "sip:a@127.0.0.1:1;transport=udp"),
            ("sip:h.com", "sip:127.0.0.1", "sip:127.0.0.1"),
            ("sip:h.com", "sip:u@127.0.0.1;x=y", "sip:u@127.0.0.1;x=y"),
            ("sip:a@h.com", "sip:u@127.0.0.1;x=y", "sip:a@127.0.0.1;x=y"),
        ] {
            assert_eq!(with_destination(uri.as_bytes(), destination), want.as_bytes(), "{uri}");
        }
    }
}
