//! Parameters of `dispatcher`.

use script::ModParams;

/// Parameters of `dispatcher`.
#[derive(Debug, ModParams)]
pub struct Settings {
    /// Column with the attributes. Default `attrs`.
    pub attrs_col: String,
    /// Pseudo-variable that `ds_is_from_list` sets to the attributes of what it found. Default none.
    pub attrs_pvname: Option<String>,
    /// Database with the destinations; default none: `list_file` is read.
    pub db_url: Option<String>,
    /// Column with the URI. Default `destination`.
    pub destination_col: String,
    /// 1: destinations without attributes get `none=yes`. Default 0.
    pub ds_attrs_none: bool,
    /// Further columns that become attributes: `name=column;...`. Default none.
    pub ds_db_extra_attrs: Option<String>,
    /// Socket to send from when a destination names none, `udp:192.0.2.1:5060`. Default none.
    pub ds_default_socket: Option<String>,
    /// The same by the socket's name; goes before `ds_default_socket`.
    pub ds_default_sockname: Option<String>,
    /// Seconds between two resolutions of host names. Taken: there is no DNS here yet.
    pub ds_dns_interval: u32,
    /// 1: match all addresses of a host name. Taken: there is no DNS here yet.
    pub ds_dns_match_all: bool,
    /// When host names are resolved. Taken: there is no DNS here yet; addresses and `localhost` are resolved always.
    pub ds_dns_mode: u32,
    /// Seconds a resolution holds. Taken.
    pub ds_dns_ttl: u32,
    /// Seconds between two searches for calls that ended unseen. Default 30.
    pub ds_hash_check_interval: u32,
    /// Seconds after which a call without BYE no longer counts as load. Default 7200.
    pub ds_hash_expire: u32,
    /// The same for a call without 2xx. Default 7200.
    pub ds_hash_initexpire: u32,
    /// Above 0: calls are counted, which algorithm 10 needs. Default 0.
    pub ds_hash_size: u32,
    /// Accepted pings in a row that bring an inactive destination back. Default 1.
    pub ds_inactive_threshold: u32,
    /// Weight of a new ping in the estimated latency, thousandths. Default 100.
    pub ds_latency_estimator_alpha: u32,
    /// 1: a destination that makes no sense is an error; 0: it is left out. Default 0.
    pub ds_load_mode: u32,
    /// As `ds_ping_fr_timer`.
    pub ds_ping_fr_timeout: u32,
    /// Milliseconds a ping waits for its reply; 0: `fr_timer` of `tm`. Default 0.
    pub ds_ping_fr_timer: u32,
    /// From URI of pings. Default `sip:dispatcher@localhost`.
    pub ds_ping_from: String,
    /// Seconds between two pings of a destination; 0: no pings. Default 0.
    pub ds_ping_interval: u32,
    /// 1: keep the times that pings take, for `dispatcher.list` and algorithms 11 and 13. Default 0.
    pub ds_ping_latency_stats: bool,
    /// Method of pings. Default `OPTIONS`.
    pub ds_ping_method: String,
    /// Replies to pings that count as good besides 200: `class=2;code=403`. Default none.
    pub ds_ping_reply_codes: String,
    /// Socket that pings are sent from when a destination names none. Default none.
    pub ds_ping_socket: Option<String>,
    /// What is pinged: 0 what is marked as probing, once; 1 everything; 2 what is inactive and marked; 3 what is marked, again and again.
    /// Default 0.
    pub ds_probing_mode: u32,
    /// Failures in a row that make a destination inactive. Default 1.
    pub ds_probing_threshold: u32,
    /// 1: times of pings outlive a reload. Default 0.
    pub ds_retain_latency_stats: bool,
    /// Which timer sends pings. Taken.
    pub ds_timer_mode: u32,
    /// Script function called as `(msg, evname)` for `dispatcher:dst-down` and `dispatcher:dst-up`. Default none.
    pub event_callback: Option<String>,
    /// 0: it hears of every change that pings and functions make; 1: of pings only. Default 0.
    pub event_callback_mode: u32,
    /// 1: only the user of a URI is hashed; 2: the destinations that were not chosen are kept for `ds_next_dst`. Default 0.
    pub flags: u32,
    /// Column with the flags. Default `flags`.
    pub flags_col: String,
    /// 0: selecting fails when `$du` is set already. Default 1.
    pub force_dst: bool,
    /// Text with pseudo-variables that algorithm 7 hashes. Default none.
    pub hash_pvar: Option<String>,
    /// File with the destinations. Default `/etc/kamailio/dispatcher.list`.
    pub list_file: String,
    /// Proxy that pings go through. Default none.
    pub outbound_proxy: Option<String>,
    /// Column with the priority. Default `priority`.
    pub priority_col: String,
    /// Seconds that must pass between two reloads. Default 5.
    pub reload_delta: u32,
    /// Column with the number of the set. Default `setid`.
    pub setid_col: String,
    /// Pseudo-variable that `ds_is_from_list` over all sets sets to the number of the one it found. Default none.
    pub setid_pvname: Option<String>,
    /// Table with the destinations. Default `dispatcher`.
    pub table_name: String,
    /// 1: the last destination of a set is tried only after all others. Default 0.
    pub use_default: bool,
    /// XAVP that tells how many destinations were selected (`cnt`). Default `_dsctx_`.
    pub xavp_ctx: String,
    /// 1: without `cnt`. Default 0.
    pub xavp_ctx_mode: u32,
    /// XAVP with the selected destinations, the current one first. Default `_dsdst_`.
    pub xavp_dst: String,
    /// Its fields besides `grp` and `uri`: 1 without `attrs`, 2 with `socket`, 4 with `sockname`. Default 0.
    pub xavp_dst_mode: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            attrs_col: "attrs".into(),
            attrs_pvname: None,
            db_url: None,
            destination_col: "destination".into(),
            ds_attrs_none: false,
            ds_db_extra_attrs: None,
            ds_default_socket: None,
            ds_default_sockname: None,
            ds_dns_interval: 600,
            ds_dns_match_all: false,
            ds_dns_mode: 1,
            ds_dns_ttl: 0,
            ds_hash_check_interval: 30,
            ds_hash_expire: 7200,
            ds_hash_initexpire: 7200,
            ds_hash_size: 0,
            ds_inactive_threshold: 1,
            ds_latency_estimator_alpha: 100,
            ds_load_mode: 0,
            ds_ping_fr_timeout: 0,
            ds_ping_fr_timer: 0,
            ds_ping_from: "sip:dispatcher@localhost".into(),
            ds_ping_interval: 0,
            ds_ping_latency_stats: false,
            ds_ping_method: "OPTIONS".into(),
            ds_ping_reply_codes: String::new(),
            ds_ping_socket: None,
            ds_probing_mode: 0,
            ds_probing_threshold: 1,
            ds_retain_latency_stats: false,
            ds_timer_mode: 0,
            event_callback: None,
            event_callback_mode: 0,
            flags: 0,
            flags_col: "flags".into(),
            force_dst: true,
            hash_pvar: None,
            list_file: "/etc/kamailio/dispatcher.list".into(),
            outbound_proxy: None,
            priority_col: "priority".into(),
            reload_delta: 5,
            setid_col: "setid".into(),
            setid_pvname: None,
            table_name: "dispatcher".into(),
            use_default: false,
            xavp_ctx: "_dsctx_".into(),
            xavp_ctx_mode: 0,
            xavp_dst: "_dsdst_".into(),
            xavp_dst_mode: 0,
        }
    }
}

