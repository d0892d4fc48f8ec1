//! Who may: by source address, by trusted peer, by patterns of URIs.
//!
//! `address.rs` is the table of addresses, `trusted.rs` that of peers, `rules.rs` the allow and deny files, `load.rs` reads them. Tables
//! are replaced whole: a reader has the old one or the new one, and never waits.

mod address;
mod load;
mod rpc;
mod rules;
#[cfg(test)]
mod tests;
mod trusted;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use message::{HeaderName, Transport, Uri};
use script::{
    Core, Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, RpcCommand, Setup,
    SetupError, Value, ksr_module,
};
use transaction::Now;

use crate::database::Source;
use crate::pv::{add_avp, avp_of};
use rules::Pair;
use trusted::{Peer, Rule};

/// Module `permissions`.
#[derive(Debug, Default)]
pub struct Permissions {
    /// As parameters set them; taken over by `tables`.
    given: Settings,
    tables: Arc<Tables>,
    /// Unix time of the last reload by RPC.
    reloaded: AtomicU64,
    /// Unix time of the last attempt to load what is pending.
    tried: AtomicU64,
    tag_avp: Option<Box<[u8]>>,
}

/// What is loaded, and where from.
#[derive(Debug, Default)]
struct Tables {
    settings: Settings,
    database: Option<Source>,
    addresses: ArcSwap<address::Table>,
    trusted: ArcSwap<trusted::Table>,
    /// Whether a table is still to be loaded: it could not be at the start.
    pending: [AtomicBool; 2],
    /// A thread is trying to.
    loading: AtomicBool,
    files: RwLock<HashMap<Vec<u8>, Arc<Pair>>>,
    folder: PathBuf,
}

/// Parameters of `permissions`.
#[derive(Debug, Clone, ModParams)]
struct Settings {
    /// File with addresses, `group address [mask [port [tag]]]` a line; instead of `address_table`. Default none.
    address_file: Option<String>,
    /// Table of addresses. Default `address`.
    address_table: String,
    /// Ending of allow files. Default `.allow`.
    allow_suffix: String,
    /// 1: `allow_routing` looks at the URIs of all branches; 0: at the Request-URI. Default 1.
    check_all_branches: bool,
    /// 1: the trusted table is kept in memory; 0: the database is asked every time. Default 0.
    db_mode: i64,
    /// Database. Default none: no tables.
    db_url: Option<String>,
    /// Allow file of `allow_routing` without a name. Default `permissions.allow`.
    default_allow_file: String,
    /// Deny file of `allow_routing` without a name. Default `permissions.deny`.
    default_deny_file: String,
    /// Ending of deny files. Default `.deny`.
    deny_suffix: String,
    /// Column of From patterns in the trusted table. Default `from_pattern`.
    from_col: String,
    /// Column of groups. Default `grp`.
    grp_col: String,
    /// Column of addresses. Default `ip_addr`.
    ip_addr_col: String,
    /// What is loaded: 1 address table, 2 trusted table, 4 allow files, 8 deny files; added up. Default all.
    load_backends: i64,
    /// Column of masks. Default `mask`.
    mask_col: String,
    /// Most subnets of the address table; further ones are left out with an error. Default 512.
    max_subnets: usize,
    /// AVP that takes the tag of the row that fits. Default none.
    peer_tag_avp: Option<String>,
    /// `allow_trusted` 0: takes the tag of the first row that fits; 1: of all, and returns their number. Default 0.
    peer_tag_mode: i64,
    /// Column of ports. Default `port`.
    port_col: String,
    /// Column of priorities in the trusted table. Default `priority`.
    priority_col: String,
    /// Column of transports in the trusted table. Default `proto`.
    proto_col: String,
    /// Seconds between two reloads by RPC. Default 5.
    reload_delta: u64,
    /// Column of Request-URI patterns in the trusted table. Default `ruri_pattern`.
    ruri_col: String,
    /// Column of source addresses in the trusted table. Default `src_ip`.
    source_col: String,
    /// Of several subnets around an address: 0 the first by group and row holds, 1 the smallest. Default 0.
    subnet_match_mode: i64,
    /// Column of tags. Default `tag`.
    tag_col: String,
    /// Seconds after which an old trusted table is freed. Taken: it is freed with its last reader.
    trusted_cleanup_interval: i64,
    /// Table of trusted peers. Default `trusted`.
    trusted_table: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            address_file: None,
            address_table: "address".into(),
            allow_suffix: ".allow".into(),
            check_all_branches: true,
            db_mode: 0,
            db_url: None,
            default_allow_file: "permissions.allow".into(),
            default_deny_file: "permissions.deny".into(),
            deny_suffix: ".deny".into(),
            from_col: "from_pattern".into(),
            grp_col: "grp".into(),
            ip_addr_col: "ip_addr".into(),
            load_backends: 0xffff,
            mask_col: "mask".into(),
            max_subnets: 512,
            peer_tag_avp: None,
            peer_tag_mode: 0,
            port_col: "port".into(),
            priority_col: "priority".into(),
            proto_col: "proto".into(),
            reload_delta: 5,
            ruri_col: "ruri_pattern".into(),
            source_col: "src_ip".into(),
            subnet_match_mode: 0,
            tag_col: "tag".into(),
            trusted_cleanup_interval: 60,
            trusted_table: "trusted".into(),
        }
    }
}

