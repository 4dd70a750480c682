//! `[[visitors]]`: a service of another machine → a route that listens here, and dials it by its name.

use super::known::Client;
use super::proxy::compression;
use super::rest::{self, Rule};
use crate::import::draft::{Draft, Target, Toml};
use crate::import::link::{CLIENT, service_name};
use crate::import::message::{At, Fate};
use crate::import::shell::bracketed;
use crate::import::value::{Fields, Value};

const DIRECT: &str = "everything goes by the server";

const OTHERS: &[Rule] = &[
    (
        "secretKey",
        Fate::Differs,
        "the server knows this machine by its key, and a route there lets it dial the service",
    ),
    ("serverUser", Fate::Differs, "the route on the server says which machine the service is on"),
    ("transport.useEncryption", Fate::NoEffect, "a tunnel is always encrypted"),
    ("keepTunnelOpen", Fate::NoEffect, DIRECT),
    ("maxRetriesAnHour", Fate::NoEffect, DIRECT),
    ("minRetryInterval", Fate::NoEffect, DIRECT),
    ("fallbackTo", Fate::NoEffect, DIRECT),
    ("fallbackTimeoutMs", Fate::NoEffect, DIRECT),
    ("protocol", Fate::NoEffect, DIRECT),
    ("natTraversal", Fate::NoEffect, DIRECT),
    ("plugin", Fate::NotCarried, "there are no plugins"),
];

pub(super) fn read(mut fields: Fields, client: &Client, draft: &mut Draft) {
    let whole = At::new(fields.line, "[[visitors]]");
    let name = fields.text("name", draft).map(|name| name.value).unwrap_or_default();
    if client.is_off(&name, &mut fields, &whole, draft) {
        return;
    }
    let id = draft.open(&service_name(&name), whole.clone());
    let host = fields.text("bindAddr", draft).map(|taken| taken.value).filter(|text| !text.is_empty());
    let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = fields.node("bindPort");
    if let Some(service) = fields.text("serverName", draft) {
        let service_there = service_name(&service.value);
        let address = format!("tunnel:{}/{service_there}", client.tunnel);
        draft.target(id, Target { address, at: Some(service.at), ..Target::default() });
        draft.then_for(
            id,
            format!(
                "On the server, add this machine's tunnel, as \"tunnel:{CLIENT}\", to listen of [routes.{service_there}], whose \
                 target is the machine that has the service."
            ),
        );
    }
    match port.map(|node| (At::new(node.line, format!("bindPort = {}", node.shown())), node.value)) {
        Some((_, Value::Number(port))) if port > 0 => {
            draft.listen(id, format!("{}:{port}", bracketed(&host)))
        }
        Some((at, _)) => draft.leave_out(id, &at, "nothing listens here for it: there is no port"),
        None => {}
    }
    if let Some(kind) = fields.text("type", draft) {
        match kind.value.as_str() {
            "stcp" => {}
            "xtcp" => {
                draft.differs(
                    &kind.at,
                    "everything goes by the server, none of it directly between the two machines",
                );
            }
            "sudp" => draft.set(id, &kind.at, "protocol", Toml::text("udp")),
            _ => draft.leave_out(id, &kind.at, "frp has no such type of visitor"),
        }
    }
    if let Some(mut transport) =
        fields.node("transport").and_then(|node| Fields::of(node, "transport", draft))
    {
        compression(Some(id), &mut transport, draft);
        rest::sweep_of(Some(id), "transport", transport, &[OTHERS], draft);
    }
    rest::sweep_of(Some(id), "", fields, &[OTHERS], draft);
}
