//! Documentation from the rows: Python stubs, a page per module, what is covered of Kamailio's surface. Pure functions of the registry.

mod coverage;
mod pages;
mod stubs;

pub use coverage::{Tables, coverage};
pub use pages::{module_pages, transformations_page};
pub use stubs::stubs;

/// Said at the head of every page.
const MADE: &str = "Made by `make generate` from the declarations; do not edit.";

/// A doc comment as one table cell: its first paragraph on one line.
fn summary(doc: &str) -> String {
    let first = doc.split("\n\n").next().unwrap_or("");
    first.replace('|', "\\|").replace('\n', " ")
}
