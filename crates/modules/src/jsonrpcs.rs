//! JSON-RPC over a FIFO and datagrams, as `kamctl` speaks it, and from scripts. The server opens the FIFO and the socket.

use script::module::joined;
use script::rpc::{self, layout};
use script::{
    Function, Inner, ModParam, ModParams, Module, Outcome, ParamType, ParamValue, PseudoVariable,
    RouteContext, Setup, SetupError, Value, ksr_module,
};
use serde_json::Value as Json;

/// Name of the default FIFO in the runtime directory.
pub const FIFO: &str = "kamailio_rpc.fifo";
/// Name of the default datagram socket in the runtime directory.
pub const SOCKET: &str = "kamailio_rpc.sock";

/// Bits of `transport`; 0 stands for all.
const HTTP: i64 = 1;
const OVER_FIFO: i64 = 2;
const DATAGRAM: i64 = 4;

/// Module `jsonrpcs`.
#[derive(Debug, Default)]
pub struct JsonRpcs {
    settings: Settings,
    fifo: Owner,
    datagram: Owner,
}

/// User and group of a file, by name or number.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub user: Option<String>,
    /// Group.
    pub group: Option<String>,
}

/// Parameters of `jsonrpcs`, but for users and groups.
#[derive(Debug, ModParams)]
struct Settings {
    /// Ways in, added up: 1 HTTP (the server's `--admin` address), 2 the FIFO, 4 the datagram socket; 0, the default, is all.
    transport: i64,
    /// 1: answers over the FIFO and datagrams have line breaks and tabs, 0: one line. Default 1.
    pretty_format: bool,
    /// Path of the FIFO; one that is not absolute is in the runtime directory (`-Y`, else /run/kamailio). Default kamailio_rpc.fifo,
    /// where `kamctl` looks.
    fifo_name: Option<String>,
    /// Access mode of the FIFO. Default 0660.
    fifo_mode: u32,
    /// Folder of the FIFOs that answers are written to. Default /tmp/.
    fifo_reply_dir: String,
    /// Datagram socket: a path (one that is not absolute is in the runtime directory) or `udp:host:port`. Default kamailio_rpc.sock.
    dgram_socket: Option<String>,
    /// Access mode of the datagram socket. Default 0660.
    dgram_mode: u32,
    /// Milliseconds an answer over datagrams may take to be sent. Default 2000.
    dgram_timeout: u32,
    /// Workers of the datagram socket. Taken; there is one.
    dgram_workers: u32,
    /// Address of the TCP socket. Refused: JSON-RPC over TCP is the server's `--admin` address.
    tcp_socket: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            transport: 0,
            pretty_format: true,
            fifo_name: None,
            fifo_mode: 0o660,
            fifo_reply_dir: "/tmp/".into(),
            dgram_socket: None,
            dgram_mode: 0o660,
            dgram_timeout: 2000,
            dgram_workers: 1,
            tcp_socket: None,
        }
    }
}

const OWNERS: [ModParam; 4] = [
    ModParam {
        name: "fifo_user",
        kind: ParamType::Any,
        doc: "User that owns the FIFO, by name or number. Default: the user the server runs as.",
    },
    ModParam {
        name: "fifo_group",
        kind: ParamType::Any,
        doc: "Group that owns the FIFO, by name or number.",
    },
    ModParam {
        name: "dgram_user",
        kind: ParamType::Any,
        doc: "User that owns the datagram socket, by name or number. Default: the user the server runs as.",
    },
    ModParam {
        name: "dgram_group",
        kind: ParamType::Any,
        doc: "Group that owns the datagram socket, by name or number.",
    },
];

const PARAMS: &[ModParam] = &joined::<{ Settings::PARAMS.len() + OWNERS.len() }>(Settings::PARAMS, &OWNERS);

/// A FIFO or datagram socket as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Path or address; `None`: the default one.
    pub name: Option<&'a str>,
    /// Access mode.
    pub mode: u32,
    /// Owner.
    pub owner: &'a Owner,
}

