//! Parameters of module `dialog`.

use script::{ModParams, SetupError};

/// Parameters of module `dialog`.
#[derive(Debug, Clone, ModParams)]
pub(super) struct Settings {
    /// Message flag of INVITEs for which a dialog is made, as an alternative to `dlg_manage`. Default -1, none.
    pub dlg_flag: i64,
    /// Entries of the table that `h_entry` numbers, a power of two. Keep it while dialogs are in a database. Default 4096.
    pub hash_size: u32,
    /// Parameter of our Record-Route URI that names the dialog. Default `did`.
    pub rr_param: String,
    /// AVP with the timeout of a dialog in seconds, looked at in each request. Default none.
    pub timeout_avp: Option<String>,
    /// Seconds after which a dialog ends by itself. Default 43200.
    pub default_timeout: u32,
    /// Seconds after which a dialog without final reply is given up. Default 300.
    pub early_timeout: u32,
    /// Seconds after which a dialog that was answered and got no ACK ends. Default 60.
    pub noack_timeout: u32,
    /// Most seconds a dialog that has ended is kept for late messages; a few are enough here. Default 300.
    pub end_timeout: u32,
    /// Header rows, each with CRLF, for requests made here. Default none.
    pub dlg_extra_hdrs: Option<String>,
    /// Header rows, each with CRLF, for requests made here to the callee. Default none.
    pub lreq_callee_headers: Option<String>,
    /// How requests within a dialog are matched: 0 by the Record-Route parameter, 1 by it and else by Call-ID and tags, 2 by Call-ID and
    /// tags, without a parameter. Default 0.
    pub dlg_match_mode: i64,
    /// 1: an INVITE that comes here again belongs to the dialog it made first. Default 1.
    pub detect_spirals: bool,
    /// 1: initial callbacks of other modules run in `dlg_manage`; has no meaning here. Default 1.
    pub initial_cbs_inscript: bool,
    /// 1: each dialog that times out is ended with BYE to both sides. Default 0.
    pub send_bye: bool,
    /// 1: no keepalives and no timeout for dialogs whose socket is not ours. Default 0.
    pub dlg_filter_mode: i64,
    /// How dialogs are tracked; only 0 is known. Default 0.
    pub dlg_mode: i64,
    /// What makes up the unique id of contexts; has no meaning here. Default 0.
    pub dlg_ctxiuid_mode: i64,
    /// 1: an answered dialog waits for its ACK. Default 1.
    pub wait_ack: bool,
    /// Seconds between two looks for keepalives that are due; 0 none are sent. Default 0.
    pub ka_timer: u32,
    /// Seconds between keepalives of a dialog, at least 30; 0 none are sent. Default 0.
    pub ka_interval: u32,
    /// Keepalives in a row that get no answer, or 481, before a dialog ends. Default 1.
    pub ka_failed_limit: u32,
    /// 1: requests within a dialog do not start its timeout anew. Default 0.
    pub timeout_noreset: bool,
    /// Timer processes; has no meaning here. Default 0.
    pub timer_procs: u32,
    /// 1: dialogs are shared over DMQ, which is not available. Default 0.
    pub enable_dmq: bool,
    /// 1: flags of keepalives are shared over DMQ, which is not available. Default 0.
    pub enable_dmq_ka_iflags_sync: bool,
    /// Peer id on DMQ, which is not available.
    pub dmq_peer_id: String,
    /// 1: CSeq numbers changed by `uac_auth` are tracked; not available. Default 0.
    pub track_cseq_updates: bool,
    /// Callback that hears of `dialog:start`, `dialog:end`, `dialog:failed` and timeout routes. Default none.
    pub event_callback: Option<String>,
    /// First number of `h_id`; -1 takes `server_id`. Default 0: random.
    pub h_id_start: i64,
    /// Step between numbers of `h_id`. Default 1.
    pub h_id_step: u32,
    /// Whose Record-Route rows of this server stay in route sets: 0 nobody's, 1 the callee's, 2 the caller's, 3 both. Default 0.
    pub keep_proxy_rr: i64,
    /// 1: statistics are kept. Default 1.
    pub enable_stats: bool,
    /// 1: changes of dialog variables are logged. Default 0.
    pub debug_variables: bool,
    /// Profiles without value: `name;name`. Default none.
    pub profiles_no_value: String,
    /// Profiles with value: `name;name`. Default none.
    pub profiles_with_value: String,
    /// Pseudo-variable with the Request-URI to remember. Default `$ru`.
    pub ruri_pvar: String,
    /// From URI of `dlg_bridge`. Default `sip:controller@kamailio.org`.
    pub bridge_controller: String,
    /// Contact URI of `dlg_bridge`. Default `sip:controller@kamailio.org:5060`.
    pub bridge_contact: String,
    /// Code that ends an INVITE which `dlg_bye` finds without final reply. Default 480.
    pub bye_early_code: u32,
    /// Reason phrase of `bye_early_code`. Default `Temporarily Unavailable`.
    pub bye_early_reason: String,
    /// XAVP with attributes of requests made here; not read yet.
    pub xavp_cfg: Option<String>,
    /// Database: 0 none, 1 changes are written at once, 2 every `db_update_period`, 3 at shutdown. Default 0.
    pub db_mode: i64,
    /// Database of dialogs, for `db_mode` other than 0.
    pub db_url: String,
    /// Seconds between writes with `db_mode` 2. Default 60.
    pub db_update_period: u32,
    /// Rows read at once when dialogs are loaded; has no meaning here. Default 200.
    pub db_fetch_rows: u32,
    /// 1: dialogs are not loaded from the database at start. Default 0.
    pub db_skip_load: bool,
    /// Table of dialogs. Default `dialog`.
    pub table_name: String,
    /// Column for the Call-ID. Default `callid`.
    pub call_id_column: String,
    /// Column for the From URI. Default `from_uri`.
    pub from_uri_column: String,
    /// Column for the From tag. Default `from_tag`.
    pub from_tag_column: String,
    /// Column for the To URI. Default `to_uri`.
    pub to_uri_column: String,
    /// Column for the To tag. Default `to_tag`.
    pub to_tag_column: String,
    /// Column for the caller's CSeq. Default `caller_cseq`.
    pub from_cseq_column: String,
    /// Column for the callee's CSeq. Default `callee_cseq`.
    pub to_cseq_column: String,
    /// Column for the route set to the caller. Default `caller_route_set`.
    pub from_route_column: String,
    /// Column for the route set to the callee. Default `callee_route_set`.
    pub to_route_column: String,
    /// Column for the caller's contact. Default `caller_contact`.
    pub from_contact_column: String,
    /// Column for the callee's contact. Default `callee_contact`.
    pub to_contact_column: String,
    /// Column for the socket towards the caller. Default `caller_sock`.
    pub from_sock_column: String,
    /// Column for the socket towards the callee. Default `callee_sock`.
    pub to_sock_column: String,
    /// Column for `h_id`. Default `hash_id`.
    pub h_id_column: String,
    /// Column for `h_entry`. Default `hash_entry`.
    pub h_entry_column: String,
    /// Column for the state. Default `state`.
    pub state_column: String,
    /// Column for the start. Default `start_time`.
    pub start_time_column: String,
    /// Column for the moment of timeout. Default `timeout`.
    pub timeout_column: String,
    /// Column for script flags. Default `sflags`.
    pub sflags_column: String,
    /// Column for the timeout route. Default `toroute_name`.
    pub toroute_name_column: String,
    /// Table of dialog variables. Default `dialog_vars`.
    pub vars_table_name: String,
    /// Its column for `h_id`. Default `hash_id`.
    pub vars_h_id_column: String,
    /// Its column for `h_entry`. Default `hash_entry`.
    pub vars_h_entry_column: String,
    /// Its column for names. Default `dialog_key`.
    pub vars_key_column: String,
    /// Its column for values. Default `dialog_value`.
    pub vars_value_column: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            dlg_flag: -1,
            hash_size: 4096,
            rr_param: "did".into(),
            timeout_avp: None,
            default_timeout: 43_200,
            early_timeout: 300,
            noack_timeout: 60,
            end_timeout: 300,
            dlg_extra_hdrs: None,
            lreq_callee_headers: None,
            dlg_match_mode: 0,
            detect_spirals: true,
            initial_cbs_inscript: true,
            send_bye: false,
            dlg_filter_mode: 0,
            dlg_mode: 0,
            dlg_ctxiuid_mode: 0,
            wait_ack: true,
            ka_timer: 0,
            ka_interval: 0,
            ka_failed_limit: 1,
            timeout_noreset: false,
            timer_procs: 0,
            enable_dmq: false,
            enable_dmq_ka_iflags_sync: false,
            dmq_peer_id: "dialog".into(),
            track_cseq_updates: false,
            event_callback: None,
            h_id_start: 0,
            h_id_step: 1,
            keep_proxy_rr: 0,
            enable_stats: true,
            debug_variables: false,
            profiles_no_value: String::new(),
            profiles_with_value: String::new(),
            ruri_pvar: "$ru".into(),
            bridge_controller: "sip:controller@kamailio.org".into(),
            bridge_contact: "sip:controller@kamailio.org:5060".into(),
            bye_early_code: 480,
            bye_early_reason: "Temporarily Unavailable".into(),
            xavp_cfg: None,
            db_mode: 0,
            db_url: "mysql://kamailio:kamailiorw@localhost/kamailio".into(),
            db_update_period: 60,
            db_fetch_rows: 200,
            db_skip_load: false,
            table_name: "dialog".into(),
            call_id_column: "callid".into(),
            from_uri_column: "from_uri".into(),
            from_tag_column: "from_tag".into(),
            to_uri_column: "to_uri".into(),
            to_tag_column: "to_tag".into(),
            from_cseq_column: "caller_cseq".into(),
            to_cseq_column: "callee_cseq".into(),
            from_route_column: "caller_route_set".into(),
            to_route_column: "callee_route_set".into(),
            from_contact_column: "caller_contact".into(),
            to_contact_column: "callee_contact".into(),
            from_sock_column: "caller_sock".into(),
            to_sock_column: "callee_sock".into(),
            h_id_column: "hash_id".into(),
            h_entry_column: "hash_entry".into(),
            state_column: "state".into(),
            start_time_column: "start_time".into(),
            timeout_column: "timeout".into(),
            sflags_column: "sflags".into(),
            toroute_name_column: "toroute_name".into(),
            vars_table_name: "dialog_vars".into(),
            vars_h_id_column: "hash_id".into(),
            vars_h_entry_column: "hash_entry".into(),
            vars_key_column: "dialog_key".into(),
            vars_value_column: "dialog_value".into(),
        }
    }
}

