//! Modules whose `loadmodule` and `modparam` are taken so that a deployment starts, though they add no functions yet.

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

const fn param(name: &'static str, kind: ParamType, doc: &'static str) -> ModParam {
    ModParam { name, kind, doc }
}

use ParamType::{Any, Int, Str};

/// The accepted modules with their parameters.
const ROWS: &[Row] = &[
    Row { name: "cfg_rpc", params: &[] },
    Row {
        name: "counters",
        params: &[
            param("script_cnt_grp_name", Str, "Group of counters given without one. Taken."),
            param(
                "script_counter",
                Str,
                "Name of a counter for scripts, `[group.]name[(description)]`; several times. Taken.",
            ),
        ],
    },
    Row {
        name: "ctl",
        params: &[
            param(
                "autoconversion",
                Int,
                "1: numbers and texts are converted to what a command wants. Taken.",
            ),
            param(
                "binrpc",
                Str,
                "Address of the binary RPC socket, `unix:/run/kamailio_ctl`; several times. Taken; `trunkline ctl` has its own socket.",
            ),
            param("binrpc_buffer_size", Int, "Bytes of the binary RPC buffer. Taken."),
            param("binrpc_max_body_size", Int, "Kilobytes of a binary RPC message. Taken."),
            param(
                "binrpc_struct_max_body_size",
                Int,
                "Kilobytes of a structure in a binary RPC message. Taken.",
            ),
            param("fifo", Str, "Path of the FIFO for RPC; several times. Taken; there is no FIFO here."),
            param("group", Str, "Group that owns the sockets. Taken."),
            param("mode", Int, "Access mode of the sockets. Taken."),
            param("user", Str, "User that owns the sockets. Taken."),
        ],
    },
    Row {
        name: "debugger",
        params: &[
            param(
                "breakpoint",
                Int,
                "1: stop at breakpoints. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "cfgpkgcheck",
                Int,
                "1: check memory at every action. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "cfgtest",
                Int,
                "1: test mode of the configuration. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "cfgtrace",
                Int,
                "1: log every action of the route. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "cfgtrace_format",
                Int,
                "Format of traced actions. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "log_assign",
                Int,
                "1: log assignments. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "log_facility",
                Str,
                "Syslog facility of traces. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "log_level",
                Int,
                "Log level of traces. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "log_level_name",
                Str,
                "Log level of traces, by name. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "log_prefix",
                Str,
                "Text before every trace. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "mod_facility",
                Str,
                "Syslog facility of a module, `name=facility`. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "mod_facility_mode",
                Int,
                "1: `mod_facility` holds. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "mod_hash_size",
                Int,
                "Size of the table of module log levels, a power of two. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "mod_level",
                Str,
                "Log level of a module, `name=level`. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "mod_level_mode",
                Int,
                "1: `mod_level` holds. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "reset_msgid",
                Int,
                "1: message numbers can be reset. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "step_loops",
                Int,
                "Waits while stepping. Taken; use the log level and the RPC commands of this server.",
            ),
            param(
                "step_usleep",
                Int,
                "Microseconds of a wait while stepping. Taken; use the log level and the RPC commands of this server.",
            ),
        ],
    },
    Row {
        name: "jsonrpcs",
        params: &[
            param("dgram_group", Any, "Group that owns the datagram socket. Taken."),
            param("dgram_mode", Int, "Access mode of the datagram socket. Taken."),
            param("dgram_socket", Str, "Address of the datagram socket. Taken."),
            param("dgram_timeout", Int, "Milliseconds an answer over datagrams may take. Taken."),
            param("dgram_user", Any, "User that owns the datagram socket. Taken."),
            param("dgram_workers", Int, "Workers of the datagram socket. Taken."),
            param("fifo_group", Any, "Group that owns the FIFO. Taken."),
            param("fifo_mode", Int, "Access mode of the FIFO. Taken."),
            param("fifo_name", Str, "Path of the FIFO. Taken; there is no FIFO here."),
            param("fifo_reply_dir", Str, "Directory of reply FIFOs. Taken."),
            param("fifo_user", Any, "User that owns the FIFO. Taken."),
            param("pretty_format", Int, "1: answers with line breaks and indents. Taken."),
            param("tcp_socket", Str, "Address of the TCP socket. Taken."),
            param(
                "transport",
                Int,
                "Transports of JSON-RPC: 0 all, 1 HTTP, 2 FIFO, 4 datagram. Taken; JSON-RPC is on the control socket.",
            ),
        ],
    },
    Row {
        name: "statistics",
        params: &[param(
            "variable",
            Str,
            "Name of a statistic for scripts, `name[/no_reset]`; several times. Taken.",
        )],
    },
];

/// Names of the accepted modules.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|r| r.name)
}

/// Makes one of them; `None` for a name that is not here either.
pub fn create(name: &str) -> Option<Box<dyn Module>> {
    let row = ROWS.iter().find(|r| r.name == name)?;
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
        let mut ctl = create("ctl").expect("accepted");
        assert_eq!(ctl.name(), "ctl");
        assert!(ctl.set_param("binrpc", ParamValue::Str("unix:/x".into())).is_ok());
        assert!(ctl.set_param("binrpc", ParamValue::Int(1)).is_err());
        assert!(ctl.set_param("nope", ParamValue::Int(1)).is_err());
        let mut jsonrpcs = create("jsonrpcs").expect("accepted");
        assert!(jsonrpcs.set_param("fifo_user", ParamValue::Int(1)).is_ok());
        assert!(jsonrpcs.set_param("fifo_user", ParamValue::Str("root".into())).is_ok());
        let any: &dyn std::any::Any = jsonrpcs.as_ref();
        let kept = any.downcast_ref::<Accepted>().map(|a| a.values("fifo_user").count());
        assert_eq!(kept, Some(2));
    }
    #[test]
    fn the_rest_of_kamailio_is_known_by_name() {
        assert!(KAMAILIO.is_sorted());
        for name in ["dispatcher", "htable", "tls", "ctl", "acc", "uac"] {
            assert!(known_elsewhere(name), "{name}");
        }
        assert!(!known_elsewhere("frobnicate"));
        assert!(names().all(|n| create(n).is_some()) && create("ims_auth").is_none());
        assert!(ROWS.iter().all(|r| r.params.iter().all(|p| !p.doc.is_empty())));
    }
}
