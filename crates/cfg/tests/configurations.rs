//! What is read from good configurations: every file in `fixtures/good`, as a snapshot.

use std::fmt::Write;
use std::path::Path;

use trunkline_cfg::{Config, Options, load};

fn options() -> Options {
    let mut options =
        Options { environment: Some(vec![("FROM_ENV".into(), "77".into())]), ..Options::default() };
    options.define("FROM_COMMAND_LINE=no");
    options
}

fn read(name: &str) -> Config {
    let path = format!("tests/fixtures/good/{name}.cfg");
    match load(Path::new(&path), &options()) {
        Ok(config) => config,
        Err(found) => panic!("{}", found.iter().map(|d| format!("{d}\n")).collect::<String>()),
    }
}

fn summary(config: &Config) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    for file in &config.files {
        writeln!(out, "file      {}", file.display())?;
    }
    for p in &config.params {
        writeln!(out, "param     {} = {}", p.name, p.value)?;
    }
    for c in &config.custom {
        writeln!(out, "custom    {}.{} = {} {:?}", c.group, c.name, c.value, c.description)?;
    }
    for l in &config.listen {
        let proto = l.proto.map_or("any", |p| p.as_str());
        write!(out, "listen    {proto} {} {:?}-{:?}", l.host, l.port, l.last_port)?;
        let advertise = l.advertise.as_ref().map(|a| format!("{} {:?}", a.host, a.port));
        writeln!(
            out,
            " {advertise:?} {:?} virtual={} workers={:?} {:?} {:?}",
            l.name, l.virtual_address, l.workers, l.async_group, l.vrf
        )?;
    }
    for a in &config.aliases {
        writeln!(out, "alias     {:?} {} {:?}", a.proto.map(|p| p.as_str()), a.host, a.port)?;
    }
    for (name, number) in &config.flags {
        writeln!(out, "flag      {name} {number:?}")?;
    }
    writeln!(out, "loadpath  {:?}", config.loadpath)?;
    for m in &config.modules {
        writeln!(out, "module    {} from {:?}", m.name, m.as_written)?;
    }
    for m in &config.modparams {
        writeln!(out, "modparam  {:?} {} = {}", m.modules, m.name, m.value)?;
    }
    for d in config.defines.iter() {
        writeln!(out, "define    {} {:?}", d.name, d.value)?;
    }
    for r in &config.routes {
        writeln!(out, "route     {} {} tokens, {} statements", r.title(), r.tokens.len(), r.body.len())?;
    }
    writeln!(out, "engine    {:?}", config.engine())?;
    for w in &config.warnings {
        writeln!(out, "{w}")?;
    }
    Ok(out)
}

#[test]
fn good_configurations() {
    for name in ["kemi", "preprocessor", "sockets", "routes"] {
        insta::assert_snapshot!(name, summary(&read(name)).expect("a String takes everything"));
    }
}

#[test]
fn typed_access() {
    let config = read("kemi");
    assert_eq!((config.children(), config.debug(), config.port()), (4, 2, 5060));
    assert_eq!(config.bool("disable_tcp"), Some(true));
    assert_eq!(config.str("mpath"), config.str("loadpath"));
    assert_eq!(config.kemi_callback("onsend_route"), Some("none"));
    assert!(config.module("usrloc").is_some() && config.module("nathelper").is_none());
    assert_eq!(config.modparams_of("usrloc").count(), 3);
    assert_eq!(config.defines.value("DBURL"), Some("sqlite:///var/lib/kamailio/kamailio.db"));
    assert_eq!(config.listen.first().and_then(|l| l.workers), Some(2));
    assert_eq!(config.listen.get(1).and_then(|l| l.workers), None);
    assert!(config.check_engine().is_empty());
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn the_command_line_comes_before_the_file() {
    let mut options = options();
    options.define("WORKERS=9");
    options.define("LOGLEVEL=-1");
    options.loadmodules.push("app_lua.so".into());
    options.modparams.push("app_lua:reload:i:1".into());
    let config =
        load(Path::new("tests/fixtures/good/kemi.cfg"), &options).unwrap_or_else(|found| panic!("{found:?}"));
    assert_eq!((config.children(), config.debug()), (9, -1));
    assert_eq!(config.modparams_of("app_lua").count(), 2);
}

#[test]
fn statements_of_routes() {
    let config = read("routes");
    let request = config.route(trunkline_cfg::RouteKind::Request, "").expect("the fixture has one");
    insta::assert_debug_snapshot!("request_route", request.body);
    assert_eq!(request.title(), "request_route");
}

#[test]
fn includes_are_looked_for_in_the_working_directory_first() {
    // The working directory of tests is the crate's folder.
    let workdir = |include: &str| {
        let text = format!("include_file \"{include}\"\n");
        let config = trunkline_cfg::load_str(Path::new("tests/fixtures/good/x.cfg"), &text, &options());
        config.ok().and_then(|c| c.str("workdir").map(str::to_owned))
    };
    assert_eq!(workdir("tests/fixtures/good/more/again.cfg").as_deref(), Some("/again"));
    assert_eq!(workdir("more/again.cfg").as_deref(), Some("/again"));
    assert_eq!(workdir("again.cfg"), None);
}
