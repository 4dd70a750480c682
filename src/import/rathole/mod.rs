//! rathole's TOML (its readme, docs and src/config.rs at 5a9dd6d) → a tunnel, and a route for each service.
//!
//! A service has one name at both ends, and the server's file alone says where it listens. So the client offers each by
//! its name, and the server dials it by its name: the files of both ends are imported separately, and fit.

mod client;
mod server;
mod transport;

use super::draft::{Draft, RouteId, Toml};
use super::link::service_name;
use super::message::At;
use super::value::{self, Fields, Node, Value};

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

/// Each service of an end, with its name.
fn services(fields: &mut Fields, end: &str, draft: &mut Draft) -> Vec<(String, Fields)> {
    let Some(services) = fields.node("services").and_then(|node| Fields::of(node, "services", draft)) else {
        return Vec::new();
    };
    let one = |(name, node): (String, Node)| {
        let fields = Fields::of(node, &format!("{end}.services.{name}"), draft)?;
        Some((name, fields))
    };
    services.entries().into_iter().filter_map(one).collect()
}

/// Opens the route of a service, under the name that the other end dials.
fn open(name: &str, end: &str, fields: &mut Fields, draft: &mut Draft) -> RouteId {
    let whole = At::new(fields.line, format!("[{end}.services.{name}]"));
    let wanted = service_name(name);
    let id = draft.open(&wanted, whole.clone());
    let called = draft.route(id).map(|route| route.name.clone()).unwrap_or_default();
    if called != wanted {
        let why = format!(
            "the route is called {called}, since there is a {wanted}; call it so at the other end too"
        );
        draft.differs(&whole, why);
    }
    if let Some(kind) = fields.text("type", draft) {
        match kind.value.as_str() {
            "tcp" => {}
            "udp" => draft.set(id, &kind.at, "protocol", Toml::text("udp")),
            _ => draft.leave_out(id, &kind.at, "rathole has tcp and udp only"),
        }
    }
    id
}

/// Keys that each service has, at both ends.
fn rest_of_service(id: RouteId, mut fields: Fields, draft: &mut Draft) {
    token(&mut fields, "token", draft);
    if let Some(nodelay) = fields.truth("nodelay", draft) {
        match nodelay.value {
            true => draft.idle(&nodelay.at, "Loopgate never holds a small packet back"),
            false => draft.lost(Some(id), &nodelay.at, "Loopgate never holds a small packet back"),
        }
    }
    unknown(fields, Some(id), draft);
}

/// A token, which is never repeated.
fn token(fields: &mut Fields, key: &str, draft: &mut Draft) {
    if let Some(node) = fields.node(key) {
        let why = "each machine has a key of its own in place of a token: loopgate tunnel key makes it";
        draft.differs(&At::new(node.line, key), why);
    }
}

/// Notes the keys that are left.
fn unknown(fields: Fields, id: Option<RouteId>, draft: &mut Draft) {
    for (_, at) in fields.rest() {
        draft.lost(id, &at, "rathole has no such key in this place");
    }
}
