//! Parameters of module `usrloc`.

use script::{ModParams, Setup, SetupError};

use super::{Matching, Order, RuidFormat, Rules};

/// Parameters of module `usrloc`.
#[derive(Debug, Clone, ModParams)]
pub struct Settings {
    /// Branch flag (0..31) that marks contacts behind NAT; -1 none.
    pub nat_bflag: i64,
    /// Whether the domain is part of the address-of-record.
    pub use_domain: bool,
    /// Order of contacts: 1 the last registered first, 0 (default) by q.
    pub desc_time_order: bool,
    /// Seconds in which every part of the tables is once searched for ended contacts.
    pub timer_interval: u32,
    /// When a contact counts as known: 0 same URI, 1 same URI and Call-ID, 2 same URI and Path, 3 same Call-ID.
    pub matching_mode: i64,
    /// Seconds during which a REGISTER with the same Call-ID and CSeq is a retransmission, answered as before; later it is an error. 0: always an error.
    pub cseq_delay: u32,
    /// Size of a table as a power of two: 10 (default) is good for a million contacts, each more for twice as many, up to 16. A sixteenth as
    /// many parts of the table have a lock each; one that grows is locked for about 0.2 ms per thousand of its contacts.
    pub hash_size: u32,
    /// A location table to have from the start; may be given several times. Tables are also made when first used.
    pub preload: Option<String>,
    /// XAVP kept with a contact by `save` and set again by `lookup`.
    pub xavp_contact: Option<String>,
    /// Where contacts are kept: 0 (default) in memory only; 1 in memory and, before a REGISTER is answered, in the database; 2 in memory, written
    /// to the database every `timer_interval` and at the end; 3 in the database only.
    pub db_mode: i64,
    /// Database of the location tables, for `db_mode` other than 0.
    pub db_url: String,
    /// Whether contacts are read from the database at start.
    pub db_load: bool,
    /// Has no meaning here: a row whose record id is taken is always overwritten.
    pub db_insert_update: bool,
    /// Has no meaning here: rows are overwritten or added as needed.
    pub db_update_as_insert: bool,
    /// Has no meaning here: rows are overwritten or added as needed.
    pub db_check_update: bool,
    /// Has no meaning here: rows are always found by record id.
    pub db_ops_ruid: i64,
    /// Dialect of the query that fetches contacts for keepalives in `db_mode` 3.
    pub db_raw_fetch_type: i64,
    /// Has no meaning here: columns without value are always written as NULL.
    pub db_insert_null: bool,
    /// Has no meaning here: ended rows are always deleted, once per `timer_interval`.
    pub db_timer_clean: bool,
    /// Whether contacts over TCP, TLS and WSS are deleted from the database at start.
    pub db_clean_tcp: bool,
    /// Rows read at once when contacts are loaded.
    pub fetch_rows: u32,
    /// Worker that loads contacts; has no meaning here.
    pub load_rank: i64,
    /// Timer processes; has no meaning here.
    pub timer_procs: u32,
    /// Whether contacts go when their TCP connection does.
    pub handle_lost_tcp: bool,
    /// Whether the connection of an ended contact is closed.
    pub close_expired_tcp: bool,
    /// Has no meaning here: whether time columns are DATETIME or BIGINT is seen.
    pub expires_type: i64,
    /// Whether rows with a socket that is not ours are left out when contacts are loaded.
    pub skip_remote_socket: bool,
    /// Seconds by which the removal of ended rows is put off, for `db_mode` 3.
    pub rm_expired_delay: u32,
    /// Whether only rows of this server's id are loaded and cleaned.
    pub server_id_filter: bool,
    /// Whether the version of the location table is checked.
    pub version_table: bool,
    /// Keepalive requests to contacts: 0 none, bit 1 all, bit 2 behind NAT, bit 3 UDP only.
    pub ka_mode: i64,
    /// Method of keepalive requests.
    pub ka_method: String,
    /// From URI of keepalive requests.
    pub ka_from: String,
    /// Domain in To of keepalive requests without `use_domain`.
    pub ka_domain: String,
    /// Bit 1: keepalive requests to this server's own records only.
    pub ka_filter: i64,
    /// Seconds after which a contact that answers no keepalive is removed; 0 never.
    pub ka_timeout: u32,
    /// Log level for answers to keepalives; 255 none.
    pub ka_loglevel: i64,
    /// Text logged for answers to keepalives.
    pub ka_logmsg: String,
    /// Seconds between keepalive requests; 0: `timer_interval`.
    pub ka_interval: u32,
    /// Spread of keepalive requests over the interval.
    pub ka_randomize: u32,
    /// Status codes that count as an answer to a keepalive.
    pub ka_reply_codes: Option<String>,
    /// Database column for user names, default `username`.
    pub user_column: String,
    /// Database column for domains, default `domain`.
    pub domain_column: String,
    /// Database column for contact addresses, default `contact`.
    pub contact_column: String,
    /// Database column for the time a contact ends, default `expires`.
    pub expires_column: String,
    /// Database column for q, default `q`.
    pub q_column: String,
    /// Database column for Call-IDs, default `callid`.
    pub callid_column: String,
    /// Database column for CSeq numbers, default `cseq`.
    pub cseq_column: String,
    /// Database column for supported methods, default `methods`.
    pub methods_column: String,
    /// Database column for the record's flags, default `flags`.
    pub flags_column: String,
    /// Database column for branch flags, default `cflags`.
    pub cflags_column: String,
    /// Database column for User-Agent values, default `user_agent`.
    pub user_agent_column: String,
    /// Database column for source addresses, default `received`.
    pub received_column: String,
    /// Database column for receiving sockets, default `socket`.
    pub socket_column: String,
    /// Database column for Path values, default `path`.
    pub path_column: String,
    /// Database column for record ids, default `ruid`.
    pub ruid_column: String,
    /// Database column for SIP instance ids, default `instance`.
    pub instance_column: String,
    /// Database column for reg-ids, default `reg_id`.
    pub reg_id_column: String,
    /// Database column for server ids, default `server_id`.
    pub server_id_column: String,
    /// Database column for connection ids, default `connection_id`.
    pub connection_id_column: String,
    /// Database column for the keepalive state, default `keepalive`.
    pub keepalive_column: String,
    /// Database column for the partition, default `partition`.
    pub partition_column: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            nat_bflag: -1,
            use_domain: false,
            desc_time_order: false,
            timer_interval: 60,
            matching_mode: 0,
            cseq_delay: 20,
            hash_size: 10,
            preload: None,
            xavp_contact: None,
            db_mode: 0,
            db_url: "mysql://kamailio:kamailiorw@localhost/kamailio".into(),
            db_load: true,
            db_insert_update: false,
            db_update_as_insert: false,
            db_check_update: false,
            db_ops_ruid: 1,
            db_raw_fetch_type: 0,
            db_insert_null: false,
            db_timer_clean: false,
            db_clean_tcp: false,
            fetch_rows: 2000,
            load_rank: 1,
            timer_procs: 0,
            handle_lost_tcp: false,
            close_expired_tcp: false,
            expires_type: 0,
            skip_remote_socket: false,
            rm_expired_delay: 0,
            server_id_filter: false,
            version_table: true,
            ka_mode: 0,
            ka_method: "OPTIONS".into(),
            ka_from: "sip:server@kamailio.org".into(),
            ka_domain: "kamailio.org".into(),
            ka_filter: 0,
            ka_timeout: 0,
            ka_loglevel: 255,
            ka_logmsg: " to-uri: [$tu] remote-addr: [$sas]".into(),
            ka_interval: 0,
            ka_randomize: 0,
            ka_reply_codes: None,
            user_column: "username".into(),
            domain_column: "domain".into(),
            contact_column: "contact".into(),
            expires_column: "expires".into(),
            q_column: "q".into(),
            callid_column: "callid".into(),
            cseq_column: "cseq".into(),
            methods_column: "methods".into(),
            flags_column: "flags".into(),
            cflags_column: "cflags".into(),
            user_agent_column: "user_agent".into(),
            received_column: "received".into(),
            socket_column: "socket".into(),
            path_column: "path".into(),
            ruid_column: "ruid".into(),
            instance_column: "instance".into(),
            reg_id_column: "reg_id".into(),
            server_id_column: "server_id".into(),
            connection_id_column: "connection_id".into(),
            keepalive_column: "keepalive".into(),
            partition_column: "partition".into(),
        }
    }
}