/// What stands for a host in a script: an address, or a name as it is written.
enum Host<'a> {
    Ip(IpAddr),
    Name(&'a [u8]),
}

impl<'a> Host<'a> {
    fn parse(text: &'a [u8]) -> Host<'a> {
        match std::str::from_utf8(text).ok().and_then(address::parse_ip) {
            Some(ip) => Host::Ip(ip),
            None => Host::Name(text),
        }
    }
}

impl Permissions {
    /// The group of the row that grants an address; its tag goes into the AVP.
    fn grant(
        &self,
        ctx: &mut RouteContext<'_>,
        host: Host<'_>,
        port: u16,
        group: Option<i64>,
    ) -> Option<i64> {
        let table = self.tables.addresses.load();
        let entry = match host {
            Host::Ip(ip) => table.find(ip, port, group, self.tables.settings.subnet_match_mode == 1)?,
            Host::Name(name) => table.find_name(name, port, group)?,
        };
        if let (Some(avp), Some(tag)) = (&self.tag_avp, &entry.tag) {
            add_avp(ctx, avp, &Value::str(tag));
        }
        Some(entry.group)
    }

    fn trust(
        &self,
        ctx: &mut RouteContext<'_>,
        source: &[u8],
        transport: Option<Transport>,
        from: &[u8],
    ) -> Outcome {
        let ruri = ctx.request_uri().to_vec();
        let peer = Peer { source, transport, from, ruri: &ruri };
        if self.tables.settings.db_mode == 1 {
            let table = self.tables.trusted.load();
            return self.trusted_by(ctx, table.find(peer));
        }
        match self.tables.ask_trusted(source) {
            Some(rules) => self.trusted_by(ctx, rules.iter().filter(|r| r.fits(peer))),
            None => Outcome::FALSE,
        }
    }

    fn trusted_by<'r>(&self, ctx: &mut RouteContext<'_>, rules: impl Iterator<Item = &'r Rule>) -> Outcome {
        let all = self.tables.settings.peer_tag_mode == 1;
        let mut count = 0;
        for rule in rules.take(if all { usize::MAX } else { 1 }) {
            count += 1;
            if let (Some(avp), Some(tag)) = (&self.tag_avp, &rule.row().tag) {
                add_avp(ctx, avp, &Value::str(tag));
            }
        }
        if count == 0 { Outcome::FALSE } else { Outcome(count) }
    }

    /// From and the Request-URIs of the destination set against the files.
    fn routing(&self, ctx: &RouteContext<'_>, pair: &Pair) -> Outcome {
        let Ok(from) = ctx.message.from() else { return Outcome::FALSE };
        let mut uris = Vec::new();
        match plain(ctx.request_uri()) {
            Some(uri) => uris.push(uri),
            None => return Outcome::FALSE,
        }
        if self.tables.settings.check_all_branches {
            uris.extend(ctx.branches.iter().filter_map(|b| plain(&b.uri)));
        }
        let uris: Vec<&[u8]> = uris.iter().map(Vec::as_slice).collect();
        Outcome::from(pair.allows(from.uri, &uris))
    }

    /// To and the contacts of a registration against the files. Whoever registers nothing may.
    fn registering(&self, ctx: &RouteContext<'_>, pair: &Pair, with_port: bool) -> Outcome {
        let Ok(to) = ctx.message.to() else { return Outcome::FALSE };
        let mut uris = Vec::new();
        if ctx.message.headers_named(HeaderName::Contact).any(|h| h.value == b"*") {
            return Outcome::TRUE;
        }
        for contact in ctx.message.addresses(HeaderName::Contact) {
            match contact.ok().and_then(|c| plain_with(c.uri, with_port)) {
                Some(uri) => uris.push(uri),
                None => return Outcome::FALSE,
            }
        }
        if uris.is_empty() {
            return Outcome::TRUE;
        }
        let uris: Vec<&[u8]> = uris.iter().map(Vec::as_slice).collect();
        Outcome::from(pair.allows(to.uri, &uris))
    }
}

