//! What a service has at both ends.

use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::link::service_name;
use crate::import::message::At;
use crate::import::value::{Fields, Node};

/// Each service of an end, with its name.
pub(super) fn services(fields: &mut Fields, end: &str, draft: &mut Draft) -> Vec<(String, Fields)> {
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
pub(super) fn open(name: &str, end: &str, fields: &mut Fields, draft: &mut Draft) -> RouteId {
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
pub(super) fn rest_of_service(id: RouteId, mut fields: Fields, draft: &mut Draft) {
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
pub(super) fn token(fields: &mut Fields, key: &str, draft: &mut Draft) {
    if let Some(node) = fields.node(key) {
        let why = "each machine has a key of its own in place of a token: loopgate tunnel key makes it";
        draft.differs(&At::new(node.line, key), why);
    }
}

/// Notes the keys that are left.
pub(super) fn unknown(fields: Fields, id: Option<RouteId>, draft: &mut Draft) {
    for (_, at) in fields.rest() {
        draft.lost(id, &at, "rathole has no such key in this place");
    }
}
