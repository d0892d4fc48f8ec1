//! Parameters of `tm`.

use std::time::Duration;

use script::ModParams;
use transaction::{Options, Timing};

/// `modparam("tm", ...)`; times in milliseconds unless said otherwise.
#[derive(Debug, Clone, ModParams)]
pub struct Settings {
    /// Milliseconds without a final reply to a non-INVITE, or without any reply to an INVITE, until the branch is given up (408). Default 30000.
    pub fr_timer: i64,
    /// Milliseconds without a final reply to an INVITE after a provisional one (RFC 3261 Timer C; every 101..199 starts it anew). Default 120000.
    pub fr_inv_timer: i64,
    /// RFC 3261's T1: first retransmission interval in milliseconds. Default 500.
    pub retr_timer1: i64,
    /// RFC 3261's T2: longest retransmission interval in milliseconds. Default 4000.
    pub retr_timer2: i64,
    /// Milliseconds a finished transaction is kept to absorb late messages (in place of RFC 3261's timers D and J and RFC 6026's L and M; 32000
    /// gives the RFC's 64*T1). Default 5000.
    pub wt_timer: i64,
    /// Hard limit of an INVITE transaction in milliseconds. Default 180000.
    pub max_inv_lifetime: i64,
    /// Hard limit of any other transaction in milliseconds. Default 32000.
    pub max_noninv_lifetime: i64,
    /// 1 (default): an INVITE that is sent on is answered 100 at once (RFC 3261 §17.2.1).
    pub auto_inv_100: bool,
    /// Reason phrase of that 100. Default `trying -- your call is important to us`.
    pub auto_inv_100_reason: String,
    /// 0 (default): a 6xx ends the search and cancels pending branches (RFC 3261 §16.7 step 5). 1: a 6xx counts as any other failure.
    pub disable_6xx_block: bool,
    /// What `t_relay` does with a CANCEL whose INVITE is not known: 0 (default) relays it with a transaction, 1 without, 2 drops it.
    pub unmatched_cancel: i64,
    /// 1 (default): a chosen 503 is sent on as 500 (RFC 3261 §16.7 step 6). 0: left as it is.
    pub remap_503_500: bool,
    /// 1: keep Kamailio's 408 to a non-INVITE whose branches timed out. 0 (default): none is sent (RFC 4320 §4.2); failure routes run all the same.
    pub noninvite_408: bool,
    /// Most live transactions; above it new requests get 503 with Retry-After. Default 1048576.
    pub max_transactions: i64,
    /// Seconds in the Retry-After of that 503. Default 10.
    pub retry_after: i64,
    /// Name of the list where `t_load_contacts` keeps contacts for `t_next_contacts`. Default `tm_contacts`.
    pub contacts_avp: String,
    /// Name of the list for `t_next_contact_flow`. Default `tm_contact_flows`.
    pub contact_flows_avp: String,
    /// Same as `contacts_avp` in recent versions.
    pub xavp_contact: Option<String>,
    /// 1 (default): the Reason of a received CANCEL is copied to the CANCELs sent (RFC 3326).
    pub e2e_cancel_reason: bool,
    /// 1 (default): a CANCEL that this server makes says why in a Reason header.
    pub local_cancel_reason: bool,
    /// Code of the reply when `t_reply_error` knows no better. Default 500.
    pub default_code: i64,
    /// Reason phrase that goes with it. Default `Server Internal Error`.
    pub default_reason: String,
    /// 1 (default): a chosen 401 or 407 carries the challenges of the other branches too (RFC 3261 §16.7 step 7). Always on.
    pub aggregate_challenges: bool,
    /// Code of the reply after a timeout. 408 always.
    pub reply_408_code: i64,
    /// Reason phrase of the reply after a timeout. `Request Timeout` always.
    pub reply_408_reason: Option<String>,
    /// Accepted; header rows for local ACKs and CANCELs.
    pub ac_extra_hdrs: Option<String>,
    /// Accepted without effect: no blocklist yet.
    pub blst_503: i64,
    /// Accepted without effect: no blocklist yet.
    pub blst_503_def_timeout: i64,
    /// Accepted without effect: no blocklist yet.
    pub blst_503_max_timeout: i64,
    /// Accepted without effect: no blocklist yet.
    pub blst_503_min_timeout: i64,
    /// Accepted without effect: no blocklist yet.
    pub blst_methods_add: i64,
    /// Accepted without effect: no blocklist yet.
    pub blst_methods_lookup: i64,
    /// Accepted: matching follows RFC 3261 §17.2.3.
    pub callid_cseq_matching: i64,
    /// Accepted: matching follows RFC 3261 §17.2.3.
    pub callid_matching: i64,
    /// Accepted: a branch without a provisional reply is cancelled when its first one arrives (RFC 3261 §9.1).
    pub cancel_b_method: i64,
    /// Accepted without effect.
    pub delayed_reply: i64,
    /// Accepted without effect: no DNS yet.
    pub dns_reuse_rcv_socket: i64,
    /// Accepted: CANCEL is always hop by hop (RFC 3261 §9).
    pub e2e_cancel_hop_by_hop: i64,
    /// Accepted without effect.
    pub enable_uac_fr: i64,
    /// Accepted; event of a local ACK.
    pub evcb_local_ack_sent: Option<String>,
    /// Accepted; callback for tm events.
    pub event_callback: Option<String>,
    /// Accepted; callback when a local reply was sent.
    pub event_callback_lres_sent: Option<String>,
    /// Accepted without effect.
    pub evlreq_mode: i64,
    /// Accepted without effect.
    pub exec_time_check: i64,
    /// Accepted without effect: no DNS yet.
    pub failover_reply_codes: Option<String>,
    /// Accepted without effect.
    pub failure_exec_mode: i64,
    /// 3 (default): when a failure route has started another round of serial forking, the replies of earlier rounds no longer count for
    /// what the caller gets; so with 1 and 2. 0: all count (RFC 3261 §16.7 step 6). See `t_drop_replies`.
    pub failure_reply_mode: i64,
    /// Accepted without effect.
    pub faked_reply_prio: i64,
    /// Accepted without effect: use `t_set_fr`.
    pub fr_inv_timer_avp: Option<String>,
    /// Accepted without effect: use `t_set_fr`.
    pub fr_timer_avp: Option<String>,
    /// Accepted without effect.
    pub headers_mode: i64,
    /// Accepted without effect.
    pub local_ack_branch_mode: i64,
    /// Accepted without effect.
    pub local_ack_mode: i64,
    /// Accepted without effect.
    pub noisy_ctimer: i64,
    /// Accepted; route for replies of stateless requests.
    pub on_sl_reply: Option<String>,
    /// Accepted: provisional replies are always passed.
    pub pass_provisional_replies: i64,
    /// Accepted: a 100 is never sent on (RFC 3261 §16.7).
    pub relay_100: i64,
    /// Accepted without effect.
    pub reparse_invite: i64,
    /// Accepted without effect: no DNS yet.
    pub reparse_on_dns_failover: i64,
    /// Accepted: matching follows RFC 3261 §17.1.3.
    pub reply_matching: i64,
    /// Accepted without effect.
    pub reply_relay_mode: i64,
    /// Accepted without effect.
    pub restart_fr_on_each_reply: i64,
    /// Accepted without effect.
    pub rich_redirect: i64,
    /// Accepted: matching follows RFC 3261 §17.2.3.
    pub ruri_matching: i64,
    /// Accepted without effect.
    pub tw_append: Option<String>,
    /// Accepted without effect.
    pub unix_tx_timeout: i64,
    /// Accepted: matching follows RFC 3261 §17.2.3.
    pub via1_matching: i64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            fr_timer: 30_000,
            fr_inv_timer: 120_000,
            retr_timer1: 500,
            retr_timer2: 4_000,
            wt_timer: 5_000,
            max_inv_lifetime: 180_000,
            max_noninv_lifetime: 32_000,
            auto_inv_100: true,
            auto_inv_100_reason: "trying -- your call is important to us".into(),
            disable_6xx_block: false,
            unmatched_cancel: 0,
            remap_503_500: true,
            noninvite_408: false,
            max_transactions: 1 << 20,
            retry_after: 10,
            contacts_avp: "tm_contacts".into(),
            contact_flows_avp: "tm_contact_flows".into(),
            xavp_contact: None,
            e2e_cancel_reason: true,
            local_cancel_reason: true,
            default_code: 500,
            default_reason: "Server Internal Error".into(),
            aggregate_challenges: true,
            reply_408_code: 408,
            reply_408_reason: None,
            ac_extra_hdrs: None,
            blst_503: 0,
            blst_503_def_timeout: 0,
            blst_503_max_timeout: 0,
            blst_503_min_timeout: 0,
            blst_methods_add: 1,
            blst_methods_lookup: 11,
            callid_cseq_matching: 0,
            callid_matching: 1,
            cancel_b_method: 1,
            delayed_reply: 0,
            dns_reuse_rcv_socket: 0,
            e2e_cancel_hop_by_hop: 0,
            enable_uac_fr: 0,
            evcb_local_ack_sent: None,
            event_callback: None,
            event_callback_lres_sent: None,
            evlreq_mode: 0,
            exec_time_check: 5_000_000,
            failover_reply_codes: None,
            failure_exec_mode: 0,
            failure_reply_mode: 3,
            faked_reply_prio: 2000,
            fr_inv_timer_avp: None,
            fr_timer_avp: None,
            headers_mode: 0,
            local_ack_branch_mode: 0,
            local_ack_mode: 0,
            noisy_ctimer: 1,
            on_sl_reply: None,
            pass_provisional_replies: 0,
            relay_100: 0,
            reparse_invite: 1,
            reparse_on_dns_failover: 1,
            reply_matching: 1,
            reply_relay_mode: 0,
            restart_fr_on_each_reply: 1,
            rich_redirect: 1,
            ruri_matching: 1,
            tw_append: None,
            unix_tx_timeout: 2,
            via1_matching: 1,
        }
    }
}

impl Settings {
    /// Timers of a new transaction.
    pub fn timing(&self) -> Timing {
        let ms = |v: i64| Duration::from_millis(v.max(0) as u64);
        Timing {
            t1: ms(self.retr_timer1),
            t2: ms(self.retr_timer2),
            fr: ms(self.fr_timer),
            fr_inv: ms(self.fr_inv_timer),
            wait: ms(self.wt_timer),
            max_invite: ms(self.max_inv_lifetime),
            max_noninvite: ms(self.max_noninv_lifetime),
            ..Timing::default()
        }
    }
    /// Switches of a new transaction.
    pub fn options(&self) -> Options {
        Options {
            no_auto_100: !self.auto_inv_100,
            disable_6xx: self.disable_6xx_block,
            noninvite_408: self.noninvite_408,
            keep_503: !self.remap_503_500,
            no_cancel_reason: !self.local_cancel_reason,
            keep_replies: self.failure_reply_mode == 0,
            // Kamailio's `wt_timer` rules all of RFC 3261's D, I, J, K and RFC 6026's L, M.
            short_wait: true,
            ..Options::default()
        }
    }
}
