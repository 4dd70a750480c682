//! A `listen`, or a `frontend` with its backend → a route.

use std::collections::HashSet;
use std::time::Duration;

use super::proxy::Proxy;
use super::server::Server;
use super::target::source;
use super::{access, health, limits, listen, names, per_server, target};
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::shell::time;

/// Converts every section that listens to a route.
pub(super) fn routes(proxies: &[Proxy], draft: &mut Draft) {
    let mut led_to = HashSet::new();
    for front in proxies.iter().filter(|proxy| proxy.is_front()) {
        if !front.is_tcp() {
            let why = "a route could forward its bytes, but none of its HTTP processing";
            draft.lost(
                None,
                &front.place(),
                format!("mode {}: {why}", front.mode.as_deref().unwrap_or_default()),
            );
            led_to.extend(front.default_backend.iter().map(|(name, _)| name.as_str()));
            continue;
        }
        if let Some(at) = &front.disabled {
            draft.lost(None, at, format!("{} {} is disabled, and left out", front.kind, front.name));
            continue;
        }
        led_to.extend(route(front, proxies, draft));
    }
    for back in proxies.iter().filter(|proxy| !proxy.is_front() && !led_to.contains(proxy.name.as_str())) {
        draft.lost(None, &back.place(), "no frontend that is carried over uses it");
    }
}

/// Converts one section; returns the names of its backends.
fn route<'p>(front: &'p Proxy, proxies: &'p [Proxy], draft: &mut Draft) -> Vec<&'p str> {
    let id = draft.open(&front.name, front.place());
    listen::apply(id, &front.binds, draft);
    let named = names::apply(id, front, proxies, draft);
    let mut all: Vec<&str> = named.backs.iter().map(|back| back.name.as_str()).collect();
    all.extend(front.default_backend.iter().map(|(name, _)| name.as_str()));
    let default = match &front.default_backend {
        None => front,
        Some((name, at)) => {
            match proxies.iter().find(|proxy| proxy.kind != "frontend" && &proxy.name == name) {
                Some(back) if back.is_tcp() => back,
                Some(_) => {
                    draft.leave_out(id, at, "the backend has mode http");
                    return all;
                }
                None => {
                    draft.leave_out(id, at, "there is no such backend");
                    return all;
                }
            }
        }
    };
    // Without a default backend, the first backend that is chosen by name sets the route's keys.
    let back = match named.backs.first() {
        Some(first) if default.servers.is_empty() => first,
        _ => default,
    };
    let others: Vec<&Proxy> =
        named.backs.iter().copied().filter(|other| !std::ptr::eq(*other, back)).collect();
    let servers: Vec<&Server> =
        std::iter::once(back).chain(others.iter().copied()).flat_map(|back| &back.servers).collect();
    targets(id, default, draft);
    names::others(id, &named, front, draft);
    per_server::apply(id, front, back, &others, &servers, draft);
    balanced(id, back, draft);
    next_target(id, back, &servers, draft);
    let users = proxies.iter().filter(|proxy| uses(proxy, back)).count();
    limits::apply(id, front, back, &servers, users > 1, draft);
    timeouts(id, front, back, draft);
    health::apply(id, &servers, back, draft);
    checks(id, back, draft);
    dialling(id, back, draft);
    access::apply(id, front, named.used, draft);
    if let Some(at) = front.keepalive.as_ref().or(back.keepalive.as_ref()) {
        draft.idle(at, "keepalive is on by default");
    }
    all
}

fn targets(id: RouteId, back: &Proxy, draft: &mut Draft) {
    let listen = draft.route(id).map(|route| route.listen.clone()).unwrap_or_default();
    for server in &back.servers {
        if let Some(target) = target::target(server, id, &listen, draft) {
            draft.target(id, target);
        }
    }
}

/// Sets how the route chooses among several targets.
fn balanced(id: RouteId, back: &Proxy, draft: &mut Draft) {
    let place = back.place();
    let (algorithm, at) = back.balance.as_ref().map_or(("roundrobin", &place), |(word, at)| (word, at));
    if back.servers.len() < 2 {
        if let Some((_, at)) = &back.balance {
            draft.idle(at, "there is only one target");
        }
        return;
    }
    if let Some(second) = back.servers.iter().filter(|server| server.says("backup").is_some()).nth(1)
        && !back.all_backups
    {
        draft.differs(second.at(), "all backups share the clients, while HAProxy uses only the first");
    }
    let rule = match algorithm.split('(').next().unwrap_or(algorithm) {
        "roundrobin" | "static-rr" => "round_robin",
        "leastconn" => "least_connections",
        "random" => "random",
        "source" => "source_hash",
        "first" => {
            let (_, before) = back.servers.split_last().unzip();
            if before.is_some_and(|it: &[Server]| it.iter().any(|server| limits::most(server).is_none())) {
                draft.differs(at, "the first target that answers takes every connection, without a limit");
            }
            "first"
        }
        _ => {
            return draft.lost(
                Some(id),
                at,
                "it chooses by the content of HTTP requests; round_robin replaces it",
            );
        }
    };
    draft.set(id, at, "balance", Toml::text(rule));
}

