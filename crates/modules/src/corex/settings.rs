//! Parameters and RPC commands of `corex`.

use message::Transport;
use script::module::joined;
use script::{Alias, ModParam, ModParams, ParamType, ParamValue, RpcCommand, SetupError};
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
              times.",
    },
    ModParam {
        name: "dns_cache",
        kind: ParamType::Str,
        doc: "DNS record known from the start, `type=A;name=..;addr=..`; several times. Taken; names are resolved by the system.",
    },
];

pub(super) const PARAMS: &[ModParam] =
    &joined::<{ Settings::PARAMS.len() + LISTS.len() }>(Settings::PARAMS, &LISTS);

/// Parameters that may be given several times.
#[derive(Debug, Default)]
pub(super) struct Lists {
    subdomains: Vec<Alias>,
    records: Vec<String>,
}

/// Reads `proto:domain:port`.
fn subdomain(text: &str) -> Result<Alias, SetupError> {
    let bad = || SetupError(format!("alias_subdomains \"{text}\" is not proto:domain:port"));
    let transport = |word: &str| {
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Sctp]
            .into_iter()
            .find(|t| t.lower() == word)
    };
    let (proto, rest) = match text.split_once(':') {
        Some((word, rest)) if transport(word).is_some() => (transport(word), rest),
        _ => (None, text),
    };
    let (domain, port) = match rest.split_once(':') {
        Some((domain, port)) => (domain, Some(port.parse::<u16>().map_err(|_| bad())?)),
        None => (rest, None),
    };
    let fits = !domain.is_empty() && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if fits { Ok((domain.to_owned(), port, proto)) } else { Err(bad()) }
}

impl Lists {
    /// Makes the domains known to `is_myself`.
    pub(super) fn begin(&mut self, config: &script::CoreConfig) {
        let _ = config.subdomains.set(std::mem::take(&mut self.subdomains));
    }
    pub(super) fn set(
        &mut self,
        name: &str,
        value: ParamValue,
        settings: &mut Settings,
    ) -> Result<(), SetupError> {
        match (name, value) {
            ("alias_subdomains", ParamValue::Str(domain)) => self.subdomains.push(subdomain(&domain)?),
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
    use crate::core::CoreFunctions;
    use crate::corex::Corex;
    use script::testing::Bench;
    use script::{Module, Value};
    use std::sync::Arc;

    #[test]
    fn parameters() {
        let mut corex = Corex::default();
        assert_eq!(corex.params().len(), 7);
        let text = |t: &str| ParamValue::Str(t.into());
        assert!(corex.set_param("alias_subdomains", text("a.org")).is_ok());
        assert!(corex.set_param("alias_subdomains", text("udp:a.org:x")).is_err());
        assert!(corex.set_param("dns_cache", text("type=A")).is_ok());
        assert!(corex.set_param("nio_intercept", ParamValue::Int(1)).is_ok());
        assert!(corex.set_param("dns_cache", ParamValue::Int(1)).is_err());
        assert!(corex.set_param("nope", ParamValue::Int(1)).is_err());
    }
    /// As the packaged Kamailio answered; it minds a URI's transport too, which `is_myself` never does here.
    #[test]
    fn subdomains_are_myself() {
        let mut corex = Corex::default();
        for domain in ["example.net", "udp:sub.example.org:5070"] {
            assert!(corex.set_param("alias_subdomains", ParamValue::Str(domain.into())).is_ok());
        }
        let mut bench = Bench::new(vec![Arc::new(CoreFunctions::default())]);
        corex.lists.begin(&bench.core.config);
        bench.core.config.aliases.clear();
        let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        for (uri, mine) in [
            ("sip:example.net", true),
            ("sip:a.example.net", true),
            ("sip:b.a.example.net:7", true),
            ("sip:badexample.net", false),
            ("sip:example.net.x", false),
            ("sip:A.Example.Net", true),
            ("sip:sub.example.org:5070", true),
            ("sip:x.sub.example.org:5070", true),
            ("sip:x.sub.example.org", true),
            ("sip:x.sub.example.org:5070;transport=udp", true),
            ("a.example.net", true),
        ] {
            assert_eq!(bench.call(&mut ctx, "is_myself", &[uri.into()]), Value::Bool(mine), "{uri}");
        }
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
