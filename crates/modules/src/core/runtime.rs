//! Core parameters that `cfg.*` shows and changes.

use script::{Core, ParamType, ParamValue, RuntimeParam, SetupError};

fn fixed(core: &Core, name: &str, default: i64) -> ParamValue {
    core.config.other.get(name).and_then(|v| v.parse().ok()).unwrap_or(default).into()
}

pub(super) const PARAMS: &[RuntimeParam] = &[
    RuntimeParam {
        group: "core",
        name: "debug",
        doc: "Log level: -5 alerts to 3 everything.",
        kind: ParamType::Int,
        value: |_, core| i64::from(core.config.levels.debug()).into(),
        change: Some(|_, core, value| match value {
            ParamValue::Int(level @ -5..=9) => {
                core.config.levels.set_debug(level as i32);
                Ok(())
            }
            other => Err(SetupError(format!("{} is not -5 to 9", other.describe()))),
        }),
    },
    RuntimeParam {
        group: "core",
        name: "children",
        doc: "Workers for each UDP socket.",
        kind: ParamType::Int,
        value: |_, core| (core.config.children as i64).into(),
        change: None,
    },
    RuntimeParam {
        group: "core",
        name: "max_branches",
        doc: "Branches of a destination set, besides the Request-URI.",
        kind: ParamType::Int,
        value: |_, core| (core.config.max_branches as i64).into(),
        change: None,
    },
    RuntimeParam {
        group: "core",
        name: "server_id",
        doc: "Number of this server among several.",
        kind: ParamType::Int,
        value: |_, core| i64::from(core.config.server_id).into(),
        change: None,
    },
    RuntimeParam {
        group: "core",
        name: "server_signature",
        doc: "1: replies made here name the server.",
        kind: ParamType::Int,
        value: |_, core| core.config.server_signature.into(),
        change: None,
    },
    RuntimeParam {
        group: "core",
        name: "force_rport",
        doc: "1: replies go to the port a request came from, asked for or not.",
        kind: ParamType::Int,
        value: |_, core| fixed(core, "force_rport", 0),
        change: None,
    },
];