/// Whether a frontend sends clients to this backend.
fn uses(proxy: &Proxy, back: &Proxy) -> bool {
    let default = proxy.default_backend.iter().map(|(name, _)| name);
    let chosen = proxy.uses.iter().filter_map(|line| line.words.get(1));
    proxy.is_front() && proxy.is_tcp() && default.chain(chosen).any(|name| *name == back.name)
}

/// What keeps a client on the one server it was given. (By default HAProxy tries that one again, and no other.)
fn next_target(id: RouteId, back: &Proxy, servers: &[&Server], draft: &mut Draft) {
    for at in back.no_retries.iter().chain(&back.no_redispatch) {
        match servers.len() {
            0 | 1 => draft.idle(at, "there is only one target"),
            _ => draft.set(id, at, "next_target", Toml::text("off")),
        }
    }
}

fn timeouts(id: RouteId, front: &Proxy, back: &Proxy, draft: &mut Draft) {
    if let Some((limit, at)) = back.timeouts.get("connect") {
        draft.set(id, at, "connect_timeout", time(*limit));
    }
    idle(id, front, back, draft);
    for (name, (_, at)) in front.timeouts.iter().chain(&back.timeouts) {
        match name.as_str() {
            "connect" | "check" | "queue" | "client" | "server" | "tunnel" => {}
            "client-fin" | "server-fin" => {
                draft.lost(
                    Some(id),
                    at,
                    "a half-closed connection stays open; idle_timeout ends it when no bytes flow",
                );
            }
            "http-request" | "http-keep-alive" | "tarpit" => draft.idle(at, "it applies to HTTP"),
            _ => draft.lost(Some(id), at, "this timeout has no counterpart"),
        }
    }
}

/// HAProxy has an idle timeout for the client and one for the server; a route has one for both directions together.
/// `timeout tunnel` overrides both.
fn idle(id: RouteId, front: &Proxy, back: &Proxy, draft: &mut Draft) {
    let tunnel = back.timeouts.get("tunnel").or_else(|| front.timeouts.get("tunnel"));
    let (client, server) = (front.timeouts.get("client"), back.timeouts.get("server"));
    let both: Vec<&(Duration, At)> = [client, server].into_iter().flatten().collect();
    if let Some((limit, at)) = tunnel {
        draft.set(id, at, "idle_timeout", time(*limit));
        for (_, at) in both {
            draft.idle(at, format!("in {} timeout tunnel overrides it", front.name));
        }
        return;
    }
    let Some((limit, at)) = both.iter().min_by_key(|(limit, _)| *limit) else { return };
    draft.set(id, at, "idle_timeout", time(*limit));
    for (_, at) in both.iter().filter(|(other, _)| other != limit) {
        let why = format!(
            "in {} the shorter of client and server ends a connection that is idle in both directions",
            front.name
        );
        draft.differs(at, why);
    }
}

/// `tcp-check`: a check only connects, or sends one text and expects one; of several, the first of each is used.
fn checks(id: RouteId, back: &Proxy, draft: &mut Draft) {
    let (mut sends, mut expects) = (0, 0);
    for line in &back.checks {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        match words[..] {
            ["option", "redis-check"] => {
                draft.set(id, &line.at, "health.send", Toml::text("PING\r\n"));
                draft.set(id, &line.at, "health.expect", Toml::text("+PONG"));
            }
            ["option", ..] | ["tcp-check", "connect"] => draft.idle(&line.at, "a check always connects"),
            ["tcp-check", "comment", ..] => draft.idle(&line.at, "it is only a comment"),
            ["tcp-check", "send", text] if sends == 0 && expects == 0 && text.is_ascii() => {
                sends += 1;
                draft.set(id, &line.at, "health.send", Toml::text(text));
            }
            ["tcp-check", "expect", "string", text] if expects == 0 && text.is_ascii() => {
                expects += 1;
                draft.set(id, &line.at, "health.expect", Toml::text(text));
            }
            _ => draft.lost(
                Some(id),
                &line.at,
                "a check sends one text and expects one; write health.send and health.expect",
            ),
        }
    }
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
