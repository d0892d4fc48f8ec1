//! Parameters and RPC commands of `corex`.

use script::{ModParam, ModParams, ParamType, ParamValue, RpcCommand, SetupError};
use serde_json::json;

/// Parameters that are given once.
#[derive(Debug, Default, ModParams)]
pub(super) struct Settings {
    /// File with DNS records, a line each as in `dns_cache`. Taken; names are resolved by the system.
    dns_file: Option<String>,
    /// Callback that runs before a reply leaves. Taken; it is not run yet.
    evcb_reply_out: Option<String>,
    /// 1: raw data goes through `event_route[network:msg]`. Taken; there is no such route here.
    nio_intercept: i64,
    /// Least bytes of raw data for `nio_intercept`. Taken.
    nio_min_msg_len: i64,
    /// AVP for changed raw data of `nio_intercept`. Taken.
    nio_msg_avp: Option<String>,
}

const LISTS: [ModParam; 2] = [
    ModParam {
        name: "alias_subdomains",
        kind: ParamType::Str,
        doc: "Domain that with all its subdomains counts as this server, `proto:domain:port` with proto and port optional; several \
              times. Taken; use `alias` for names of this server.",
    },
    ModParam {
        name: "dns_cache",
        kind: ParamType::Str,
        doc: "DNS record known from the start, `type=A;name=..;addr=..`; several times. Taken; names are resolved by the system.",
    },
];

pub(super) const PARAMS: &[ModParam] = &{
    let mut all = [LISTS[0]; Settings::PARAMS.len() + LISTS.len()];
    let mut i = 0;
    while i < Settings::PARAMS.len() {
        all[i] = Settings::PARAMS[i];
        i += 1;
    }
    all[i] = LISTS[0];
    all[i + 1] = LISTS[1];
    all
};

/// Parameters that may be given several times.
#[derive(Debug, Default)]
pub(super) struct Lists {
    subdomains: Vec<String>,
    records: Vec<String>,
}

impl Lists {
    pub(super) fn set(
        &mut self,
        name: &str,
        value: ParamValue,
        settings: &mut Settings,
    ) -> Result<(), SetupError> {
        match (name, value) {
            ("alias_subdomains", ParamValue::Str(domain)) => self.subdomains.push(domain),
            ("dns_cache", ParamValue::Str(record)) => self.records.push(record),
            ("alias_subdomains" | "dns_cache", other) => {
                return Err(SetupError(format!("parameter {name} takes a string, not {}", other.describe())));
            }
            (name, value) => return settings.set(name, value),
        }
        Ok(())
    }
}

pub(super) const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "corex.list_sockets",
        doc: "Our sockets: transport, address, port, advertised address, name. No parameters.",
        call: |_, core, _, _| {
            let all = core.listeners.iter().map(|l| {
                let host = l.address.ip().to_string();
                json!({
                    "PROTO": l.transport.lower(),
                    "NAME": host,
                    "ADDRLIST": { "ADDR": host },
                    "PORT": l.address.port().to_string(),
                    "MCAST": "no",
                    "MHOMED": "no",
                    "VIRTUAL": "no",
                    "SOCKNAME": l.name.as_deref().unwrap_or("-"),
                    "ADVERTISE": l.advertise.as_ref().map_or("-".into(), |(h, p)| format!("{h}:{p}")),
                })
            });
            Ok(all.collect())
        },
    },
    RpcCommand {
        name: "corex.list_aliases",
        doc: "Names that count as this server: transport, name, port. No parameters.",
        call: |_, core, _, _| {
            let all = core.config.aliases.iter().map(|(host, port, transport)| {
                json!({
                    "PROTO": transport.map_or("*", |t| t.lower()),
                    "ADDR": host,
                    "PORT": port.unwrap_or(0),
                })
            });
            Ok(all.collect())
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corex::Corex;
    use script::Module;
    use script::testing::Bench;
    use std::sync::Arc;

    #[test]
    fn parameters() {
        let mut corex = Corex::default();
        assert_eq!(corex.params().len(), 7);
        let text = |t: &str| ParamValue::Str(t.into());
        assert!(corex.set_param("alias_subdomains", text("a.org")).is_ok());
        assert!(corex.set_param("dns_cache", text("type=A")).is_ok());
        assert!(corex.set_param("nio_intercept", ParamValue::Int(1)).is_ok());
        assert!(corex.set_param("dns_cache", ParamValue::Int(1)).is_err());
        assert!(corex.set_param("nope", ParamValue::Int(1)).is_err());
    }
    #[test]
    fn lists_by_rpc() {
        let mut bench = Bench::new(vec![Arc::new(Corex::default())]);
        bench.core.config.aliases.push(("a.org".into(), None, None));
        let rpc = |name: &str| {
            let (m, row) = bench.core.registry.rpc().find(|(_, r)| r.name == name).expect("there");
            (row.call)(m.as_ref(), &bench.core, bench.now, &[]).expect("answer")
        };
        assert_eq!(rpc("corex.list_sockets")[1]["PROTO"], "tcp");
        assert_eq!(rpc("corex.list_aliases")[0], json!({"PROTO": "*", "ADDR": "a.org", "PORT": 0}));
    }
}