impl JsonRpcs {
    /// The FIFO, if there is to be one.
    pub fn fifo(&self) -> Option<Endpoint<'_>> {
        let s = &self.settings;
        self.has(OVER_FIFO).then_some(Endpoint {
            name: s.fifo_name.as_deref(),
            mode: s.fifo_mode,
            owner: &self.fifo,
        })
    }
    /// The datagram socket, if there is to be one.
    pub fn datagram(&self) -> Option<Endpoint<'_>> {
        let s = &self.settings;
        self.has(DATAGRAM).then_some(Endpoint {
            name: s.dgram_socket.as_deref(),
            mode: s.dgram_mode,
            owner: &self.datagram,
        })
    }
    /// Folder of the FIFOs that answers are written to.
    pub fn reply_folder(&self) -> &str {
        &self.settings.fifo_reply_dir
    }
    /// Milliseconds an answer over datagrams may take to be sent.
    pub fn datagram_timeout(&self) -> u32 {
        self.settings.dgram_timeout
    }
    /// An answer as `pretty_format` wants it, without a line break at the end.
    pub fn text(&self, answer: &Json) -> String {
        if self.settings.pretty_format { layout::pretty(answer) } else { layout::compact(answer) }
    }

    fn has(&self, way: i64) -> bool {
        self.settings.transport == 0 || self.settings.transport & way != 0
    }
}

/// What the last `exec` of this worker answered, for `$jsonrpl(..)`.
#[derive(Default)]
struct Reply {
    code: Option<i64>,
    text: String,
    body: String,
}

