//! Kamailio's modules, one file or folder each. The list of modules below is the only list there is.
#![forbid(unsafe_code)]

use script::Module;

pub mod accepted;
pub mod app_python3;
pub mod cfgutils;
pub mod core;
pub mod corex;
pub mod hdr;
pub mod kemix;
pub mod kex;
pub mod maxfwd;
pub mod pv;
pub mod registrar;
pub mod rr;
pub mod sanity;
pub mod siputils;
pub mod sl;
pub mod textops;
pub mod textopsx;
pub mod tm;
pub mod tmx;
pub mod usrloc;
pub mod x;
pub mod xlog;

/// Modules that every script has without `loadmodule`: `KSR.*`, `KSR.pv`, `KSR.hdr`, `KSR.x`.
pub const ALWAYS: &[&str] = &["core", "hdr", "x", "pv"];

/// Makes a module by its name in `loadmodule` (without `.so`); `None` when Trunkline does not have it.
pub fn create(name: &str) -> Option<Box<dyn Module>> {
    Some(match name {
        "app_python3" => Box::new(app_python3::AppPython3::default()),
        "cfgutils" => Box::new(cfgutils::CfgUtils::default()),
        "core" => Box::new(core::CoreFunctions::default()),
        "corex" => Box::new(corex::Corex::default()),
        "hdr" => Box::new(hdr::Hdr::default()),
        "kemix" => Box::new(kemix::Kemix::default()),
        "kex" => Box::new(kex::Kex::default()),
        "maxfwd" => Box::new(maxfwd::MaxFwd::default()),
        "pv" => Box::new(pv::PvModule::default()),
        "registrar" => Box::new(registrar::Registrar::default()),
        "rr" => Box::new(rr::Rr::default()),
        "sanity" => Box::new(sanity::Sanity::default()),
        "siputils" => Box::new(siputils::SipUtils::default()),
        "sl" => Box::new(sl::Sl::default()),
        "textops" => Box::new(textops::TextOps::default()),
        "textopsx" => Box::new(textopsx::TextOpsX::default()),
        "tm" => Box::new(tm::Tm::default()),
        "tmx" => Box::new(tmx::Tmx::default()),
        "usrloc" => Box::new(usrloc::Usrloc::default()),
        "x" => Box::new(x::X::default()),
        "xlog" => Box::new(xlog::Xlog::default()),
        _ => return accepted::create(name),
    })
}
