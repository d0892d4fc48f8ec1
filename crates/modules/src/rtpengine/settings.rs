//! Parameters of `rtpengine`, without those about MOS, which are in `mos.rs`.

use script::ModParams;

/// Parameters of `rtpengine`.
#[derive(Debug, ModParams)]
pub(crate) struct Settings {
    /// 1 (default): when no node answers, those that are left alone are asked whether they are back.
    pub aggressive_redetection: bool,
    /// IP type of service of commands. Default -1: the system's.
    pub control_cmd_tos: i64,
    /// Database with the sets of nodes; `rtpengine_sock` does not count then. Default none.
    pub db_url: Option<String>,
    /// Column that takes a node out when it is not 0. Default `disabled`.
    pub disabled_col: String,
    /// Id for sharing calls over DMQ. Not supported.
    pub dmq_peer_id: Option<String>,
    /// Variable for DTMF events. Not supported.
    pub dtmf_event: Option<String>,
    /// Variable for the Call-ID of a DTMF event. Not supported.
    pub dtmf_event_callid: Option<String>,
    /// Variable for the duration of a DTMF event. Not supported.
    pub dtmf_event_duration: Option<String>,
    /// Variable for the source address of a DTMF event. Not supported.
    pub dtmf_event_source_ip: Option<String>,
    /// Variable for the label of the side a DTMF event comes from. Not supported.
    pub dtmf_event_source_label: Option<String>,
    /// Variable for the tag of the side a DTMF event comes from. Not supported.
    pub dtmf_event_source_tag: Option<String>,
    /// Variable for the tags of a DTMF event. Not supported.
    pub dtmf_event_tags: Option<String>,
    /// Variable for the time of a DTMF event. Not supported.
    pub dtmf_event_timestamp: Option<String>,
    /// Variable for the type of a DTMF event. Not supported.
    pub dtmf_event_type: Option<String>,
    /// Variable for the volume of a DTMF event. Not supported.
    pub dtmf_event_volume: Option<String>,
    /// Socket on which the relay tells of DTMF. Not supported.
    pub dtmf_events_sock: Option<String>,
    /// Whether calls are shared over DMQ. Not supported.
    pub enable_dmq: bool,
    /// Callback for events of the relay. Not supported.
    pub event_callback: Option<String>,
    /// Variable whose value stands for the Via branch with `via-branch=extra`.
    pub extra_id_pv: Option<String>,
    /// Our address that commands leave from. Default: the system's choice.
    pub force_send_interface: Option<String>,
    /// How a node is chosen; has no meaning here: calls keep their node by weighted rendezvous hashing.
    pub hash_algo: i64,
    /// Size of the table of calls; has no meaning here.
    pub hash_table_size: i64,
    /// Seconds for which the node of a call is remembered. Default 3600.
    pub hash_table_tout: u32,
    /// Variable that gets the milliseconds of what `play_media` plays, -1 when not known.
    pub media_duration: Option<String>,
    /// Seconds between pings of all nodes; 0 (default): only when a command was not answered.
    pub ping_interval: u32,
    /// Which nodes `ping_interval` is about: 0 (default) those in use, 1 also those that are away.
    pub ping_mode: i64,
    /// Most nodes asked for a call, 1 to 30. Default 30.
    pub queried_nodes_limit: i64,
    /// Variable with the SDP for offer and answer, in place of the message's.
    pub read_sdp_pv: Option<String>,
    /// Variable that gets the node a call went to.
    pub rtp_inst_pvar: Option<String>,
    /// 1 or 2: calls go on with their node when an operator took it out. Default 0.
    pub rtpengine_allow_op: i64,
    /// Seconds for which a node that does not answer is left alone. Default 60.
    pub rtpengine_disable_tout: u32,
    /// How often a command is sent before its node counts as away. Default 5.
    pub rtpengine_retr: u32,
    /// Nodes of a set: `udp:host:port`, `udp6:host:port`, each with `=weight` or not, separated by blanks; `1 == ` before them for set 1, else
    /// `setid_default`. May be given several times.
    pub rtpengine_sock: Option<String>,
    /// Milliseconds to wait for an answer. Default 1000.
    pub rtpengine_tout_ms: u32,
    /// AVP with the number of the set, where the script chose none.
    pub setid_avp: Option<String>,
    /// Column with the number of the set. Default `setid`.
    pub setid_col: String,
    /// Set when neither the script nor `setid_avp` names one. Default 0.
    pub setid_default: i64,
    /// Table of the sets. Default `rtpengine`.
    pub table_name: String,
    /// Column with the node. Default `url`.
    pub url_col: String,
    /// Column with the weight. Default `weight`.
    pub weight_col: String,
    /// Variable that gets the SDP of offer and answer, in place of the message.
    pub write_sdp_pv: Option<String>,
    /// With `write_sdp_pv`: 0 (default) the message stays, 1 it changes as well.
    pub write_sdp_pv_mode: i64,
    /// Module for WebSocket. Not supported.
    pub wsapi: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            aggressive_redetection: true,
            control_cmd_tos: -1,
            db_url: None,
            disabled_col: "disabled".into(),
            dmq_peer_id: None,
            dtmf_event: None,
            dtmf_event_callid: None,
            dtmf_event_duration: None,
            dtmf_event_source_ip: None,
            dtmf_event_source_label: None,
            dtmf_event_source_tag: None,
            dtmf_event_tags: None,
            dtmf_event_timestamp: None,
            dtmf_event_type: None,
            dtmf_event_volume: None,
            dtmf_events_sock: None,
            enable_dmq: false,
            event_callback: None,
            extra_id_pv: None,
            force_send_interface: None,
            hash_algo: 0,
            hash_table_size: 256,
            hash_table_tout: 3600,
            media_duration: None,
            ping_interval: 0,
            ping_mode: 0,
            queried_nodes_limit: 30,
            read_sdp_pv: None,
            rtp_inst_pvar: None,
            rtpengine_allow_op: 0,
            rtpengine_disable_tout: 60,
            rtpengine_retr: 5,
            rtpengine_sock: None,
            rtpengine_tout_ms: 1000,
            setid_avp: None,
            setid_col: "setid".into(),
            setid_default: 0,
            table_name: "rtpengine".into(),
            url_col: "url".into(),
            weight_col: "weight".into(),
            write_sdp_pv: None,
            write_sdp_pv_mode: 0,
            wsapi: None,
        }
    }
}
