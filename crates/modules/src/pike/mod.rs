//! Module `pike`: who sends too many requests. What to do about it is the script's business.

mod tree;

use std::any::Any;
use std::net::IpAddr;

use script::{
    Core, Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, RpcCommand, RpcError,
    Setup, SetupError, ksr_module,
};
use serde_json::{Value as Json, json};
use transaction::Now;

pub use tree::{Known, LIMIT, Rules, Tree, Verdict};

/// Parameters of `pike`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Level at which a flood's begin and end are logged: -1 error, 0 and 1 warning, 2 info, 3 debug; lower ones not at all. Default 1.
    pike_log_level: i64,
    /// Seconds without requests after which an address is forgotten. Default 120.
    remove_latency: u32,
    /// Requests that an address may send per unit. Default 30.
    reqs_density_per_unit: u32,
    /// Seconds of a unit. Default 2.
    sampling_time_unit: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { pike_log_level: 1, remove_latency: 120, reqs_density_per_unit: 30, sampling_time_unit: 2 }
    }
}

/// Module `pike`.
#[derive(Debug)]
pub struct Pike {
    settings: Settings,
    tree: Tree,
    /// Units are counted from here, milliseconds.
    start: u64,
}

impl Default for Pike {
    fn default() -> Pike {
        let settings = Settings::default();
        Pike { tree: Tree::new(rules(&settings)), settings, start: 0 }
    }
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        density: settings.reqs_density_per_unit.max(1),
        unit: u64::from(settings.sampling_time_unit.max(1)) * 1000,
        latency: u64::from(settings.remove_latency.max(1)) * 1000,
    }
}

impl Pike {
    /// Milliseconds as the tree has them.
    fn clock(&self, now: Now) -> u64 {
        now.mono.as_millis().saturating_sub(self.start)
    }
    fn check(&self, ip: IpAddr, now: Now) -> Outcome {
        match self.tree.check(ip, self.clock(now)) {
            Verdict::Pass => Outcome::TRUE,
            Verdict::Flood => Outcome::FALSE,
            Verdict::First => {
                self.log(ip, "flood: requests of this address are refused");
                Outcome(-2)
            }
        }
    }
    fn log(&self, ip: IpAddr, what: &str) {
        match self.settings.pike_log_level {
            ..=-2 => {}
            -1 => tracing::error!(target: "pike", %ip, "{what}"),
            0 | 1 => tracing::warn!(target: "pike", %ip, "{what}"),
            2 => tracing::info!(target: "pike", %ip, "{what}"),
            _ => tracing::debug!(target: "pike", %ip, "{what}"),
        }
    }
}

#[ksr_module("pike")]
impl Pike {
    /// Counts the request for its sender's address.
    ///
    /// Returns 1; -2 when this request makes the address a flooder, -1 for further ones. An address is refused from then on to the end of
    /// the first unit with fewer requests than `reqs_density_per_unit`.
    #[ksr(cfg = ["pike_check_req"])]
    fn pike_check_req(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.check(ctx.inbound.source.ip(), ctx.now)
    }
    /// As `pike_check_req`, for this address; IPv6 with or without brackets. Returns -1 also for what is no address.
    #[ksr(no_message, cfg = ["pike_check_ip"])]
    fn pike_check_ip(&self, ctx: &mut RouteContext<'_>, sip: &[u8]) -> Outcome {
        let bare = sip.strip_prefix(b"[").and_then(|s| s.strip_suffix(b"]")).unwrap_or(sip);
        let parsed = std::str::from_utf8(bare).ok().and_then(|t| t.trim().parse().ok());
        let Some(ip) = parsed else {
            tracing::error!(target: "pike", address = %String::from_utf8_lossy(sip), "pike_check_ip: this is no address");
            return Outcome::FALSE;
        };
        self.check(ip, ctx.now)
    }
}

const COMMANDS: &[RpcCommand] = &[
    RpcCommand { name: "pike.list", doc: "As `pike.top`.", call: top },
    RpcCommand {
        name: "pike.top",
        doc: "Addresses that sent requests, those with most first. Parameter: `HOT` (those that are refused, default), `WARM` or `ALL`.",
        call: top,
    },
];

