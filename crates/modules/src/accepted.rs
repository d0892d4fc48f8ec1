//! Modules whose `loadmodule` and `modparam` are taken so that a deployment starts, though they add no functions yet.

mod drivers;

use script::{ModParam, Module, ParamType, ParamValue, SetupError};

/// A module that is taken and does nothing.
#[derive(Debug)]
pub struct Accepted {
    row: &'static Row,
    values: Vec<(String, ParamValue)>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    params: &'static [ModParam],
}

use ParamType::{Any, Int, Str};

const fn param(name: &'static str, kind: ParamType, doc: &'static str) -> ModParam {
    ModParam { name, kind, doc }
}

/// Names of the accepted modules.
pub fn names() -> impl Iterator<Item = &'static str> {
    drivers::ROWS.iter().map(|r| r.name)
}

/// Makes one of them; `None` for a name that is not here either.
pub fn create(name: &str) -> Option<Box<dyn Module>> {
    let row = drivers::ROWS.iter().find(|r| r.name == name)?;
    Some(Box::new(Accepted { row, values: Vec::new() }))
}

/// Whether Kamailio has a module of this name, so that the answer to `loadmodule` can be "not yet" instead of "unknown".
pub fn known_elsewhere(name: &str) -> bool {
    KAMAILIO.binary_search(&name).is_ok()
}

/// Names of Kamailio's modules, of those that are here and of those that are not.
pub fn kamailios() -> impl Iterator<Item = &'static str> {
    KAMAILIO.iter().copied()
}

impl Accepted {
    /// Values given to a parameter, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ParamValue> + 'a {
        self.values.iter().filter(move |(n, _)| n == name).map(|(_, v)| v)
    }
}

impl Module for Accepted {
    fn name(&self) -> &'static str {
        self.row.name
    }
    fn params(&self) -> &'static [ModParam] {
        self.row.params
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        let Some(param) = self.row.params.iter().find(|p| p.name == name) else {
            return Err(SetupError(format!("there is no parameter {name}")));
        };
        let fits = match (param.kind, &value) {
            (Any, _) | (Int, ParamValue::Int(_)) | (Str, ParamValue::Str(_)) => true,
            (Int, _) | (Str, _) => false,
        };
        if !fits {
            return Err(SetupError(format!("parameter {name} does not take {}", value.describe())));
        }
        self.values.push((name.to_owned(), value));
        Ok(())
    }
}

