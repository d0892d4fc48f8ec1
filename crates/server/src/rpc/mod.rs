//! The server's own RPC commands, shaped as Kamailio's JSON-RPC prints them.

mod core;
mod kemi;
mod memory;
mod names;
mod stats;
mod tm;
mod uac;

pub use memory::register as register_memory;

use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use script::{LocalEnd, Module, RpcCommand, RpcError, ScriptEngine, Services};
use serde_json::Value as Json;
use transaction::Now;

use crate::reload::Reloader;
use crate::worker::Shared;

/// The rows of all files of this folder.
static COMMANDS: LazyLock<Vec<RpcCommand>> = LazyLock::new(|| {
    [core::ROWS, kemi::ROWS, memory::ROWS, names::ROWS, stats::ROWS, tm::ROWS, uac::ROWS].concat()
});

/// The module behind the server's own commands. Its state is what start-up makes after the modules.
#[derive(Default)]
pub struct ServerModule {
    running: OnceLock<Running>,
    waiting: uac::Waiting,
}

/// What the commands tell about.
pub struct Running {
    /// The engine that routes.
    pub engine: Arc<dyn ScriptEngine>,
    /// What workers share: the transactions and the sockets.
    pub shared: Arc<Shared>,
    /// Loads its script anew.
    pub reloader: Arc<Reloader>,
    /// Threads that have started so far.
    pub threads: ThreadRows,
}

/// Threads: name as `core.psx` shows it, kernel thread id.
pub type ThreadRows = Arc<Mutex<Vec<(String, i32)>>>;

impl ServerModule {
    /// Makes the running server known to the commands.
    pub fn started(&self, running: Running) {
        let _ = self.running.set(running);
    }
}

impl Module for ServerModule {
    fn name(&self) -> &'static str {
        "server"
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        &COMMANDS
    }
    fn local_reply(&self, _: &Services<'_>, _: Now, end: LocalEnd) {
        self.waiting.tell(end);
    }
}

fn own(module: &dyn Module) -> Result<&ServerModule, RpcError> {
    (module as &dyn std::any::Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn running(module: &dyn Module) -> Result<&Running, RpcError> {
    own(module)?.running.get().ok_or_else(|| RpcError::new(500, "Server is starting"))
}

fn threads(module: &dyn Module) -> Result<Vec<(String, i32)>, RpcError> {
    Ok(running(module)?.threads.lock().unwrap_or_else(|e| e.into_inner()).clone())
}

/// A number, also as text.
fn integer(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// `trunkline 0.1.0 (x86_64/linux)`
pub fn version() -> String {
    format!("trunkline {} ({}/{})", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS)
}

/// The commit this was built from, where the build knew.
pub fn build_id() -> &'static str {
    option_env!("TRUNKLINE_BUILD_ID").unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ctime;
    use script::{Core, CoreConfig, Registry};
    use serde_json::json;

    fn core() -> Core {
        let core = Core {
            config: CoreConfig { started: 1_795_344_230, ..CoreConfig::default() },
            listeners: Vec::new(),
            registry: Registry::new(vec![Arc::new(ServerModule::default())]),
            statistics: Default::default(),
            callbacks: Default::default(),
            names: Default::default(),
            exchange: Default::default(),
        };
        core.statistics.register("core", "rcv_requests", "Requests received.").add(7);
        core.statistics.register("tmx", "2xx_transactions", "x").add(1);
        core
    }

    fn ask(text: &str) -> Json {
        let now = Now { unix_micros: 1_795_344_232_000_000, ..Now::default() };
        script::rpc::answer(&core(), now, text).unwrap_or(Json::Null)
    }

    fn result(method: &str, params: Json) -> Json {
        ask(&json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string())["result"]
            .clone()
    }

    #[test]
    fn answers_are_shaped_as_kamailios() {
        assert_eq!(
            ask(r#"{"jsonrpc":"2.0","method":"core.uptime","id":1}"#),
            json!({"jsonrpc": "2.0", "id": 1, "result": {
                "now": ctime(1_795_344_232), "up_since": ctime(1_795_344_230), "uptime": 2}})
        );
        assert_eq!(result("core.echo", json!(["a", 1])), json!(["a", 1]));
        assert_eq!(result("stats.get_statistics", json!(["rcv_requests"])), json!(["core:rcv_requests = 7"]));
        assert_eq!(result("stats.fetch", json!(["core:"])), json!({"core.rcv_requests": "7"}));
        assert_eq!(result("stats.fetchn", json!(["core.rcv_requests"])), json!({"core.rcv_requests": 7}));
        assert_eq!(result("stats.get_statistics", json!(["all"])).as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn faults_have_codes() {
        let code = |text: &str| ask(text)["error"]["code"].as_i64();
        assert_eq!(code(r#"{"jsonrpc":"2.0","method":"nope","id":1}"#), Some(500));
        assert_eq!(code(r#"{"jsonrpc":"2.0","method":"stats.fetch","id":1}"#), Some(400));
        assert_eq!(code("{"), Some(-32700));
        assert_eq!(code("{}"), Some(-32600));
        assert_eq!(
            ask(r#"{"jsonrpc":"2.0","method":"core.echo"}"#),
            Json::Null,
            "a notification has no answer"
        );
    }

    #[test]
    fn commands_are_listed_and_explained() {
        let listed = result("system.listMethods", json!([]));
        for name in ["core.uptime", "core.psx", "stats.get_statistics", "kemi.callbacks"] {
            assert!(listed.as_array().is_some_and(|l| l.contains(&json!(name))), "{name}");
            assert!(result("system.methodHelp", json!([name])).is_string());
        }
    }
}
