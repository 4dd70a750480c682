//! `bind` → where a route listens, and how (configuration.txt, section 5.1).

use super::bind::Bind;
use super::bind_tls;
use super::limits::queued;
use super::lines::duration;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::realm::accept_all;
use crate::import::shell::time;

/// Options that change who may connect, or what is said to whom: a route has the same for all its addresses.
const SAME: [&str; 9] =
    ["ssl", "crt", "crt-list", "ca-file", "verify", "alpn", "ssl-min-ver", "accept-proxy", "tcp-ut"];

/// Gives a route its addresses, and what their options say.
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
            let why = "the addresses differ in it, and a route does the same on all of them; write a route for each";
            return draft.leave_out(id, &other.at.with(name), why);
        }
    }
    for bind in binds {
        options(id, bind, binds.len() == 1 && bind.addresses.len() == 1, draft);
    }
    families(id, binds, draft);
}

/// HAProxy's `:::80` takes IPv4 as well, unless it is told not to or another listener has it.
fn families(id: RouteId, binds: &[Bind], draft: &mut Draft) {
    let mut of_six = binds.iter().filter(|bind| bind.is_every_six());
    let Some(first) = of_six.next() else { return };
    let only = |bind: &Bind| bind.has("v6only");
    for other in of_six.filter(|other| only(other) != only(first)) {
        let why = "v6only holds for all addresses of a route, and the first that is every IPv6 one says it";
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
        ("v4v6" | "v6only", _) => draft.idle(at, "it concerns a listener on [::] alone"),
        ("mode", Some(mode)) => draft.set(id, at, "socket_mode", Toml::text(format!("{mode:0>4}"))),
        ("user" | "uid", Some(_)) => draft.set(id, at, "socket_owner", text()),
        ("group" | "gid", Some(_)) => draft.set(id, at, "socket_group", text()),
        ("accept-proxy", _) => accept_all(id, at, draft),
        ("tcp-ut", Some(limit)) => match duration(limit) {
            Some(limit) => draft.set(id, at, "user_timeout", time(limit)),
            None => draft.lost(Some(id), at, "this is no time"),
        },
        ("maxconn", Some(count)) if is_only => match count.parse() {
            Ok(count) => queued(id, at, count, draft),
            Err(_) => draft.lost(Some(id), at, "this is no number"),
        },
        ("maxconn", _) => draft.lost(Some(id), at, "a route has one max_connections over all its addresses"),
        ("interface", _) => {
            let why = "a listener is bound to an address, not to an interface; write the interface's address in listen";
            draft.leave_out(id, at, format!("{why}; without it more clients could connect"));
        }
        ("namespace", _) => {
            let why = "a route listens in the network namespace Loopgate runs in; start it there";
            draft.leave_out(id, at, format!("{why}; without it other clients could connect"));
        }
        ("crt" | "ca-file" | "verify" | "alpn" | "strict-sni", _) => {
            draft.idle(at, "without the word ssl HAProxy speaks no TLS");
        }
        (
            "name" | "id" | "nice" | "process" | "thread" | "shards" | "backlog" | "tfo" | "level" | "mss"
            | "guid-prefix" | "severity-output" | "defer-accept" | "expose-fd",
            _,
        ) => draft.idle(at, "it concerns how HAProxy itself runs"),
        (name, _) if name.starts_with("no-") => draft.idle(at, "it switches off what there is not"),
        _ => draft.lost(Some(id), at, "this option has no counterpart"),
    }
}
