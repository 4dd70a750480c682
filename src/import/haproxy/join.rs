//! A `listen`, or a `frontend` with the backend it leads to → a route.

use std::time::Duration;

use super::access;
use super::bind::queued;
use super::names;
use super::proxy::Proxy;
use super::server::source;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::note::At;
use crate::import::words::time;

/// Makes a route of everything that listens.
pub(super) fn routes(proxies: &[Proxy], draft: &mut Draft) {
    let mut led_to = Vec::new();
    for front in proxies.iter().filter(|proxy| proxy.is_front()) {
        if !front.is_tcp() {
            let why =
                "it speaks HTTP; its bytes could be carried by a route, without anything it does to requests";
            draft.lost(
                None,
                &front.place(),
                format!("mode {}: {why}", front.mode.as_deref().unwrap_or_default()),
            );
            led_to.extend(front.default_backend.iter().map(|(name, _)| name.as_str()));
            continue;
        }
        if let Some(at) = &front.disabled {
            draft.lost(None, at, format!("{} {} is switched off, and left out", front.kind, front.name));
            continue;
        }
        led_to.extend(route(front, proxies, draft));
    }
    for back in proxies.iter().filter(|proxy| !proxy.is_front() && !led_to.contains(&proxy.name.as_str())) {
        draft.lost(None, &back.place(), "no frontend that is carried over leads here");
    }
}

/// One route; the names of the backends it leads to.
fn route<'p>(front: &'p Proxy, proxies: &'p [Proxy], draft: &mut Draft) -> Vec<&'p str> {
    let id = draft.open(&front.name, front.place());
    for bind in &front.binds {
        bind.apply(id, front.binds.len() == 1 && bind.addresses.len() == 1, draft);
    }
    let (mut all, used) = names::apply(id, front, proxies, draft);
    all.extend(front.default_backend.iter().map(|(name, _)| name.as_str()));
    let back = match &front.default_backend {
        None => front,
        Some((name, at)) => {
            match proxies.iter().find(|proxy| proxy.kind != "frontend" && &proxy.name == name) {
                Some(back) if back.is_tcp() => back,
                Some(_) => {
                    draft.leave_out(id, at, "the backend speaks HTTP");
                    return all;
                }
                None => {
                    draft.leave_out(id, at, "there is no such backend");
                    return all;
                }
            }
        }
    };
    if !std::ptr::eq(front, back) {
        unused(id, front, back, draft);
    }
    targets(id, back, draft);
    limits(id, front, draft);
    timeouts(id, front, back, draft);
    checks(id, back, draft);
    dialling(id, back, draft);
    access::apply(id, front, used, draft);
    if let Some(at) = front.keepalive.as_ref().or(back.keepalive.as_ref()) {
        draft.idle(at, "keepalive is on unless keepalive says otherwise");
    }
    all
}

/// What would stand in the other of the two sections.
fn unused(id: RouteId, front: &Proxy, back: &Proxy, draft: &mut Draft) {
    for server in &front.servers {
        draft.lost(Some(id), server.at(), "default_backend goes before it");
    }
    for line in back.rules.iter().chain(&back.contents) {
        draft.lost(Some(id), &line.at, "a rule of a backend has no counterpart");
    }
    for line in &back.acls {
        draft.idle(&line.at, "no rule that is carried over uses it");
    }
}

fn targets(id: RouteId, back: &Proxy, draft: &mut Draft) {
    let listen = draft.route(id).map(|route| route.listen.clone()).unwrap_or_default();
    for server in &back.servers {
        server.apply(id, &listen, draft);
    }
    same_for_all(id, back, draft);
    let count = draft.route(id).map_or(0, |route| route.targets.len());
    let place = back.place();
    let (algorithm, at) = back.balance.as_ref().map_or(("roundrobin", &place), |(word, at)| (word, at));
    if count < 2 {
        if let Some((_, at)) = &back.balance {
            draft.idle(at, "there is one target");
        }
        return;
    }
    let rule = match algorithm.split('(').next().unwrap_or(algorithm) {
        "roundrobin" | "static-rr" => "round_robin",
        "leastconn" => "least_connections",
        "random" => "random",
        "source" => "source_hash",
        "first" => {
            draft.differs(at, "the first that answers takes every connection, however many it has");
            "first"
        }
        _ => {
            return draft.lost(Some(id), at, "it chooses by what HTTP says; round_robin stands in its place");
        }
    };
    if draft.knows("balance") {
        draft.set(id, at, "balance", Toml::text(rule));
    }
}

