//! What the core counts, by Kamailio's names (`kamcmd stats.get_statistics all`).

use std::sync::Arc;

use message::Method;
use script::statistics::Kind;
use script::{Statistic, Statistics};
use transaction::Counts;

use crate::shards::Shards;

/// Codes of stateless replies that are counted one by one; the others by class, as in Kamailio.
const SL_CODES: [u16; 13] = [200, 202, 300, 301, 302, 400, 401, 403, 404, 407, 408, 483, 500];

/// Methods whose replies are counted by class, with their words in the names.
const REPLY_METHODS: [(Method, &str); 8] = [
    (Method::Invite, "invite"),
    (Method::Bye, "bye"),
    (Method::Cancel, "cancel"),
    (Method::Register, "reg"),
    (Method::Message, "message"),
    (Method::Prack, "prack"),
    (Method::Refer, "refer"),
    (Method::Update, "update"),
];

/// Codes of received replies that are also counted one by one.
const REPLY_CODES: [u16; 5] = [401, 404, 407, 480, 486];

/// Received replies of one class.
struct ReplyClass {
    all: Statistic,
    methods: [Statistic; REPLY_METHODS.len()],
}

pub(crate) struct Counters {
    pub(crate) rcv_requests: Statistic,
    pub(crate) rcv_replies: Statistic,
    pub(crate) fwd_requests: Statistic,
    pub(crate) fwd_replies: Statistic,
    pub(crate) drop_requests: Statistic,
    pub(crate) drop_replies: Statistic,
    pub(crate) err_requests: Statistic,
    pub(crate) err_replies: Statistic,
    pub(crate) bad_uris: Statistic,
    pub(crate) bad_messages: Statistic,
    pub(crate) keepalives: Statistic,
    pub(crate) script_errors: Statistic,
    pub(crate) sl_sent: Statistic,
    pub(crate) sl_received_acks: Statistic,
    pub(crate) no_destination: Statistic,
    methods: [(Method, Statistic); 14],
    unsupported_methods: Statistic,
    reply_classes: [ReplyClass; 6],
    reply_codes: [Statistic; REPLY_CODES.len()],
    replies_18x: Statistic,
    sl_classes: [Statistic; 6],
    sl_codes: [Statistic; SL_CODES.len()],
}

impl Counters {
    pub(crate) fn new(s: &Statistics) -> Counters {
        let core = |name: &str, doc: &str| s.register("core", name, doc);
        let sl = |name: &str, doc: &str| s.register("sl", name, doc);
        use Method::*;
        let methods = [
            Invite, Ack, Bye, Cancel, Register, Options, Subscribe, Notify, Publish, Refer, Info, Update,
            Prack, Message,
        ];
        Counters {
            rcv_requests: core("rcv_requests", "Requests received."),
            rcv_replies: core("rcv_replies", "Replies received."),
            fwd_requests: core("fwd_requests", "Requests sent on, one per branch."),
            fwd_replies: core("fwd_replies", "Replies sent on."),
            drop_requests: core("drop_requests", "Requests dropped."),
            drop_replies: core("drop_replies", "Replies dropped: malformed, not for us, or by the script."),
            err_requests: core("err_requests", "Requests answered with an error before the script saw them."),
            err_replies: core("err_replies", "Replies that could not be sent on."),
            bad_uris: core("bad_URIs_rcvd", "Requests with a Request-URI that cannot be read."),
            bad_messages: core(
                "bad_msg_hdr",
                "Datagrams that are not SIP, or with a header that cannot be read.",
            ),
            keepalives: core("rcv_keepalives", "Keep-alives (CRLF) received."),
            script_errors: core("script_exceptions", "Routes that ended with an exception."),
            sl_sent: sl("sent_replies", "Replies sent without a transaction."),
            sl_received_acks: sl(
                "received_ACKs",
                "ACKs absorbed that belong to replies sent without a transaction.",
            ),
            no_destination: core("unresolved_destinations", "Next hops that could not be resolved (478)."),
            methods: methods.map(|m| {
                let name = format!("rcv_requests_{}", m.as_str().to_ascii_lowercase());
                (m, core(&name, &format!("{} requests received.", m.as_str())))
            }),
            unsupported_methods: core(
                "unsupported_methods",
                "Requests received with a method of no name here.",
            ),
            reply_classes: [1, 2, 3, 4, 5, 6].map(|c| ReplyClass {
                all: core(&format!("rcv_replies_{c}xx"), &format!("{c}xx replies received.")),
                methods: REPLY_METHODS.map(|(m, word)| {
                    let doc = format!("{c}xx replies to {} received.", m.as_str());
                    core(&format!("rcv_replies_{c}xx_{word}"), &doc)
                }),
            }),
            reply_codes: REPLY_CODES
                .map(|c| core(&format!("rcv_replies_{c}"), &format!("Replies {c} received."))),
            replies_18x: core("rcv_replies_18x", "Replies 180 to 189 received."),
            sl_codes: SL_CODES
                .map(|c| sl(&format!("{c}_replies"), &format!("Replies {c} sent without a transaction."))),
            sl_classes: [1, 2, 3, 4, 5, 6].map(|c| {
                let doc =
                    format!("{c}xx replies sent without a transaction, but for those counted by their code.");
                sl(&format!("{c}xx_replies"), &doc)
            }),
        }
    }
    pub(crate) fn received_request(&self, method: Method) {
        self.rcv_requests.inc();
        if let Some((_, s)) = self.methods.iter().find(|(m, _)| *m == method) {
            s.inc();
        }
        if method == Method::Other {
            self.unsupported_methods.inc();
        }
    }
    /// Counts a reply that can be read by class, method and code.
    pub(crate) fn received_reply(&self, code: u16, method: Method) {
        let class = usize::from(code / 100).checked_sub(1).and_then(|c| self.reply_classes.get(c));
        let Some(class) = class else { return };
        class.all.inc();
        let methods = REPLY_METHODS.iter().zip(&class.methods);
        if let Some((_, counter)) = methods.into_iter().find(|((m, _), _)| *m == method) {
            counter.inc();
        }
        if (180..190).contains(&code) {
            self.replies_18x.inc();
        }
        if let Some((_, counter)) = REPLY_CODES.iter().zip(&self.reply_codes).find(|(c, _)| **c == code) {
            counter.inc();
        }
    }
    pub(crate) fn sent_stateless(&self, code: u16) {
        self.sl_sent.inc();
        if let Some(at) = SL_CODES.iter().position(|c| *c == code) {
            if let Some(counter) = self.sl_codes.get(at) {
                counter.inc();
            }
        } else if let Some(s) = (code / 100).checked_sub(1).and_then(|c| self.sl_classes.get(c as usize)) {
            s.inc();
        }
    }
}