fn top(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Result<Json, RpcError> {
    let pike: &Pike = (m as &dyn Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))?;
    let passes: fn(&Known) -> bool = match params.first().and_then(Json::as_str).unwrap_or("HOT") {
        "HOT" | "hot" => |k| k.hot,
        "WARM" | "warm" => |k| k.warm && !k.hot,
        "ALL" | "all" => |_| true,
        _ => return Err(RpcError::new(500, "Bad argument. Select: ALL, HOT or WARM")),
    };
    let row = |k: &Known| {
        let status = if k.hot {
            "HOT"
        } else if k.warm {
            "WARM"
        } else {
            ""
        };
        json!({
            "ip_addr": k.ip.to_string(), "leaf_hits_prev": k.hits[0], "leaf_hits_curr": k.hits[1],
            "expires": k.expires, "status": status,
        })
    };
    let known = pike.tree.known(pike.clock(now));
    let list: Vec<Json> = known.iter().filter(|k| passes(k)).map(row).collect();
    Ok(json!({ "max_hits": pike.tree.rules().density, "number_of_rows": list.len(), "list": list }))
}

impl Module for Pike {
    fn name(&self) -> &'static str {
        "pike"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        COMMANDS
    }
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        if self.settings.reqs_density_per_unit == 0 || self.settings.sampling_time_unit == 0 {
            return Err(SetupError("reqs_density_per_unit and sampling_time_unit are at least 1".into()));
        }
        self.tree = Tree::new(rules(&self.settings));
        self.start = setup.now.mono.as_millis();
        Ok(())
    }
    fn tick(&self, _: &Core, now: Now) {
        /// Most nodes forgotten per branch and tick.
        const BUDGET: usize = 4096;
        self.tree.sweep(self.clock(now), BUDGET, &mut |ip| {
            self.log(ip, "the flood is over: requests of this address pass");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use script::{Inbound, Value};
    use std::sync::Arc;

    fn bench() -> Bench {
        let mut pike = Pike::default();
        for (name, n) in [("reqs_density_per_unit", 16), ("sampling_time_unit", 2), ("remove_latency", 4)] {
            pike.set_param(name, ParamValue::Int(n)).expect("declared");
        }
        let now = Bench::new(vec![]).now;
        let config = script::CoreConfig::default();
        pike.setup(&Setup { config: &config, listeners: &[], modules: &[], now }).expect("sets up");
        Bench::new(vec![Arc::new(pike)])
    }
    const REQUEST: &str = "OPTIONS sip:a@b SIP/2.0\nCSeq: 1 OPTIONS\n";

    #[test]
    fn one_floods_and_another_passes() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        let answers: Vec<_> =
            (0..30).map(|_| bench.call(&mut ctx, "pike.pike_check_req", &[]).to_int()).collect();
        assert!(answers.iter().take(21).all(|a| *a == Some(1)) && answers[21] == Some(-2));
        assert!(answers.iter().skip(22).all(|a| *a == Some(-1)));
        let source = "127.0.0.9:5060".parse().expect("an address");
        ctx.set_inbound(Inbound { source, ..ctx.inbound });
        assert_eq!(bench.call(&mut ctx, "pike.pike_check_req", &[]), Value::Int(1));
    }

    #[test]
    fn addresses_by_name_and_what_operators_see() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        let mut check = |ip: &str| bench.call(&mut ctx, "pike.pike_check_ip", &[ip.into()]).to_int();
        assert_eq!(
            [check("nonsense"), check(""), check("[::1]"), check("2001:db8::1")],
            [-1, -1, 1, 1].map(Some)
        );
        for _ in 0..30 {
            check("31.1.1.1");
        }
        for (ip, times) in [("31.1.1.2", 3), ("30.1.1.1", 8)] {
            for _ in 0..times {
                check(ip);
            }
        }
        let top = |filter: &str| {
            let (module, command) =
                bench.core.registry.rpc().find(|(_, c)| c.name == "pike.top").expect("there");
            (command.call)(module.as_ref(), &bench.core, bench.now, &[json!(filter)])
        };
        let row = |ip: &str, hits: u32, status: &str| json!({"ip_addr": ip, "leaf_hits_prev": 0, "leaf_hits_curr": hits, "expires": 4, "status": status});
        let all = [row("31.1.1.1", 24, "HOT"), row("30.1.1.1", 2, ""), row("31.1.1.2", 2, "WARM")];
        assert_eq!(top("ALL"), Ok(json!({"max_hits": 16, "list": all, "number_of_rows": 3})));
        assert_eq!(top("HOT"), Ok(json!({"max_hits": 16, "list": [&all[0]], "number_of_rows": 1})));
        assert_eq!(top("bad"), Err(RpcError::new(500, "Bad argument. Select: ALL, HOT or WARM")));
    }
}
