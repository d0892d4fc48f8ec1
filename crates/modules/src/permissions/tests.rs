//! The functions of `permissions` as scripts call them, and its commands.

use std::sync::Arc;

use script::testing::Bench;
use script::{CoreConfig, Module, ParamValue, RpcError, Setup, Value};
use serde_json::{Value as Json, json};
use store::{Database, Memory, Value as Cell};

use super::*;

const ADDRESS: [&str; 5] = ["grp", "ip_addr", "mask", "port", "tag"];
const TRUSTED: [&str; 6] = ["src_ip", "proto", "from_pattern", "ruri_pattern", "tag", "priority"];

fn address(memory: &Memory, group: i64, ip: &str, mask: i64, tag: Option<&str>) {
    memory.create("address", &ADDRESS, &[]);
    let tag = tag.map_or(Cell::Null, Cell::text);
    let row = [Cell::Int(group), Cell::text(ip), Cell::Int(mask), Cell::Int(0), tag];
    memory.insert("address", &ADDRESS, &row).expect("inserted");
}

struct Rig {
    bench: Bench,
    memory: Arc<Memory>,
    _database: Arc<dyn Database>,
}

fn rig(name: &str, memory: Memory, params: &[(&str, ParamValue)]) -> Rig {
    let memory = Arc::new(memory);
    let database: Arc<dyn Database> = memory.clone();
    let url = format!("mysql://permissions/{name}");
    store::substitute(&url, &database);
    let mut module = Permissions::default();
    module.set_param("db_url", ParamValue::Str(url)).expect("declared");
    module.set_param("peer_tag_avp", ParamValue::Str("$avp(tag)".into())).expect("declared");
    for (name, value) in params {
        module.set_param(name, value.clone()).expect("declared");
    }
    let empty = Bench::new(Vec::new());
    let config = CoreConfig { folder: std::env::temp_dir(), ..CoreConfig::default() };
    module.setup(&Setup { config: &config, listeners: &[], modules: &[], now: empty.now }).expect("fits");
    let modules: Vec<Arc<dyn Module>> = vec![Arc::new(module), Arc::new(crate::pv::PvModule::default())];
    Rig { bench: Bench::new(modules), memory, _database: database }
}

fn message(method: &str, from: &str, rows: &str) -> String {
    format!(
        "{method} sip:ok@example.com:5070;x=y SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <{from}>;tag=1\nTo: <{from}>\nCall-ID: c\nCSeq: 1 {method}\n{rows}"
    )
}