/// `class=2;code=403`: replies that count as good besides 200.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyCodes {
    codes: Vec<u16>,
    classes: Vec<u16>,
}

impl ReplyCodes {
    /// Reads the list; the error names what makes no sense.
    pub fn parse(text: &str) -> Result<ReplyCodes, String> {
        let mut all = ReplyCodes::default();
        for item in text.split(';').map(str::trim).filter(|i| !i.is_empty()) {
            let number = item.split_once('=').and_then(|(k, v)| Some((k.trim(), v.trim().parse().ok()?)));
            match number {
                Some(("code", n @ 100..=699)) => all.codes.push(n),
                Some(("class", n @ 1..=6)) => all.classes.push(n),
                _ => return Err(format!("{item}: expected code=403 or class=2")),
            }
        }
        Ok(all)
    }
    /// Whether a reply is good.
    pub fn accept(&self, code: u16) -> bool {
        code == 200 || self.codes.contains(&code) || self.classes.contains(&(code / 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_replies() {
        let codes = ReplyCodes::parse("class=2;code=403;code=488;class=3").expect("reads");
        assert_eq!(
            [200, 202, 302, 403, 404, 488, 500].map(|c| codes.accept(c)),
            [true, true, true, true, false, true, false]
        );
        assert!(ReplyCodes::default().accept(200) && !ReplyCodes::default().accept(202));
        assert!(ReplyCodes::parse("code=20").is_err() && ReplyCodes::parse("200").is_err());
    }
}