#[ksr_module("jsonrpcs")]
impl JsonRpcs {
    /// Executes a JSON-RPC 2.0 document. Returns 1, also when the command failed: `$jsonrpl(code)` is 200 or the error's code,
    /// `$jsonrpl(text)` OK or its text, `$jsonrpl(body)` the whole answer. Returns -1 when the text is no JSON.
    #[ksr(cfg = ["jsonrpc_exec"], blocking, no_message)]
    fn exec(&self, ctx: &mut RouteContext<'_>, cmd: &[u8]) -> Outcome {
        execute(ctx, cmd)
    }
    /// As `exec`; `response` is its answer.
    #[ksr(blocking, no_message)]
    fn execx(&self, ctx: &mut RouteContext<'_>, cmd: &[u8]) -> Outcome {
        execute(ctx, cmd)
    }
    /// The whole answer of the last `exec` or `execx` in this worker, null before the first.
    #[ksr(no_message)]
    fn response(&self, ctx: &mut RouteContext<'_>) -> Value<'static> {
        let slots = ctx.worker.slots.borrow();
        slots
            .peek::<Reply>()
            .filter(|r| r.code.is_some())
            .map_or(Value::Null, |r| Value::owned(r.body.clone()))
    }
    /// Answers the JSON-RPC document of an HTTP request in `event_route[xhttp:request]`. There is no such route here yet: returns -1;
    /// the server's `--admin` address answers HTTP.
    #[ksr(cfg = ["jsonrpc_dispatch"], routes(REQUEST))]
    fn dispatch(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        tracing::error!(target: "jsonrpcs", "dispatch: there is no HTTP request; start the server with --admin for JSON-RPC over HTTP");
        Outcome::FALSE
    }
}

fn execute(ctx: &mut RouteContext<'_>, text: &[u8]) -> Outcome {
    let mut document: Json = match serde_json::from_slice(text) {
        Ok(d) => d,
        Err(error) => {
            tracing::error!(target: "jsonrpcs", %error, "exec: this is no JSON");
            return Outcome::FALSE;
        }
    };
    // A script waits for the answer: a document without id has one too.
    let unasked = document.as_object_mut().is_some_and(|o| match o.contains_key("id") {
        true => false,
        false => o.insert("id".into(), Json::Null).is_none(),
    });
    let answered = rpc::by_script(|| rpc::answer_value(ctx.core, ctx.now, &document));
    let mut answer = answered.unwrap_or(Json::Null);
    if let Some(members) = answer.as_object_mut().filter(|_| unasked) {
        members.remove("id");
    }
    let (code, text) = match answer.get("error") {
        Some(e) => (e.get("code").and_then(Json::as_i64), e.get("message").and_then(Json::as_str)),
        None => (Some(200), Some("OK")),
    };
    let reply = Reply {
        code: Some(code.unwrap_or(500)),
        text: text.unwrap_or_default().to_owned(),
        body: layout::compact(&answer),
    };
    *ctx.worker.slots.borrow_mut().slot::<Reply>() = reply;
    Outcome::TRUE
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[PseudoVariable {
    module: "jsonrpcs",
    name: "jsonrpl",
    doc: "The answer to the worker's last `jsonrpcs.exec`: `code` 200 or that of the error, `text` OK or that of the error, `body` the whole \
          document; null before the first.",
    inner: Inner::Keyword(&["code", "text", "body"]),
    get: |ctx, pv| {
        let slots = ctx.worker.slots.borrow();
        let Some((reply, code)) = slots.peek::<Reply>().and_then(|r| Some((r, r.code?))) else {
            return Value::Null;
        };
        match pv.inner_text(ctx).as_ref() {
            b"code" => Value::Int(code),
            b"text" => Value::owned(reply.text.clone()),
            _ => Value::owned(reply.body.clone()),
        }
    },
    set: None,
}];

impl Module for JsonRpcs {
    fn name(&self) -> &'static str {
        "jsonrpcs"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        let whose = match name {
            "fifo_user" => &mut self.fifo.user,
            "fifo_group" => &mut self.fifo.group,
            "dgram_user" => &mut self.datagram.user,
            "dgram_group" => &mut self.datagram.group,
            _ => return self.settings.set(name, value),
        };
        *whose = Some(match value {
            ParamValue::Int(i) => i.to_string(),
            ParamValue::Str(s) => s,
        });
        Ok(())
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        let s = &self.settings;
        if !(0..=(HTTP | OVER_FIFO | DATAGRAM | 8)).contains(&s.transport) {
            return Err(SetupError(format!("parameter transport: {} is not 0 to 15", s.transport)));
        }
        if s.tcp_socket.is_some() {
            return Err(SetupError(
                "parameter tcp_socket: there is no JSON-RPC over plain TCP here; start the server with --admin ADDRESS for HTTP".into(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kex::Kex;
    use script::testing::Bench;
    use std::sync::Arc;

    #[test]
    fn a_script_executes_commands() {
        let bench = Bench::new(vec![Arc::new(JsonRpcs::default()), Arc::new(Kex::default())]);
        let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        assert_eq!(bench.pv(&ctx, "$jsonrpl(code)"), Value::Null);
        let mut exec = |text: &str| {
            let done = bench.call(&mut ctx, "jsonrpcs.exec", &[Value::str(text.as_bytes())]);
            (done, bench.format(&ctx, "$jsonrpl(code) $jsonrpl(text) $jsonrpl(body)"))
        };
        let one = Value::Int(1);
        let (done, text) = exec(r#"{"jsonrpc":"2.0","method":"nope","id":1}"#);
        assert!(done == one && text.starts_with("500 Method Not Found {"), "{text}");
        assert!(text.contains(r#""code":500"#) && text.contains(r#""id":1"#), "{text}");
        assert_eq!(exec("junk").0, Value::Int(-1));
        let (done, text) = exec(r#"{"jsonrpc":"2.0","method":"pkg.info"}"#);
        assert!(done == one && text.starts_with("500 ") && !text.contains("\"id\""), "{text}");
        assert_eq!(bench.call(&mut ctx, "jsonrpcs.dispatch", &[]), Value::Int(-1));
    }
    #[test]
    fn ways_in() {
        let mut m = JsonRpcs::default();
        assert!(m.fifo().is_some() && m.datagram().is_some());
        m.set_param("transport", ParamValue::Int(2)).unwrap();
        m.set_param("fifo_user", ParamValue::Int(5)).unwrap();
        assert!(m.datagram().is_none());
        assert_eq!(m.fifo().and_then(|f| f.owner.user.clone()).as_deref(), Some("5"));
    }
}
