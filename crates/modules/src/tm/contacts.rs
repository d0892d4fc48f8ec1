//! Serial forking by q: `t_load_contacts` puts the destination set aside in a list of the transaction, `t_next_contacts` takes the next
//! group of equal q (RFC 3261 §16.6: "process the targets in order of their qvalues").

use script::vars::VarValue;
use script::{Branch, Outcome, RouteContext};
use transaction::SocketId;

/// No more contacts.
const NO_MORE: Outcome = Outcome(-2);

/// Puts the destination set aside. `in_order`: one contact at a time, in the order of the set.
pub(super) fn load(ctx: &mut RouteContext<'_>, list: &[u8], in_order: bool) -> Outcome {
    if ctx.branches.is_empty() {
        return Outcome::TRUE;
    }
    let mut set = vec![ctx.target.clone()];
    if let Some(first) = set.first_mut()
        && first.uri.is_empty()
    {
        first.uri = ctx.message.request_uri().to_vec();
    }
    set.append(&mut ctx.branches);
    if in_order {
        let n = set.len() as i32;
        for (i, b) in set.iter_mut().enumerate() {
            b.q = 1000 + n - i as i32;
        }
    } else {
        // Among equals the last that lookup gave is the first, as in Kamailio: scripts see it in the branch numbers.
        set.reverse();
        set.sort_by_key(|b| std::cmp::Reverse(b.q));
    }
    let stored: Vec<_> = set.iter().map(|b| (Box::from(list), pack(b))).collect();
    ctx.vars().with(|lists| {
        lists.xavps.retain(|(name, _)| name.as_ref() != list);
        lists.xavps.extend(stored);
    });
    Outcome::TRUE
}

/// Makes the next group the destination set.
pub(super) fn next(ctx: &mut RouteContext<'_>, list: &[u8]) -> Outcome {
    if ctx.vars.is_none() {
        // Nothing was put aside: a single contact, which is tried once.
        return NO_MORE;
    }
    let group: Vec<Branch> = ctx.vars().with(|lists| {
        let waiting: Vec<Branch> =
            lists.xavps.iter().filter(|(n, _)| n.as_ref() == list).filter_map(|(_, v)| unpack(v)).collect();
        let Some(q) = waiting.first().map(|b| b.q) else { return Vec::new() };
        let count = waiting.iter().take_while(|b| b.q == q).count();
        let mut left = count;
        lists.xavps.retain(|(n, _)| {
            let drop = n.as_ref() == list && left > 0;
            left -= usize::from(drop);
            !drop
        });
        waiting.into_iter().take(count).collect()
    });
    let mut group = group.into_iter();
    let Some(first) = group.next() else { return NO_MORE };
    ctx.target = first;
    ctx.branches = group.collect();
    Outcome::TRUE
}

fn pack(b: &Branch) -> VarValue {
    let text = |name: &str, v: &[u8]| (Box::from(name.as_bytes()), VarValue::Str(v.into()));
    let int = |name: &str, v: i64| (Box::from(name.as_bytes()), VarValue::Int(v));
    VarValue::Xavp(vec![
        text("uri", &b.uri),
        text("dst_uri", &b.dst_uri),
        text("path", &b.path),
        int("qvalue", i64::from(b.q)),
        int("branch_flags", i64::from(b.flags)),
        int("sock", b.socket.map_or(-1, |s| i64::from(s.0))),
        text("instance", &b.instance),
        int("reg_id", i64::from(b.reg_id)),
        text("ruid", &b.ruid),
        text("ua", &b.location_ua),
    ])
}

fn unpack(v: &VarValue) -> Option<Branch> {
    let VarValue::Xavp(fields) = v else { return None };
    let field = |name: &str| fields.iter().find(|(n, _)| n.as_ref() == name.as_bytes()).map(|(_, v)| v);
    let text = |name: &str| match field(name) {
        Some(VarValue::Str(s)) => s.to_vec(),
        _ => Vec::new(),
    };
    let int = |name: &str| match field(name) {
        Some(VarValue::Int(i)) => *i,
        _ => 0,
    };
    Some(Branch {
        uri: text("uri"),
        dst_uri: text("dst_uri"),
        path: text("path"),
        q: int("qvalue") as i32,
        flags: int("branch_flags") as u32,
        socket: u16::try_from(int("sock")).ok().map(SocketId),
        instance: text("instance"),
        reg_id: int("reg_id") as u32,
        ruid: text("ruid"),
        location_ua: text("ua"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;

    const INVITE: &str = "INVITE sip:line@a SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\nFrom: <sip:b@a>;tag=1\nTo: <sip:line@a>\n\
                          Call-ID: c\nCSeq: 1 INVITE\n";

    fn branch(uri: &str, q: i32) -> Branch {
        Branch { uri: uri.into(), q, ..Branch::default() }
    }
    /// Groups in the order in which they are tried.
    fn groups(in_order: bool) -> Vec<Vec<String>> {
        let bench = Bench::new(Vec::new());
        let mut ctx = bench.request(INVITE);
        ctx.target = branch("sip:a", 500);
        ctx.branches = vec![branch("sip:b", 1000), branch("sip:c", 500), branch("sip:d", 100)];
        assert_eq!(load(&mut ctx, b"list", in_order), Outcome::TRUE);
        assert!(ctx.branches.is_empty());
        let mut all = Vec::new();
        while next(&mut ctx, b"list") == Outcome::TRUE {
            let set = std::iter::once(&ctx.target).chain(&ctx.branches);
            all.push(set.map(|b| String::from_utf8_lossy(&b.uri).into_owned()).collect());
        }
        assert_eq!(next(&mut ctx, b"list"), NO_MORE);
        all
    }

    #[test]
    fn equals_go_together_the_last_first() {
        assert_eq!(groups(false), [vec!["sip:b"], vec!["sip:c", "sip:a"], vec!["sip:d"]]);
    }
    #[test]
    fn in_order_one_goes_at_a_time() {
        assert_eq!(groups(true), [["sip:a"], ["sip:b"], ["sip:c"], ["sip:d"]]);
    }
}
