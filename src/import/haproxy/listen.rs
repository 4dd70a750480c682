//! `bind` → a route's listen addresses and their options (configuration.txt, section 5.1).

use super::bind::Bind;
use super::bind_tls;
use super::limits::queued;
use super::lines::duration;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::ON_LOOPBACK;
use crate::import::realm::accept_all;
use crate::import::shell::time;

/// Options that change which clients may connect, or what a client is sent: a route has the same for all its addresses.
const SAME: [&str; 9] =
    ["ssl", "crt", "crt-list", "ca-file", "verify", "alpn", "ssl-min-ver", "accept-proxy", "tcp-ut"];

/// Sets a route's addresses and their options.
pub(super) fn apply(id: RouteId, binds: &[Bind], draft: &mut Draft) {
    for bind in binds {
        for address in &bind.addresses {
            match address {
                Ok(address) => draft.listen(id, address),
                Err((word, why)) => draft.lost(Some(id), &bind.at.with(word), why),
            }
        }
    }
    let Some((first, rest)) = binds.split_first() else { return };
    for name in SAME {
        let of = |bind: &Bind| (bind.has(name), bind.values(name));
        if let Some(other) = rest.iter().find(|other| of(other) != of(first)) {
            let why = "the addresses differ in this option, and a route treats all of them alike; write a route for each";
            return draft.leave_out(id, &other.at.with(name), why);
        }
    }
    for bind in binds {
        options(id, bind, binds.len() == 1 && bind.addresses.len() == 1, draft);
    }
    families(id, binds, draft);
}

/// HAProxy's `:::80` accepts IPv4 too, unless `v6only` is set or another listener has the IPv4 port.
fn families(id: RouteId, binds: &[Bind], draft: &mut Draft) {
    let mut of_six = binds.iter().filter(|bind| bind.is_every_six());
    let Some(first) = of_six.next() else { return };
    let only = |bind: &Bind| bind.has("v6only");
    for other in of_six.filter(|other| only(other) != only(first)) {
        let why = "v6only applies to all addresses of a route; the first [::] address decides";
        draft.lost(Some(id), &other.at, why);
    }
    let has_four = draft
        .route(id)
        .is_some_and(|route| route.listen.iter().any(|address| address.starts_with("0.0.0.0:")));
    if only(first) || !has_four {
        draft.set(id, &first.at, "v6only", Toml::Truth(only(first)));
    }
}

fn options(id: RouteId, bind: &Bind, is_only: bool, draft: &mut Draft) {
    for (name, value) in &bind.options {
        if !(bind.has("ssl") && bind_tls::is_of_it(name)) {
            option(id, bind, (name, value.as_deref()), is_only, draft);
        }
    }
    if bind.has("ssl") {
        bind_tls::apply(id, bind, draft);
    }
}

fn option(id: RouteId, bind: &Bind, (name, value): (&str, Option<&str>), is_only: bool, draft: &mut Draft) {
    let words = value.map_or(name.to_owned(), |value| format!("{name} {value}"));
    let at = &bind.at.with(words);
    let text = || Toml::text(value.unwrap_or_default());
    match (name, value) {
        ("v4v6" | "v6only", _) if bind.is_every_six() => {}
        ("v4v6" | "v6only", _) => draft.idle(at, "it applies to a listener on [::] only"),
        ("mode", Some(mode)) => draft.set(id, at, "socket_mode", Toml::text(format!("{mode:0>4}"))),
        ("user" | "uid", Some(_)) => draft.set(id, at, "socket_owner", text()),
        ("group" | "gid", Some(_)) => draft.set(id, at, "socket_group", text()),
        ("accept-proxy", _) => accept_all(id, at, draft),
        ("tcp-ut", Some(limit)) => match duration(limit) {
            Some(limit) => draft.set(id, at, "user_timeout", time(limit)),
            None => draft.lost(Some(id), at, "this is not a time"),
        },
        ("maxconn", Some(count)) if is_only => match count.parse() {
            Ok(count) => queued(id, at, count, draft),
            Err(_) => draft.lost(Some(id), at, "this is not a number"),
        },
        ("maxconn", _) => draft.lost(Some(id), at, "a route has one max_connections for all its addresses"),
        ("interface", _) => {
            let why = "a listener binds to an address, not to an interface; write the interface's address in listen";
            draft.leave_out(id, at, format!("{why}; without it more clients could connect"));
        }
        ("namespace", _) => {
            let why = "a route listens in Loopgate's own network namespace; start Loopgate there";
            draft.leave_out(id, at, format!("{why}; without it other clients could connect"));
        }
        ("crt" | "ca-file" | "verify" | "alpn" | "strict-sni", _) => {
            draft.idle(at, "without the word ssl HAProxy uses no TLS");
        }
        (
            "name" | "id" | "nice" | "process" | "thread" | "shards" | "backlog" | "tfo" | "level" | "mss"
            | "guid-prefix" | "severity-output" | "defer-accept" | "expose-fd",
            _,
        ) => draft.idle(at, "it configures the HAProxy process"),
        (name, _) if name.starts_with("no-") => {
            draft.idle(at, "it disables something Loopgate does not have")
        }
        ("cc", _) => draft.lost(Some(id), at, ON_LOOPBACK),
        _ => draft.lost(Some(id), at, "this option has no counterpart"),
    }
}
