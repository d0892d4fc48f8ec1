//! The battery on every backend.

mod common;

use store::battery;
use store::{Database, open, open_or_create};
use trunkline_store as store;

fn battery(db: &dyn Database) {
    battery::create(db);
    battery::run(db);
    assert!(db.capabilities().durable);
}

#[test]
fn sqlite() {
    let folder = common::Folder::new();
    battery(&*open_or_create(&folder.sqlite()).expect("opens"));
    // Another connection sees the same.
    battery(&*open(&folder.sqlite()).expect("opens"));
}

#[test]
fn mysql() {
    let Some(url) = common::server("mysql", "battery") else { return };
    battery(&*open(&url).expect("opens"));
}

#[test]
fn postgres() {
    let Some(url) = common::server("postgres", "battery") else { return };
    battery(&*open(&url).expect("opens"));
}