/// The transaction table's numbers, in Kamailio's group `tmx`.
pub(crate) fn register_gauges(statistics: &Statistics, shards: &Arc<Shards>) {
    type Number = fn(&Counts) -> u64;
    let rows: [(&str, &str, Number); 16] = [
        ("UAS_transactions", "Transactions made for received requests.", |c| c.total - c.total_local),
        ("UAC_transactions", "Transactions made for requests of our own.", |c| c.total_local),
        ("created_transactions", "Transactions made since start.", |c| c.total),
        ("freed_transactions", "Transactions freed since start.", |c| c.freed),
        ("inuse_transactions", "Live transactions.", |c| c.current),
        ("active_transactions", "Live transactions without a final reply.", |c| {
            c.current.saturating_sub(c.waiting)
        }),
        ("waiting_transactions", "Finished transactions kept to absorb late messages.", |c| c.waiting),
        ("2xx_transactions", "Transactions that ended with 2xx.", |c| c.final_class[0]),
        ("3xx_transactions", "Transactions that ended with 3xx.", |c| c.final_class[1]),
        ("4xx_transactions", "Transactions that ended with 4xx.", |c| c.final_class[2]),
        ("5xx_transactions", "Transactions that ended with 5xx.", |c| c.final_class[3]),
        ("6xx_transactions", "Transactions that ended with 6xx.", |c| c.final_class[4]),
        ("rpl_received", "Replies received that belong to a transaction.", |c| c.replies_received),
        ("rpl_generated", "Final replies of transactions made here.", |c| c.replied_locally),
        ("rpl_sent", "Final replies of transactions.", |c| c.final_class.iter().sum()),
        ("refused_transactions", "Requests answered 503 because the table was full.", |c| c.refused),
    ];
    for (name, doc, number) in rows {
        let shards = shards.clone();
        let live = ["inuse_transactions", "active_transactions", "waiting_transactions"].contains(&name);
        let kind = if live { Kind::Level } else { Kind::Counter };
        statistics.computed("tmx", name, doc, kind, Box::new(move || number(&shards.counts()) as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the packaged Kamailio counted for the same replies and requests.
    #[test]
    fn replies_and_requests_as_kamailio_counts_them() {
        let statistics = Statistics::default();
        let counters = Counters::new(&statistics);
        use Method::*;
        for (code, method) in [
            (100, Invite),
            (180, Invite),
            (183, Invite),
            (189, Invite),
            (190, Invite),
            (200, Register),
            (202, Invite),
            (302, Refer),
            (404, Invite),
            (486, Bye),
            (401, Options),
            (407, Message),
            (480, Update),
            (500, Subscribe),
            (603, Prack),
            (200, Other),
        ] {
            counters.received_reply(code, method);
        }
        [Other, Info, Kdmq].into_iter().for_each(|m| counters.received_request(m));
        let counted = statistics.list(Some("core"));
        let counted: Vec<String> =
            counted.into_iter().filter(|r| r.2 > 0).map(|(_, n, v, _)| format!("{n} {v}")).collect();
        let wanted = "rcv_replies_18x 3,rcv_replies_1xx 5,rcv_replies_1xx_invite 5,rcv_replies_2xx 3,rcv_replies_2xx_invite 1,\
            rcv_replies_2xx_reg 1,rcv_replies_3xx 1,rcv_replies_3xx_refer 1,rcv_replies_401 1,rcv_replies_404 1,rcv_replies_407 1,\
            rcv_replies_480 1,rcv_replies_486 1,rcv_replies_4xx 5,rcv_replies_4xx_bye 1,rcv_replies_4xx_invite 1,\
            rcv_replies_4xx_message 1,rcv_replies_4xx_update 1,rcv_replies_5xx 1,rcv_replies_6xx 1,rcv_replies_6xx_prack 1,\
            rcv_requests 3,rcv_requests_info 1,unsupported_methods 1";
        assert_eq!(counted.join(","), wanted);
    }
}