/// `sip:user@host`
fn plain(uri: &[u8]) -> Option<Vec<u8>> {
    plain_with(uri, false)
}

/// `sip:user@host`, with `:port` when it is asked for and there.
fn plain_with(uri: &[u8], with_port: bool) -> Option<Vec<u8>> {
    let uri = Uri::parse(uri).ok().filter(|u| u.scheme.is_sip())?;
    let mut text = b"sip:".to_vec();
    if let Some(user) = uri.user {
        text.extend_from_slice(user);
        text.push(b'@');
    }
    text.extend_from_slice(uri.host);
    if let Some(port) = uri.port.filter(|_| with_port) {
        text.extend_from_slice(format!(":{port}").as_bytes());
    }
    Some(text)
}

fn port(number: i64) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

#[ksr_module("permissions")]
impl Permissions {
    /// Whether the sender's address and port are in a group of the address table. Returns 1 or -1.
    ///
    /// The tag of the row goes into `peer_tag_avp`.
    #[ksr(cfg = ["allow_source_address"])]
    fn allow_source_address(&self, ctx: &mut RouteContext<'_>, group: i64) -> Outcome {
        let source = ctx.inbound.source;
        Outcome::from(self.grant(ctx, Host::Ip(source.ip()), source.port(), Some(group)).is_some())
    }

    /// Whether an address (or name, compared as written) and a port are in a group of the address table. Returns 1 or -1.
    #[ksr(cfg = ["allow_address"])]
    fn allow_address(&self, ctx: &mut RouteContext<'_>, group: i64, address: &[u8], port: i64) -> Outcome {
        Outcome::from(self.grant(ctx, Host::parse(address), self::port(port), Some(group)).is_some())
    }

    /// The group the sender's address and port are in; -1 when in none.
    #[ksr(cfg = ["allow_source_address_group"])]
    fn allow_source_address_group(&self, ctx: &mut RouteContext<'_>) -> i64 {
        let source = ctx.inbound.source;
        self.grant(ctx, Host::Ip(source.ip()), source.port(), None).unwrap_or(-1)
    }

    /// The group an address (or name) and a port are in; -1 when in none.
    #[ksr(cfg = ["allow_address_group"])]
    fn allow_address_group(&self, ctx: &mut RouteContext<'_>, address: &[u8], port: i64) -> i64 {
        self.grant(ctx, Host::parse(address), self::port(port), None).unwrap_or(-1)
    }

    /// Whether the sender is a trusted peer: by source address, transport, From and Request-URI. Returns 1, with `peer_tag_mode` 1 the
    /// number of rows that fit, or -1.
    #[ksr(cfg = ["allow_trusted"], blocking)]
    fn allow_trusted(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let message = ctx.message.clone();
        let Ok(from) = message.from() else { return Outcome::FALSE };
        let (source, transport) = (ctx.source_ip().to_vec(), ctx.inbound.transport);
        self.trust(ctx, &source, Some(transport), from.uri)
    }

    /// As `allow_trusted`, for this source address and transport (`any`, `udp`, `tcp`, ...).
    #[ksr(cfg = ["allow_trusted"], blocking)]
    fn allow_trusted_peer(&self, ctx: &mut RouteContext<'_>, src_ip: &[u8], proto: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let Ok(from) = message.from() else { return Outcome::FALSE };
        self.trusted_peer(ctx, src_ip, proto, from.uri)
    }

    /// As `allow_trusted`, for this source address, transport and From URI.
    #[ksr(cfg = ["allow_trusted"], blocking)]
    fn allow_trusted_furi(
        &self,
        ctx: &mut RouteContext<'_>,
        src_ip: &[u8],
        proto: &[u8],
        furi: &[u8],
    ) -> Outcome {
        self.trusted_peer(ctx, src_ip, proto, furi)
    }

    /// Whether the allow and deny files of `default_allow_file` and `default_deny_file` let From call the Request-URI and the branches.
    ///
    /// All of them in the allow file: 1; else one of them in the deny file: -1; else 1.
    #[ksr(cfg = ["allow_routing"], blocking)]
    fn allow_routing(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let pair = self.tables.default_files();
        self.routing(ctx, &pair)
    }

    /// As `allow_routing`, with the files of that name and `allow_suffix`, `deny_suffix`.
    #[ksr(cfg = ["allow_routing"], blocking)]
    fn allow_routing_base(&self, ctx: &mut RouteContext<'_>, basename: &[u8]) -> Outcome {
        let pair = self.tables.files(basename);
        self.routing(ctx, &pair)
    }

