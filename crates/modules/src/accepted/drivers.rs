//! Drivers and transports whose place is elsewhere in this server: databases are opened by their URL whichever driver is loaded, TLS comes
//! with its transport. Their parameters are known by name and type.

use super::{Row, param};
use script::ParamType::{Int, Str};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "db_mysql",
        params: &[
            param("auto_reconnect", Int, "1: connect again when the connection is lost. Always done."),
            param(
                "connect_timeout",
                Int,
                "Seconds to wait for a connection. Taken; see docs/databases.md for the time limits of this server.",
            ),
            param("insert_delayed", Int, "1: `INSERT DELAYED`, which MySQL no longer has. Taken."),
            param(
                "opt_ssl_ca",
                Str,
                "File of certificate authorities. Taken; connections are not encrypted yet.",
            ),
            param(
                "opt_ssl_mode",
                Int,
                "Encryption of the connection. Taken; connections are not encrypted yet.",
            ),
            param(
                "ping_interval",
                Int,
                "Seconds between pings. Taken; a lost connection is noticed when it is used.",
            ),
            param("receive_timeout", Int, "Seconds to wait for an answer. Taken; see docs/databases.md."),
            param("retries", Int, "How often a query is tried again. Taken; see docs/databases.md."),
            param(
                "send_timeout",
                Int,
                "Seconds to wait for a query to be sent. Taken; see docs/databases.md.",
            ),
            param(
                "server_timezone",
                Int,
                "1: times are in the time zone of the server. Taken; times are local, as in Kamailio.",
            ),
            param(
                "timeout_interval",
                Int,
                "Seconds for connecting, sending and receiving. Taken; see docs/databases.md.",
            ),
            param(
                "unsigned_type",
                Int,
                "1: unsigned columns are kept apart. Taken; integers have 64 bits here.",
            ),
            param(
                "update_affected_found",
                Int,
                "1: rows that an update found count, also those it did not change. Taken.",
            ),
        ],
    },
    Row {
        name: "db_postgres",
        params: &[
            param("bytea_output_escape", Int, "1: bytes in the escape format. Taken."),
            param("con_param", Str, "More words for the connection. Taken."),
            param(
                "lockset",
                Int,
                "Locks for tables, a power of two. Taken; rows are replaced in one statement.",
            ),
            param("retries", Int, "How often a query is tried again. Taken; see docs/databases.md."),
            param("tcp_keepalive", Int, "Seconds of silence before the connection is probed. Taken."),
            param("timeout", Int, "Seconds for a query. Taken; see docs/databases.md."),
        ],
    },
    Row {
        name: "db_sqlite",
        params: &[
            param(
                "db_set_busy_timeout",
                Str,
                "`file=milliseconds` to wait for another writer. Taken; see docs/databases.md.",
            ),
            param("db_set_journal_mode", Str, "`file=mode`, journal mode of a file. Taken; it is WAL."),
            param("db_set_readonly", Str, "File that is only read. Taken."),
        ],
    },
    Row {
        name: "db_text",
        params: &[
            param("db_delim", Str, "Character between columns. Taken; it is a colon."),
            param(
                "db_mode",
                Int,
                "1: files are read again when they change. Taken; they are read at each query.",
            ),
            param("default_connection", Str, "Folder that modules without a URL use. Taken."),
            param("emptystring", Int, "1: empty columns are empty texts, 0: NULL. Taken."),
            param("file_buffer_size", Int, "Bytes of a line. Taken; there is no limit but the file's."),
            param("max_result_rows", Int, "Most rows of an answer. Taken."),
        ],
    },
    Row {
        name: "tls",
        params: &[
            param("ca_list", Str, "Taken; there is no TLS transport yet."),
            param("ca_path", Str, "Taken; there is no TLS transport yet."),
            param("certificate", Str, "Taken; there is no TLS transport yet."),
            param("cipher_list", Str, "Taken; there is no TLS transport yet."),
            param("con_ct_wq_max", Int, "Taken; there is no TLS transport yet."),
            param("config", Str, "Taken; there is no TLS transport yet."),
            param("connection_timeout", Int, "Taken; there is no TLS transport yet."),
            param("crl", Str, "Taken; there is no TLS transport yet."),
            param("ct_wq_blk_size", Int, "Taken; there is no TLS transport yet."),
            param("ct_wq_max", Int, "Taken; there is no TLS transport yet."),
            param("engine", Str, "Taken; there is no TLS transport yet."),
            param("engine_algorithms", Str, "Taken; there is no TLS transport yet."),
            param("engine_config", Str, "Taken; there is no TLS transport yet."),
            param("event_callback", Str, "Taken; there is no TLS transport yet."),
            param("init_mode", Int, "Taken; there is no TLS transport yet."),
            param("key_password_mode", Int, "Taken; there is no TLS transport yet."),
            param("keylog_file", Str, "Taken; there is no TLS transport yet."),
            param("keylog_mode", Int, "Taken; there is no TLS transport yet."),
            param("keylog_peer", Str, "Taken; there is no TLS transport yet."),
            param("low_mem_threshold1", Int, "Taken; there is no TLS transport yet."),
            param("low_mem_threshold2", Int, "Taken; there is no TLS transport yet."),
            param("private_key", Str, "Taken; there is no TLS transport yet."),
            param("private_key_password", Str, "Taken; there is no TLS transport yet."),
            param("provider_quirks", Int, "Taken; there is no TLS transport yet."),
            param("provider_quirks_config", Str, "Taken; there is no TLS transport yet."),
            param("rand_engine", Str, "Taken; there is no TLS transport yet."),
            param("renegotiation", Int, "Taken; there is no TLS transport yet."),
            param("require_certificate", Int, "Taken; there is no TLS transport yet."),
            param("send_close_notify", Int, "Taken; there is no TLS transport yet."),
            param("server_name", Str, "Taken; there is no TLS transport yet."),
            param("session_cache", Int, "Taken; there is no TLS transport yet."),
            param("session_id", Str, "Taken; there is no TLS transport yet."),
            param("ssl_freelist_max_len", Int, "Taken; there is no TLS transport yet."),
            param("ssl_max_send_fragment", Int, "Taken; there is no TLS transport yet."),
            param("ssl_read_ahead", Int, "Taken; there is no TLS transport yet."),
            param("ssl_release_buffers", Int, "Taken; there is no TLS transport yet."),
            param("tls_debug", Int, "Taken; there is no TLS transport yet."),
            param("tls_disable_compression", Int, "Taken; there is no TLS transport yet."),
            param("tls_force_run", Int, "Taken; there is no TLS transport yet."),
            param("tls_log", Int, "Taken; there is no TLS transport yet."),
            param("tls_method", Str, "Taken; there is no TLS transport yet."),
            param("verify_certificate", Int, "Taken; there is no TLS transport yet."),
            param("verify_client", Str, "Taken; there is no TLS transport yet."),
            param("verify_depth", Int, "Taken; there is no TLS transport yet."),
            param("xavp_cfg", Str, "Taken; there is no TLS transport yet."),
        ],
    },
];