impl Settings {
    /// What cannot be meant.
    pub(super) fn check(&self) -> Result<(), SetupError> {
        let range = |name: &str, n: i64, from: i64, to: i64| match (from..=to).contains(&n) {
            true => Ok(()),
            false => Err(SetupError(format!("{name} {n}: {from} to {to}"))),
        };
        range("dlg_flag", self.dlg_flag, -1, 31)?;
        range("dlg_match_mode", self.dlg_match_mode, 0, 2)?;
        range("db_mode", self.db_mode, 0, 3)?;
        range("keep_proxy_rr", self.keep_proxy_rr, 0, 3)?;
        if !self.hash_size.is_power_of_two() || self.hash_size > 1 << 20 {
            return Err(SetupError(format!("hash_size {}: a power of two, at most 1048576", self.hash_size)));
        }
        if self.ka_interval != 0 && self.ka_interval < 30 {
            return Err(SetupError(format!("ka_interval {}: 0, or 30 and more", self.ka_interval)));
        }
        if self.default_timeout == 0 {
            return Err(SetupError("default_timeout 0: a dialog that never lasts".into()));
        }
        if self.rr_param.is_empty()
            || self.rr_param.bytes().any(|b| !b.is_ascii_alphanumeric() && b != b'_' && b != b'-')
        {
            return Err(SetupError(format!("rr_param {}: a parameter name", self.rr_param)));
        }
        for (on, what) in [(self.enable_dmq, "enable_dmq"), (self.track_cseq_updates, "track_cseq_updates")] {
            if on {
                tracing::warn!(target: "dialog", "{what} is not available: it is as if it were 0");
            }
        }
        Ok(())
    }
}
