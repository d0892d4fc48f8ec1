//! JSON-RPC 2.0 documents to the commands of the loaded modules and back, whatever brought them here.

use std::cell::Cell;

use serde_json::{Value as Json, json};
use transaction::Now;

use super::RpcError;
use crate::Core;

/// Text of the fault for a command that is not there.
pub const NO_METHOD: &str = "Method Not Found";

/// Documents in one batch; the rest of a longer one is not answered.
const BATCH_MAX: usize = 1000;

thread_local! {
    static BY_SCRIPT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which calls commands for a script, on the script's own thread.
pub fn by_script<R>(f: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            BY_SCRIPT.set(self.0);
        }
    }
    let _before = Before(BY_SCRIPT.replace(true));
    f()
}

/// Whether a script called this command: its thread may be a worker's, and a command that waits for workers would wait for itself.
pub fn is_by_script() -> bool {
    BY_SCRIPT.get()
}

/// Answers one JSON-RPC 2.0 document, a batch too; `None` for a notification.
pub fn answer(core: &Core, now: Now, text: &str) -> Option<Json> {
    match serde_json::from_str::<Json>(text) {
        Ok(request) => answer_value(core, now, &request),
        Err(e) => Some(fault(Json::Null, &RpcError::new(-32700, format!("Parse error: {e}")))),
    }
}

/// The same for a document that was read already.
pub fn answer_value(core: &Core, now: Now, request: &Json) -> Option<Json> {
    if let Json::Array(batch) = request {
        if batch.is_empty() {
            return Some(fault(Json::Null, &RpcError::new(-32600, "Invalid Request: empty batch")));
        }
        let documents = batch.iter().take(BATCH_MAX);
        let answers: Vec<Json> = documents.filter_map(|r| answer_one(core, now, r)).collect();
        return (!answers.is_empty()).then_some(Json::Array(answers));
    }
    answer_one(core, now, request)
}

fn answer_one(core: &Core, now: Now, request: &Json) -> Option<Json> {
    let id = request.get("id").cloned();
    let result = from_document(core, now, request);
    let id = match (id, &result) {
        (Some(id), _) => id,
        (None, Err(e)) if e.code == -32600 => Json::Null,
        (None, _) => return None,
    };
    Some(match result {
        Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
        Err(e) => fault(id, &e),
    })
}

fn fault(id: Json, e: &RpcError) -> Json {
    json!({"jsonrpc": "2.0", "error": {"code": e.code, "message": e.message}, "id": id})
}

fn from_document(core: &Core, now: Now, request: &Json) -> Result<Json, RpcError> {
    let name = request
        .get("method")
        .and_then(Json::as_str)
        .ok_or_else(|| RpcError::new(-32600, "Invalid Request: no method"))?;
    let none = Vec::new();
    let params = match request.get("params") {
        None | Some(Json::Null) => &none,
        Some(Json::Array(p)) => p,
        // Kamailio takes the members of an object in their order.
        Some(Json::Object(o)) => &o.values().cloned().collect(),
        Some(_) => return Err(RpcError::new(400, "Invalid Parameters: an array is expected")),
    };
    call(core, now, name, params)
}

/// Calls a command by name. A command that panics is answered with 500 and harms nothing else.
pub fn call(core: &Core, now: Now, name: &str, params: &[Json]) -> Result<Json, RpcError> {
    let row = core.registry.rpc().find(|(_, r)| r.name == name);
    let (module, row) = row.ok_or_else(|| RpcError::new(500, NO_METHOD))?;
    let called = std::panic::AssertUnwindSafe(|| (row.call)(module.as_ref(), core, now, params));
    std::panic::catch_unwind(called).unwrap_or_else(|_| Err(RpcError::new(500, "Internal Server Error")))
}