    /// As `allow_routing`, with these files.
    #[ksr(cfg = ["allow_routing"], blocking)]
    fn allow_routing_files(
        &self,
        ctx: &mut RouteContext<'_>,
        allow_file: &[u8],
        deny_file: &[u8],
    ) -> Outcome {
        let pair = self.tables.two_files(allow_file, deny_file);
        self.routing(ctx, &pair)
    }

    /// Whether the allow and deny files of that name let To register the contacts of the request. Returns 1 or -1.
    #[ksr(cfg = ["allow_register"], routes(REQUEST, FAILURE), blocking)]
    fn allow_register(&self, ctx: &mut RouteContext<'_>, basename: &[u8]) -> Outcome {
        let pair = self.tables.files(basename);
        self.registering(ctx, &pair, false)
    }

    /// As `allow_register`, with these files.
    #[ksr(cfg = ["allow_register"], routes(REQUEST, FAILURE), blocking)]
    fn allow_register_files(
        &self,
        ctx: &mut RouteContext<'_>,
        allow_file: &[u8],
        deny_file: &[u8],
    ) -> Outcome {
        let pair = self.tables.two_files(allow_file, deny_file);
        self.registering(ctx, &pair, false)
    }

    /// As `allow_register`, with the ports of the contacts.
    #[ksr(cfg = ["allow_register_include_port"], routes(REQUEST, FAILURE), blocking)]
    fn allow_register_include_port(&self, ctx: &mut RouteContext<'_>, basename: &[u8]) -> Outcome {
        let pair = self.tables.files(basename);
        self.registering(ctx, &pair, true)
    }

    /// As `allow_register_include_port`, with these files.
    #[ksr(cfg = ["allow_register_include_port"], routes(REQUEST, FAILURE), blocking)]
    fn allow_register_include_port_files(
        &self,
        ctx: &mut RouteContext<'_>,
        allow_file: &[u8],
        deny_file: &[u8],
    ) -> Outcome {
        let pair = self.tables.two_files(allow_file, deny_file);
        self.registering(ctx, &pair, true)
    }

    /// Whether the allow and deny files of that name let From have a URI, which is compared as it is. Returns 1 or -1.
    #[ksr(cfg = ["allow_uri"], routes(REQUEST, FAILURE), blocking)]
    fn allow_uri(&self, ctx: &mut RouteContext<'_>, basename: &[u8], uri: &[u8]) -> Outcome {
        let Ok(from) = ctx.message.from() else { return Outcome::FALSE };
        Outcome::from(self.tables.files(basename).allows(from.uri, &[uri]))
    }
}

impl Permissions {
    fn trusted_peer(&self, ctx: &mut RouteContext<'_>, source: &[u8], proto: &[u8], from: &[u8]) -> Outcome {
        let transport = Transport::parse(proto);
        if transport.is_none() && !proto.eq_ignore_ascii_case(b"any") {
            tracing::error!(target: "permissions", proto = %String::from_utf8_lossy(proto), "unknown transport");
            return Outcome::FALSE;
        }
        self.trust(ctx, source, transport, from)
    }
}

impl Module for Permissions {
    fn name(&self) -> &'static str {
        "permissions"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.given.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        rpc::COMMANDS
    }
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        if let Some(spec) = &self.given.peer_tag_avp {
            let name = avp_of(spec).ok_or_else(|| SetupError(format!("peer_tag_avp: {spec} is no AVP")))?;
            self.tag_avp = Some(name);
        }
        let database = match &self.given.db_url {
            Some(url) => Some(Source::open("permissions", url)?),
            None => None,
        };
        let tables = Tables {
            settings: self.given.clone(),
            database,
            folder: setup.config.folder.clone(),
            ..Tables::default()
        };
        tables.load_at_start()?;
        self.tables = Arc::new(tables);
        Ok(())
    }
    /// What could not be loaded at the start is tried again, by a thread of its own: the database may take its time to refuse.
    fn tick(&self, _: &Core, now: Now) {
        const PAUSE: u64 = 10;
        let tables = &self.tables;
        if !tables.pending.iter().any(|p| p.load(Ordering::Relaxed))
            || now.unix() < self.tried.load(Ordering::Relaxed) + PAUSE
            || tables.loading.swap(true, Ordering::Acquire)
        {
            return;
        }
        self.tried.store(now.unix(), Ordering::Relaxed);
        let work = tables.clone();
        let thread = std::thread::Builder::new().name("permissions-db".into()).spawn(move || {
            work.load_pending();
            work.loading.store(false, Ordering::Release);
        });
        if thread.is_err() {
            tables.loading.store(false, Ordering::Release);
        }
    }
}