impl Settings {
    /// What the tables are to follow; says what cannot be done.
    pub fn rules(&self, setup: &Setup<'_>) -> Result<Rules, SetupError> {
        if !(0..=3).contains(&self.db_mode) {
            return Err(SetupError(format!(
                "db_mode {}: 0 in memory, 1 written through, 2 written back, 3 in the database only",
                self.db_mode
            )));
        }
        let matching = Matching::from_param(self.matching_mode)
            .ok_or_else(|| SetupError(format!("matching_mode {}: 0, 1, 2 or 3", self.matching_mode)))?;
        if self.ka_mode != 0 {
            tracing::warn!("usrloc: ka_mode is not supported yet, contacts get no keepalive requests");
        }
        Ok(Rules {
            matching,
            order: if self.desc_time_order { Order::LastFirst } else { Order::ByQ },
            cseq_delay: self.cseq_delay,
            use_domain: self.use_domain,
            // Few, so that their heads stay in the processor's cache: with 1024 a REGISTER at 5,000/s cost 1.2 us more.
            shard_bits: self.hash_size.min(18).saturating_sub(6),
            seed: setup.config.seed,
            ruid: RuidFormat {
                started: if setup.config.started == 0 { setup.now.unix() } else { setup.config.started },
                pid: setup.config.pid,
            },
        })
    }
}