/// Names of Kamailio's modules, sorted.
const KAMAILIO: &[&str] = &[
    "acc",
    "acc_diameter",
    "acc_json",
    "acc_radius",
    "alias_db",
    "app_jsdt",
    "app_lua",
    "app_perl",
    "app_python",
    "app_python3",
    "app_python3s",
    "app_ruby",
    "async",
    "auth",
    "auth_arnacon",
    "auth_db",
    "auth_diameter",
    "auth_ephemeral",
    "auth_radius",
    "auth_web3",
    "auth_xkeys",
    "avp",
    "avpops",
    "benchmark",
    "blst",
    "call_control",
    "call_obj",
    "carrierroute",
    "cdp",
    "cdp_avp",
    "cfg_db",
    "cfg_rpc",
    "cfgt",
    "cfgutils",
    "cnxcc",
    "corex",
    "counters",
    "cplc",
    "crypto",
    "ctl",
    "db2_ldap",
    "db2_ops",
    "db_cluster",
    "db_flatstore",
    "db_mongodb",
    "db_mysql",
    "db_oracle",
    "db_postgres",
    "db_redis",
    "db_sqlite",
    "db_text",
    "db_unixodbc",
    "debugger",
    "dialog",
    "dialplan",
    "dispatcher",
    "diversion",
    "dlgs",
    "dmq",
    "dmq_usrloc",
    "dnssec",
    "domain",
    "domainpolicy",
    "drouting",
    "enum",
    "erlang",
    "evapi",
    "evrexec",
    "exec",
    "file_out",
    "gcrypt",
    "geoip",
    "geoip2",
    "group",
    "gzcompress",
    "h350",
    "htable",
    "http_async_client",
    "http_client",
    "imc",
    "ims_auth",
    "ims_charging",
    "ims_dialog",
    "ims_diameter_server",
    "ims_icscf",
    "ims_ipsec_pcscf",
    "ims_isc",
    "ims_ocs",
    "ims_qos",
    "ims_qos_npn",
    "ims_registrar_pcscf",
    "ims_registrar_scscf",
    "ims_usrloc_pcscf",
    "ims_usrloc_scscf",
    "influxdbc",
    "ipops",
    "jansson",
    "janssonrpcc",
    "json",
    "jsonrpcc",
    "jsonrpcs",
    "jwt",
    "jwt3",
    "kafka",
    "kazoo",
    "keepalive",
    "kemix",
    "kex",
    "lcr",
    "ldap",
    "log_custom",
    "log_systemd",
    "lost",
    "lrkproxy",
    "lwsc",
    "mangler",
    "math",
    "matrix",
    "maxfwd",
    "mediaproxy",
    "memcached",
    "mi_datagram",
    "mi_fifo",
    "mi_rpc",
    "microhttpd",
    "misc_radius",
    "misctest",
    "mohqueue",
    "mqtt",
    "mqueue",
    "msilo",
    "msrp",
    "mtree",
    "nat_traversal",
    "nathelper",
    "nats",
    "ndb_cassandra",
    "ndb_mongodb",
    "ndb_redis",
    "nghttp2",
    "nosip",
    "nsq",
    "outbound",
    "p_usrloc",
    "path",
    "pdb",
    "pdt",
    "peering",
    "peerstate",
    "permissions",
    "phonenum",
    "pike",
    "pipelimit",
    "posops",
    "prefix_route",
    "presence",
    "presence_conference",
    "presence_dialoginfo",
    "presence_mwi",
    "presence_profile",
    "presence_reginfo",
    "presence_xml",
    "ptimer",
    "pua",
    "pua_bla",
    "pua_dialoginfo",
    "pua_json",
    "pua_reginfo",
    "pua_rpc",
    "pua_usrloc",
    "pua_xmpp",
    "pv",
    "pv_headers",
    "pvtpl",
    "qos",
    "rabbitmq",
    "ratelimit",
    "regex",
    "registrar",
    "rls",
    "rr",
    "rtimer",
    "rtjson",
    "rtp_media_server",
    "rtpengine",
    "rtpproxy",
    "ruxc",
    "sanity",
    "sca",
    "sctp",
    "sdpops",
    "seas",
    "secfilter",
    "secsipid",
    "sipcapture",
    "sipdump",
    "sipjson",
    "sipp",
    "siprepo",
    "sipt",
    "siptrace",
    "siputils",
    "sl",
    "slack",
    "sms",
    "smsops",
    "snmpstats",
    "speeddial",
    "sqlops",
    "ss7ops",
    "sst",
    "statistics",
    "statsc",
    "statsd",
    "stirshaken",
    "stun",
    "sworker",
    "tcpops",
    "textops",
    "textopsx",
    "timer",
    "tls",
    "tls_wolfssl",
    "tm",
    "tmrec",
    "tmx",
    "topoh",
    "topos",
    "topos_htable",
    "topos_redis",
    "tsilo",
    "uac",
    "uac_redirect",
    "uid_auth_db",
    "uid_avp_db",
    "uid_domain",
    "uid_gflags",
    "uid_uri_db",
    "uri_db",
    "userblocklist",
    "usrloc",
    "utils",
    "uuid",
    "websocket",
    "xcap_client",
    "xcap_server",
    "xhttp",
    "xhttp_pi",
    "xhttp_prom",
    "xhttp_rpc",
    "xlog",
    "xmlops",
    "xmlrpc",
    "xmpp",
    "xprint",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked_and_kept() {
        const PARAMS: &[ModParam] = &[
            ModParam { name: "text", kind: Str, doc: "x" },
            ModParam { name: "either", kind: Any, doc: "x" },
        ];
        const ROW: Row = Row { name: "test", params: PARAMS };
        let mut m = Accepted { row: &ROW, values: Vec::new() };
        assert_eq!(m.name(), "test");
        assert!(m.set_param("text", ParamValue::Str("unix:/x".into())).is_ok());
        assert!(m.set_param("text", ParamValue::Int(1)).is_err());
        assert!(m.set_param("nope", ParamValue::Int(1)).is_err());
        assert!(m.set_param("either", ParamValue::Int(1)).is_ok());
        assert!(m.set_param("either", ParamValue::Str("root".into())).is_ok());
        assert_eq!(m.values("either").count(), 2);
    }
    #[test]
    fn the_rest_of_kamailio_is_known_by_name() {
        assert!(KAMAILIO.is_sorted());
        for name in ["dispatcher", "htable", "ctl", "uac"] {
            assert!(known_elsewhere(name), "{name}");
        }
        assert!(!known_elsewhere("frobnicate"));
        assert!(names().all(|n| create(n).is_some()) && create("ims_auth").is_none());
        assert!(drivers::ROWS.iter().all(|r| r.params.iter().all(|p| !p.doc.is_empty())));
    }
}
