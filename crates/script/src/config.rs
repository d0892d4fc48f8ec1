//! Core parameters that message handling needs, taken from `kamailio.cfg` by the server.

/// A name that counts as this server: host, optional port, optional transport.
pub type Alias = (String, Option<u16>, Option<message::Transport>);

/// Settings of the core; defaults are Kamailio's.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// `server_header`: whole header line without CRLF, default `Server: Trunkline (version)`.
    pub server_header: Vec<u8>,
    /// `user_agent_header`: for requests made here.
    pub user_agent_header: Vec<u8>,
    /// `server_signature`: add `server_header` to replies made here. Default true.
    pub server_signature: bool,
    /// `alias=` entries: host, optional port, optional transport.
    pub aliases: Vec<Alias>,
    /// Domains that with all their subdomains count as myself (`alias_subdomains` of corex): domain, optional port, optional transport.
    pub subdomains: std::sync::Arc<std::sync::OnceLock<Vec<Alias>>>,
    /// `auto_aliases`: reverse names count as myself. Default false here: no DNS yet.
    pub auto_aliases: bool,
    /// `children`: workers per UDP socket. Default 8.
    pub children: usize,
    /// `debug` at the start: log level, Kamailio's numbers (-5..=3). Default 0. What is in force is in `levels`.
    pub debug: i32,
    /// Log levels in force: `debug` at the start, then as `corex.debug`, `cfg.set` and `dbg.*` change them.
    pub levels: std::sync::Arc<crate::Levels>,
    /// Timers of transactions that were changed since the start.
    pub timing: std::sync::Arc<crate::LiveTiming>,
    /// `max_branches` in a destination set besides the Request-URI. Default 12.
    pub max_branches: usize,
    /// `onsend_route_reply`: the onsend route runs for forwarded replies too. Default false.
    pub onsend_route_reply: bool,
    /// `server_id`.
    pub server_id: u32,
    /// Folder of the main configuration file: where files that modules name without a folder are.
    pub folder: std::path::PathBuf,
    /// Hosts that count as myself besides the listeners and aliases, as modules know them.
    pub local_hosts: crate::LocalHosts,
    /// `sip_warning`, `mhomed`, ... as asked for by `$cfg` and functions; name to text.
    pub other: std::collections::HashMap<String, String>,
    /// Defines of the preprocessor, for `$def(NAME)`.
    pub defines: std::collections::HashMap<String, String>,
    /// Unix time of the start, for `$Tb` and `core.uptime`.
    pub started: u64,
    /// Process id, for `$pp` and ids.
    pub pid: u32,
    /// Random per start: Call-ID and tag making, hashing.
    pub seed: u64,
}

impl Default for CoreConfig {
    fn default() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        CoreConfig {
            server_header: format!("Server: Trunkline ({version})").into_bytes(),
            user_agent_header: format!("User-Agent: Trunkline ({version})").into_bytes(),
            server_signature: true,
            aliases: Vec::new(),
            subdomains: Default::default(),
            auto_aliases: false,
            children: 8,
            debug: 0,
            levels: Default::default(),
            timing: Default::default(),
            max_branches: 12,
            onsend_route_reply: false,
            server_id: 0,
            folder: Default::default(),
            local_hosts: Default::default(),
            other: Default::default(),
            defines: Default::default(),
            started: 0,
            pid: 0,
            seed: 0,
        }
    }
}
