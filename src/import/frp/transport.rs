//! `transport` of an end: how the two ends reach each other. Here that is always TLS 1.3 over TCP.

use std::time::Duration;

use super::rest::{self, KEYS, OF_BOTH, OF_CLIENT, OF_SERVER};
use crate::import::draft::{Draft, Toml};
use crate::import::link::LinkId;
use crate::import::linked::proxied;
use crate::import::message::At;
use crate::import::shell::time;
use crate::import::value::{Fields, Value};

/// How many pings without an answer end a tunnel.
const PINGS: i64 = 3;

/// The range of `ping`, in seconds.
const LEAST_PING: i64 = 1;
const LONGEST_PING: i64 = 60;

/// The most connections that are kept ready.
const MOST_READY: u64 = 64;

pub(super) fn of_client(link: LinkId, top: &mut Fields, draft: &mut Draft) {
    let Some(node) = top.node("transport") else { return };
    let Some(mut fields) = Fields::of(node, "transport", draft) else { return };
    if let Some(protocol) = fields.text("protocol", draft) {
        let at = &protocol.at;
        match protocol.value.as_str() {
            "tcp" => draft.idle(at, KEYS),
            "kcp" | "quic" => {
                draft.differs(at, "a tunnel connects by TCP: let its port through the server's firewall for TCP");
            }
            "websocket" | "wss" => draft.lost_of_link(
                link,
                at,
                "there is no WebSocket: the server must be reached at a TCP port, which may be 443 beside a web site",
            ),
            _ => draft.lost_of_link(link, at, "frp has no such protocol"),
        }
    }
    if let Some(node) = fields.node("proxyURL") {
        match node.text() {
            Some(url) => proxied(link, "transport.proxyURL", node.line, url, draft),
            None => {
                draft.lost_of_link(link, &At::new(node.line, "transport.proxyURL"), "this must be a string")
            }
        }
    }
    if let Some(pool) = fields.number("poolCount", draft) {
        match pool.value {
            0 => draft.idle(&pool.at, "it is frp's default; Loopgate keeps two connections ready"),
            count => draft.set_link(link, &pool.at, "pool", Toml::Number(count.min(MOST_READY))),
        }
    }
    heartbeat(link, "heartbeatTimeout", PINGS, &mut fields, draft);
    heartbeat(link, "heartbeatInterval", 1, &mut fields, draft);
    rest::sweep("transport", fields, &[OF_BOTH, OF_CLIENT], draft);
}

pub(super) fn of_server(link: LinkId, top: &mut Fields, draft: &mut Draft) {
    let Some(node) = top.node("transport") else { return };
    let Some(mut fields) = Fields::of(node, "transport", draft) else { return };
    heartbeat(link, "heartbeatTimeout", PINGS, &mut fields, draft);
    rest::sweep("transport", fields, &[OF_BOTH, OF_SERVER], draft);
}

/// A time in seconds of which a ping is a part; a negative one switches heartbeats off.
fn heartbeat(link: LinkId, key: &str, parts: i64, fields: &mut Fields, draft: &mut Draft) {
    let Some(node) = fields.node(key) else { return };
    let at = At::new(node.line, format!("transport.{key} = {}", node.shown()));
    match node.value {
        Value::Number(seconds) if seconds > 0 => {
            let ping = (seconds / parts).clamp(LEAST_PING, LONGEST_PING);
            draft.set_link(link, &at, "ping", time(Duration::from_secs(ping.unsigned_abs())));
            let why = format!("ping is {ping}s, and {PINGS} pings without an answer end the tunnel");
            draft.differs(&at, why);
        }
        Value::Number(_) => {
            draft.lost_of_link(link, &at, "a tunnel is always asked whether it lives; ping is at most 60s");
        }
        _ => draft.lost_of_link(link, &at, "this must be a whole number"),
    }
}
