//! Kamailio's modules, one file or folder each. The list of modules below is the only list there is.
#![forbid(unsafe_code)]

use script::Module;

pub mod acc;
pub mod accepted;
pub mod alias_db;
pub mod app_python3;
pub mod auth;
pub mod auth_db;
pub mod cfg_rpc;
pub mod cfgutils;
pub mod core;
pub mod corex;
pub mod counters;
pub mod ctl;
mod database;
pub mod db_drivers;
pub mod debugger;
pub mod dialog;
pub mod dispatcher;
pub mod domain;
pub mod group;
pub mod hdr;
pub mod htable;
pub mod jsonrpcs;
pub mod kemix;
pub mod kex;
pub mod maxfwd;
pub mod nathelper;
pub mod path;
pub mod permissions;
pub mod pike;
pub mod pv;
pub mod registrar;
pub(crate) mod relay;
pub mod rr;
pub mod rtpengine;
pub mod rtpproxy;
pub mod sanity;
pub(crate) mod sdp;
pub mod sdpops;
pub mod siputils;
pub mod sl;
pub mod statistics;
pub mod textops;
pub mod textopsx;
pub mod tm;
pub mod tmx;
pub mod uri_db;
pub mod usrloc;
pub mod x;
pub mod xlog;

/// Modules that every script has without `loadmodule`: `KSR.*`, `KSR.pv`, `KSR.hdr`, `KSR.x`.
pub const ALWAYS: &[&str] = &["core", "hdr", "x", "pv"];

type Make = fn() -> Box<dyn Module>;

fn make<M: Module + Default>() -> Box<dyn Module> {
    Box::new(M::default())
}

/// The one list of modules.
const MODULES: &[(&str, Make)] = &[
    ("acc", make::<acc::Acc>),
    ("alias_db", make::<alias_db::AliasDb>),
    ("app_python3", make::<app_python3::AppPython3>),
    ("app_python3s", make::<app_python3::AppPython3s>),
    ("auth", make::<auth::Auth>),
    ("auth_db", make::<auth_db::AuthDb>),
    ("cfg_rpc", make::<cfg_rpc::CfgRpc>),
    ("cfgutils", make::<cfgutils::CfgUtils>),
    ("core", make::<core::CoreFunctions>),
    ("corex", make::<corex::Corex>),
    ("counters", make::<counters::Counters>),
    ("ctl", make::<ctl::Ctl>),
    ("db_mysql", make::<db_drivers::DbMysql>),
    ("db_postgres", make::<db_drivers::DbPostgres>),
    ("db_sqlite", make::<db_drivers::DbSqlite>),
    ("db_text", make::<db_drivers::DbText>),
    ("debugger", make::<debugger::Debugger>),
    ("dialog", make::<dialog::DialogModule>),
    ("dispatcher", make::<dispatcher::Dispatcher>),
    ("domain", make::<domain::Domain>),
    ("group", make::<group::Group>),
    ("hdr", make::<hdr::Hdr>),
    ("htable", make::<htable::Htable>),
    ("jsonrpcs", make::<jsonrpcs::JsonRpcs>),
    ("kemix", make::<kemix::Kemix>),
    ("kex", make::<kex::Kex>),
    ("maxfwd", make::<maxfwd::MaxFwd>),
    ("nathelper", make::<nathelper::NatHelper>),
    ("path", make::<path::Path>),
    ("permissions", make::<permissions::Permissions>),
    ("pike", make::<pike::Pike>),
    ("pv", make::<pv::PvModule>),
    ("registrar", make::<registrar::Registrar>),
    ("rr", make::<rr::Rr>),
    ("rtpengine", make::<rtpengine::RtpEngine>),
    ("rtpproxy", make::<rtpproxy::RtpProxy>),
    ("sanity", make::<sanity::Sanity>),
    ("sdpops", make::<sdpops::SdpOps>),
    ("siputils", make::<siputils::SipUtils>),
    ("sl", make::<sl::Sl>),
    ("statistics", make::<statistics::StatisticsModule>),
    ("textops", make::<textops::TextOps>),
    ("textopsx", make::<textopsx::TextOpsX>),
    ("tm", make::<tm::Tm>),
    ("tmx", make::<tmx::Tmx>),
    ("uri_db", make::<uri_db::UriDb>),
    ("usrloc", make::<usrloc::Usrloc>),
    ("x", make::<x::X>),
    ("xlog", make::<xlog::Xlog>),
];

/// Makes a module by its name in `loadmodule` (without `.so`); `None` when Trunkline does not have it.
pub fn create(name: &str) -> Option<Box<dyn Module>> {
    match MODULES.iter().find(|(n, _)| *n == name) {
        Some((_, make)) => Some(make()),
        None => accepted::create(name),
    }
}

/// All modules, those that are only accepted last; for documentation and for "did you mean".
pub fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|(n, _)| *n).chain(accepted::names())
}