impl Rig {
    fn permissions(&self) -> &Permissions {
        self.bench.core.registry.module().expect("loaded")
    }
    fn call(&self, text: &str, name: &str, args: &[Value<'_>]) -> (i64, Value<'static>) {
        let mut ctx = self.bench.request(text);
        let result = self.bench.call(&mut ctx, &format!("permissions.{name}"), args);
        (result.to_int().expect("an int"), self.bench.pv(&ctx, "$(avp(tag)[*])"))
    }
    fn rpc(&self, name: &str, params: &[Json]) -> Result<Json, RpcError> {
        let command = rpc::COMMANDS.iter().find(|c| c.name == name).expect("declared");
        (command.call)(self.permissions(), &self.bench.core, self.bench.now, params)
    }
}

const ANY: &str = "sip:alice@example.com";

#[test]
fn sources_and_given_addresses() {
    let memory = Memory::new();
    address(&memory, 1, "127.0.0.1", 32, Some("local"));
    address(&memory, 4, "10.0.0.0", 8, None);
    address(&memory, 5, "sip.example.com", 0, Some("name"));
    let rig = rig("address", memory, &[]);
    let text = message("OPTIONS", ANY, "");
    let int = Value::Int;
    assert_eq!(rig.call(&text, "allow_source_address", &[int(1)]), (1, Value::owned("local")));
    assert_eq!(rig.call(&text, "allow_source_address", &[int(2)]), (-1, Value::Null));
    assert_eq!(rig.call(&text, "allow_source_address_group", &[]).0, 1);
    for (host, group) in [
        ("10.1.2.3", 4),
        ("[10.1.2.3]", 4),
        ("sip.example.com", 5),
        ("", -1),
        ("10.1.2", -1),
        ("' OR 1=1", -1),
        (&"1".repeat(10_000), -1),
    ] {
        let args = [Value::str(host.as_bytes()), int(5060)];
        assert_eq!(rig.call(&text, "allow_address_group", &args).0, group, "{host:.20}");
        let args = [int(4), Value::str(host.as_bytes()), int(70_000)];
        assert_eq!(rig.call(&text, "allow_address", &args).0 == 1, group == 4, "{host:.20}");
    }
    assert_eq!(rig.rpc("permissions.addressDump", &[]).expect("answers")[0]["item"]["tag"], json!("local"));
    assert_eq!(rig.rpc("permissions.subnetDump", &[]).expect("answers")[0]["group"], json!(4));
    assert_eq!(
        rig.rpc("permissions.domainDump", &[]).expect("answers")[0]["item"]["domain_name"],
        json!("sip.example.com")
    );
}

#[test]
fn reloads_take_their_time_and_keep_what_was_there() {
    let mut rig = rig("reload", Memory::new(), &[]);
    let allowed =
        |rig: &Rig| rig.call(&message("OPTIONS", ANY, ""), "allow_source_address", &[Value::Int(1)]).0;
    assert_eq!(allowed(&rig), -1, "there is no table yet, and the server starts all the same");
    address(&rig.memory, 1, "127.0.0.1", 32, None);
    rig.permissions().tick(&rig.bench.core, rig.bench.now);
    assert_eq!(allowed(&rig), 1, "it is tried again");
    rig.memory.delete("address", &[]).expect("deleted");
    assert_eq!(rig.rpc("permissions.addressReload", &[]), Ok(json!("Reload OK")));
    assert_eq!(allowed(&rig), -1);
    let ongoing = rig.rpc("permissions.addressReload", &[]).map_err(|e| e.message);
    assert_eq!(ongoing, Err("ongoing reload".into()));
    rig.bench.now.unix_micros += 5_000_000;
    assert_eq!(rig.rpc("permissions.trustedReload", &[]).map_err(|e| e.code), Err(500), "nothing is kept");
}

#[test]
fn trusted_peers_kept_or_asked_for() {
    for (mode, tags) in [(1, "t2"), (0, "t1")] {
        let memory = Memory::new();
        memory.create("trusted", &TRUSTED, &[]);
        for (transport, from, tag, priority) in
            [("udp", "^sip:.*@example.com$", "t1", 0), ("any", "^sip:bob@", "t2", 5), ("tcp", "", "t3", 9)]
        {
            let [source, transport, from, tag] = ["127.0.0.1", transport, from, tag].map(Cell::text);
            let row = [source, transport, from, Cell::Null, tag, Cell::Int(priority)];
            memory.insert("trusted", &TRUSTED, &row).expect("inserted");
        }
        let rig = rig(&format!("trusted{mode}"), memory, &[("db_mode", ParamValue::Int(mode))]);
        let bob = message("OPTIONS", "sip:bob@example.com", "");
        assert_eq!(rig.call(&bob, "allow_trusted", &[]), (1, Value::owned(tags)), "mode {mode}");
        assert_eq!(rig.call(&message("OPTIONS", "sip:eve@else.org", ""), "allow_trusted", &[]).0, -1);
        let peer = |source: &str, proto: &str| {
            let args = [Value::str(source.as_bytes()), Value::str(proto.as_bytes())];
            rig.call(&message("OPTIONS", "sip:eve@else.org", ""), "allow_trusted_peer", &args).0
        };
        let asked = [peer("127.0.0.1", "tcp"), peer("127.0.0.1", "smoke"), peer("' OR 1", "any")];
        assert_eq!(asked, [1, -1, -1]);
    }
}

#[test]
fn files_beside_the_configuration() {
    let base = format!("trunkline-permissions-{}", std::process::id());
    let write = |ending: &str, text: &str| {
        let path = std::env::temp_dir().join(format!("{base}{ending}"));
        std::fs::write(&path, text).expect("file");
        path
    };
    let allow = write(".allow", "\"^sip:alice@\" : \"^sip:ok@example.com$\"\nALL : \"^sip:p@h:5062$\"\n");
    let deny = write(".deny", "ALL : \"^sip:ok@\", \"^sip:bad@\", \":5062$\"\n");
    let rig = rig("files", Memory::new(), &[]);
    let name = Value::str(base.as_bytes());
    let routing = |from: &str| {
        rig.call(&message("INVITE", from, ""), "allow_routing_base", std::slice::from_ref(&name)).0
    };
    assert_eq!([routing(ANY), routing("sip:bob@example.com")], [1, -1], "without port and parameters");
    assert_eq!(rig.call(&message("INVITE", ANY, ""), "allow_routing", &[]).0, 1, "no file, no rules");
    for (function, contact, wanted) in [
        ("allow_register", "<sip:bad@x:5060>", -1),
        ("allow_register", "<sip:q@h>, <sip:bad@x>", -1),
        ("allow_register", "<sip:q@h:5062>", 1),
        ("allow_register_include_port", "<sip:q@h:5062>", -1),
        ("allow_register_include_port", "<sip:p@h:5062>", 1),
        ("allow_register", "*", 1),
        ("allow_register", "<nonsense>", -1),
    ] {
        let text = message("REGISTER", ANY, &format!("Contact: {contact}\n"));
        assert_eq!(rig.call(&text, function, std::slice::from_ref(&name)).0, wanted, "{function} {contact}");
    }
    let uri = |uri: &str| {
        rig.call(&message("INVITE", ANY, ""), "allow_uri", &[name.clone(), Value::str(uri.as_bytes())]).0
    };
    assert_eq!([uri("sip:q@h:5062"), uri("sip:good@x")], [-1, 1]);
    let test = |base: &str| {
        let params = [json!(base), json!("sip:bob@b"), json!("sip:good@x")];
        rig.rpc("permissions.testUri", &params).expect("answers")
    };
    assert_eq!([test(&base), test("never-read")], [json!("Allowed"), json!("Denied")]);
    for path in [allow, deny] {
        std::fs::remove_file(path).expect("removed");
    }
}
