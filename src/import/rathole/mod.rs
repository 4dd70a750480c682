//! rathole's TOML (its readme, docs and src/config.rs at 5a9dd6d) → a tunnel, and a route for each service.
//!
//! A service has one name at both ends, and the server's file alone says where it listens. So the client offers each by
//! its name, and the server dials it by its name: the files of both ends are imported separately, and fit.

mod client;
mod server;
mod service;
mod transport;

use super::draft::Draft;
use super::value::{self, Fields, Node, Value};
use service::unknown;

/// Whether a tree is a file of rathole.
pub(super) fn is_of_it(entries: &[(String, Node)]) -> bool {
    let has = |node: &Node, wanted: [&str; 2]| match &node.value {
        Value::Table(inner) => wanted.iter().all(|key| inner.iter().any(|(name, _)| name == key)),
        _ => false,
    };
    entries.iter().any(|(key, node)| match key.as_str() {
        "client" => has(node, ["remote_addr", "services"]),
        "server" => has(node, ["bind_addr", "services"]),
        _ => false,
    })
}

/// Imports the file, which is that of a client, of a server, or of both.
///
/// # Errors
/// If it is not TOML.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), String> {
    let root = value::read(text)?;
    let Some(mut top) = Fields::of(root, "the file", draft) else { return Ok(()) };
    if let Some(fields) = top.node("server").and_then(|node| Fields::of(node, "server", draft)) {
        server::read(fields, draft);
    }
    if let Some(fields) = top.node("client").and_then(|node| Fields::of(node, "client", draft)) {
        client::read(fields, draft);
    }
    unknown(top, None, draft);
    Ok(())
}
