//! `server` → a target of a route, and how to connect to it (configuration.txt, section 5.2).

use super::lines::duration;
use super::server::{Choice, Server};
use super::{health, limits, server_tls};
use crate::import::draft::{Draft, RouteId, Target, Toml};
use crate::import::message::{At, ON_LOOPBACK};
use crate::import::shell::time;

/// The target for a server; `listen` are the route's addresses, whose port it may use. An error is noted.
pub(super) fn target(server: &Server, id: RouteId, listen: &[String], draft: &mut Draft) -> Option<Target> {
    let address = match server.dialled(listen) {
        Ok(address) => address,
        Err(why) => {
            draft.lost(Some(id), server.at(), why);
            return None;
        }
    };
    let weight = server.value("weight").and_then(|weight| weight.parse().ok());
    if let Some(disabled) = server.choice("disabled") {
        draft.differs(&disabled.at, "the target takes no new connections, as if it were draining");
    }
    Some(Target {
        address,
        weight: weight.filter(|weight| *weight > 0),
        backup: server.choice("backup").is_some(),
        drain: weight == Some(0) || server.choice("disabled").is_some(),
        max_connections: limits::most(server),
        at: Some(server.at().clone()),
    })
}

/// Sets a route's keys from the server's options.
pub(super) fn apply(server: &Server, id: RouteId, draft: &mut Draft) {
    for choice in &server.choices {
        option(id, choice, draft);
    }
    if server.choice("ssl").is_some() {
        server_tls::apply(id, server, draft);
    } else {
        server_tls::note_unused(id, server, draft);
    }
}

fn option(id: RouteId, choice: &Choice, draft: &mut Draft) {
    let Choice { name, value, at } = choice;
    let text = || Toml::text(value.as_deref().unwrap_or_default());
    match (name.as_str(), value.as_deref().and_then(duration)) {
        ("weight", _) if value.as_deref().is_none_or(|weight| weight.parse::<u64>().is_err()) => {
            draft.lost(Some(id), at, "this is not a number");
        }
        ("weight" | "backup" | "disabled", _) => {}
        (name, _) if health::is_of_it(name) || server_tls::is_of_it(name) => {}
        ("tcp-ut", Some(span)) => draft.set(id, at, "user_timeout", time(span)),
        ("send-proxy", _) => draft.set(id, at, "send_proxy", Toml::text("v1")),
        ("send-proxy-v2", _) => draft.set(id, at, "send_proxy", Toml::text("v2")),
        ("send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn", _) => {
            draft.set(id, at, "send_proxy", Toml::text("v2"));
            draft.differs(at, "the header contains no TLS information");
        }
        ("proxy-v2-options", _) if value.as_deref() == Some("crc32c") => {
            draft.set(id, at, "send_proxy", Toml::text("v2_crc32c"));
        }
        ("source", _) => source(id, value.as_deref().unwrap_or_default(), at, draft),
        ("usesrc", _) => {
            draft.lost(Some(id), at, "Loopgate does not connect from the client's address; write send_proxy, or source with an address of this machine");
        }
        ("interface", _) => draft.set(id, at, "interface", text()),
        ("cc", _) => draft.lost(Some(id), at, ON_LOOPBACK),
        (name, _) if name.starts_with("no-") => {
            draft.idle(at, "it disables something Loopgate does not have")
        }
        (
            "enabled" | "id" | "init-addr" | "resolve-prefer" | "stick" | "non-stick" | "max-reuse"
            | "pool-max-conn" | "proto" | "tfo" | "cookie" | "redir",
            _,
        ) => draft.idle(at, "it configures the HAProxy process"),
        ("resolvers" | "resolve-net" | "resolve-opts", _) => {
            draft.differs(at, "Loopgate resolves the name for every connection, as this machine does");
        }
        // `limits.rs` handles these.
        ("maxconn" | "minconn" | "maxqueue", _) => {}
        ("observe", _) => draft.idle(at, "connections of clients always count"),
        ("namespace", _) => {
            draft.lost(Some(id), at, "Loopgate connects from its own network namespace; start it there");
        }
        _ => draft.lost(Some(id), at, "this option has no counterpart"),
    }
}

/// Converts `source 10.0.0.1[:port[-port]]`.
pub(super) fn source(id: RouteId, value: &str, at: &At, draft: &mut Draft) {
    // A port or a range of ports follows an IPv4 address, or a closing bracket.
    let host = match value.rsplit_once(':') {
        Some((host, ports)) if !host.contains(':') || host.ends_with(']') => {
            if !matches!(ports, "" | "0") {
                draft.differs(at, "the kernel chooses the source port");
            }
            host
        }
        _ => value,
    };
    match host.trim_matches(['[', ']']) {
        "0.0.0.0" | "::" | "*" | "" => draft.idle(at, "the kernel chooses the address in any case"),
        host => draft.set(id, at, "source", Toml::text(host)),
    }
}
