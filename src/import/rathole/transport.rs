//! `transport` of an end: how the two ends reach each other. Here that is always TLS 1.3 over TCP, with a key for each
//! machine.

use crate::import::draft::Draft;
use crate::import::link::LinkId;
use crate::import::linked::proxied;
use crate::import::message::At;
use crate::import::value::Fields;

use super::service::unknown;

const KEYS: &str = "a tunnel is always TLS 1.3, and each end knows the key of the other";
const ITS_OWN: &str = "a tunnel probes its connections by itself";

/// `link` is the tunnel of an end that connects.
pub(super) fn read(link: Option<LinkId>, end: &str, fields: &mut Fields, draft: &mut Draft) {
    let Some(node) = fields.node("transport") else { return };
    let Some(mut fields) = Fields::of(node, &format!("{end}.transport"), draft) else { return };
    if let Some(kind) = fields.text("type", draft) {
        match kind.value.as_str() {
            "tcp" | "tls" | "noise" => draft.idle(&kind.at, KEYS),
            "websocket" => draft.lost(
                None,
                &kind.at,
                "there is no WebSocket: the other end must be reached at a TCP port, which may be 443 beside a web site",
            ),
            _ => draft.lost(None, &kind.at, "rathole has no such transport"),
        }
    }
    for table in ["tls", "noise", "websocket"] {
        let Some(node) = fields.node(table) else { continue };
        let Some(inner) = Fields::of(node, table, draft) else { continue };
        for (key, node) in inner.entries() {
            draft.idle(&At::new(node.line, format!("{table}.{key}")), KEYS);
        }
    }
    if let Some(tcp) = fields.node("tcp").and_then(|node| Fields::of(node, "tcp", draft)) {
        read_tcp(link, tcp, draft);
    }
    unknown(fields, None, draft);
}

fn read_tcp(link: Option<LinkId>, mut fields: Fields, draft: &mut Draft) {
    if let Some(nodelay) = fields.truth("nodelay", draft) {
        match nodelay.value {
            true => draft.idle(&nodelay.at, "Loopgate never holds a small packet back"),
            false => draft.lost(None, &nodelay.at, "Loopgate never holds a small packet back"),
        }
    }
    for key in ["keepalive_secs", "keepalive_interval"] {
        if let Some(taken) = fields.number(key, draft) {
            draft.idle(&taken.at, ITS_OWN);
        }
    }
    let Some(node) = fields.node("proxy") else { return unknown(fields, None, draft) };
    match (link, node.text()) {
        (Some(link), Some(url)) => proxied(link, "proxy", node.line, url, draft),
        (None, Some(_)) => draft.idle(&At::new(node.line, "proxy"), "this end does not connect"),
        (_, None) => draft.lost(None, &At::new(node.line, "proxy"), "this must be a string"),
    }
    unknown(fields, None, draft);
}