/// A route does the same to all its targets: what only some servers say, or say otherwise, has no place in it.
fn same_for_all(id: RouteId, back: &Proxy, draft: &mut Draft) {
    const SAME: [&str; 13] = [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2-ssl",
        "ssl",
        "verify",
        "ca-file",
        "sni",
        "verifyhost",
        "crt",
        "alpn",
        "source",
        "interface",
        "tcp-ut",
    ];
    let Some((first, rest)) = back.servers.split_first() else { return };
    for name in SAME {
        if let Some(other) = rest.iter().find(|other| other.says(name) != first.says(name)) {
            let why = "the servers differ in it, and a route does the same to all its targets; write a route for each";
            return draft.leave_out(id, &other.at().with(name), why);
        }
    }
}

fn limits(id: RouteId, front: &Proxy, draft: &mut Draft) {
    if let Some((count, at)) = &front.maxconn {
        queued(id, at, *count, draft);
    }
    if let Some((rate, at)) = &front.rate {
        draft.set(id, at, "connection_rate", Toml::text(format!("{rate}/s")));
        draft.differs(at, "clients beyond it are refused, where HAProxy lets them wait");
    }
}

fn timeouts(id: RouteId, front: &Proxy, back: &Proxy, draft: &mut Draft) {
    if let Some((limit, at)) = back.timeouts.get("connect") {
        draft.set(id, at, "connect_timeout", time(*limit));
    }
    if let Some((limit, at)) = back.timeouts.get("check") {
        draft.set(id, at, "health.timeout", time(*limit));
    }
    if let Some((limit, at)) = back.timeouts.get("queue") {
        match draft.route(id).is_some_and(|route| route.settings.iter().any(|it| it.key == "when_full")) {
            true => draft.set(id, at, "queue_timeout", time(*limit)),
            false => draft.idle(at, format!("in {} nothing waits in a queue", front.name)),
        }
    }
    idle(id, front, back, draft);
    for (name, (_, at)) in front.timeouts.iter().chain(&back.timeouts) {
        match name.as_str() {
            "connect" | "check" | "queue" | "client" | "server" | "tunnel" => {}
            "client-fin" | "server-fin" => {
                draft.lost(
                    Some(id),
                    at,
                    "a half-closed connection stays open; idle_timeout ends it where nothing moves",
                );
            }
            "http-request" | "http-keep-alive" | "tarpit" => draft.idle(at, "it concerns HTTP"),
            _ => draft.lost(Some(id), at, "this timeout has no counterpart"),
        }
    }
}

/// Two silences of HAProxy, of the client and of the server, are one here: nothing either way. `tunnel` goes before both.
fn idle(id: RouteId, front: &Proxy, back: &Proxy, draft: &mut Draft) {
    let tunnel = back.timeouts.get("tunnel").or_else(|| front.timeouts.get("tunnel"));
    let (client, server) = (front.timeouts.get("client"), back.timeouts.get("server"));
    let both: Vec<&(Duration, At)> = [client, server].into_iter().flatten().collect();
    if let Some((limit, at)) = tunnel {
        draft.set(id, at, "idle_timeout", time(*limit));
        for (_, at) in both {
            draft.idle(at, format!("in {} timeout tunnel goes before it", front.name));
        }
        return;
    }
    let Some((limit, at)) = both.iter().min_by_key(|(limit, _)| *limit) else { return };
    draft.set(id, at, "idle_timeout", time(*limit));
    for (_, at) in both.iter().filter(|(other, _)| other != limit) {
        let why = format!("in {} the shorter of client and server ends what is silent both ways", front.name);
        draft.differs(at, why);
    }
}

/// `tcp-check`: to connect is enough here, or one text is sent and one expected.
fn checks(id: RouteId, back: &Proxy, draft: &mut Draft) {
    for line in &back.checks {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        match words[..] {
            ["option", ..] | ["tcp-check", "connect"] => draft.idle(&line.at, "a check connects"),
            ["tcp-check", "send", text] => {
                draft.set(id, &line.at, "health.send", Toml::text(unescaped(text)))
            }
            ["tcp-check", "expect", "string", text] => {
                draft.set(id, &line.at, "health.expect", Toml::text(unescaped(text)));
            }
            _ => draft.lost(
                Some(id),
                &line.at,
                "a check sends one text and expects one; write health.send and health.expect",
            ),
        }
    }
}

/// `PING\r\n`
fn unescaped(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n")
}

fn dialling(id: RouteId, back: &Proxy, draft: &mut Draft) {
    let mut words = back.source.iter();
    if let Some((address, at)) = words.next() {
        source(id, address, at, draft);
    }
    while let Some((word, at)) = words.next() {
        match (word.as_str(), words.next()) {
            ("interface", Some((name, at))) => draft.set(id, at, "interface", Toml::text(name)),
            (word, _) => draft.lost(Some(id), &at.with(word), "it has no counterpart"),
        }
    }
}
