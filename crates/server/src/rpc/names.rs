//! `dns.*` and `dst_blocklist.*`: the cache of names and the list of destinations that do not answer. Of the first there are addresses given by the
//! operator (module `core`), of the second nothing.

use script::{RpcCommand, RpcError};
use serde_json::json;

fn no_cache() -> RpcError {
    RpcError::new(
        500,
        "There is no DNS cache here: names have the addresses given by dns.add_a and dns.add_aaaa",
    )
}

fn not_found() -> RpcError {
    RpcError::new(400, "Not found")
}

fn no_list() -> RpcError {
    RpcError::new(500, "dst blocklist support disabled")
}

pub(super) const ROWS: &[RpcCommand] = &[
    RpcCommand {
        name: "dns.debug",
        doc: "Records of the cache. The DNS is not asked: none.",
        call: |_, _, _, _| Ok(json!([])),
    },
    RpcCommand {
        name: "dns.debug_all",
        doc: "Records of the cache. The DNS is not asked: none.",
        call: |_, _, _, _| Ok(json!([])),
    },
    RpcCommand {
        name: "dns.mem_info",
        doc: "Bytes of the cache, used and at most. The DNS is not asked: 0 and 0.",
        call: |_, _, _, _| Ok(json!([0, 0])),
    },
    RpcCommand {
        name: "dns.stats_get",
        doc: "Numbers of the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(no_cache()),
    },
    RpcCommand {
        name: "dns.get_server_state",
        doc: "Whether DNS servers answer. Not watched here: an error.",
        call: |_, _, _, _| Err(no_cache()),
    },
    RpcCommand {
        name: "dns.set_server_state",
        doc: "Says whether DNS servers answer. Not watched here: an error.",
        call: |_, _, _, _| Err(no_cache()),
    },
    RpcCommand {
        name: "dns.add_srv",
        doc: "Adds an SRV record to the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(no_cache()),
    },
    RpcCommand {
        name: "dns.delete_cname",
        doc: "Removes a record from the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(not_found()),
    },
    RpcCommand {
        name: "dns.delete_ebl",
        doc: "Removes a record from the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(not_found()),
    },
    RpcCommand {
        name: "dns.delete_naptr",
        doc: "Removes a record from the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(not_found()),
    },
    RpcCommand {
        name: "dns.delete_ptr",
        doc: "Removes a record from the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(not_found()),
    },
    RpcCommand {
        name: "dns.delete_srv",
        doc: "Removes a record from the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(not_found()),
    },
    RpcCommand {
        name: "dns.delete_txt",
        doc: "Removes a record from the cache. The DNS is not asked: an error.",
        call: |_, _, _, _| Err(not_found()),
    },
    RpcCommand {
        name: "dst_blocklist.add",
        doc: "Destinations that are left alone. There is no such list: an error.",
        call: |_, _, _, _| Err(no_list()),
    },
    RpcCommand {
        name: "dst_blocklist.debug",
        doc: "Destinations that are left alone. There is no such list: an error.",
        call: |_, _, _, _| Err(no_list()),
    },
    RpcCommand {
        name: "dst_blocklist.delete_all",
        doc: "Destinations that are left alone. There is no such list: an error.",
        call: |_, _, _, _| Err(no_list()),
    },
    RpcCommand {
        name: "dst_blocklist.mem_info",
        doc: "Destinations that are left alone. There is no such list: an error.",
        call: |_, _, _, _| Err(no_list()),
    },
    RpcCommand {
        name: "dst_blocklist.stats_get",
        doc: "Destinations that are left alone. There is no such list: an error.",
        call: |_, _, _, _| Err(no_list()),
    },
    RpcCommand {
        name: "dst_blocklist.view",
        doc: "Destinations that are left alone. There is no such list: an error.",
        call: |_, _, _, _| Err(no_list()),
    },
];
