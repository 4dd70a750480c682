//! A route treats all its targets alike: options that differ between servers or backends are not carried.

use super::proxy::Proxy;
use super::server::Server;
use super::target;
use crate::import::draft::{Draft, RouteId};

/// Options that change what a target is sent, or which certificate it must have.
const SAME: [&str; 16] = [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "proxy-v2-options",
    "ssl",
    "verify",
    "ca-file",
    "sni",
    "verifyhost",
    "crt",
    "alpn",
    "source",
    "usesrc",
    "interface",
    "tcp-ut",
];

/// Sets how the route connects to its servers; `others` are the backends besides `back` that contribute servers.
pub(super) fn apply(
    id: RouteId,
    front: &Proxy,
    back: &Proxy,
    others: &[&Proxy],
    servers: &[&Server],
    draft: &mut Draft,
) {
    if !std::ptr::eq(front, back) {
        for server in front.servers.iter().filter(|_| front.default_backend.is_some()) {
            draft.lost(Some(id), server.at(), "default_backend overrides it");
        }
        rules(id, back, draft);
    }
    for other in others.iter().filter(|other| !std::ptr::eq(**other, front)) {
        rules(id, other, draft);
        otherwise(id, back, other, draft);
    }
    for server in servers {
        target::apply(server, id, draft);
    }
    let Some((first, rest)) = servers.split_first() else { return };
    for name in SAME {
        let value = |server: &Server| server.says(name).map(|(value, _)| value.map(str::to_owned));
        if let Some(other) = rest.iter().find(|other| value(other) != value(first)) {
            let why = "the servers differ in this option, and a route treats all its targets alike; write a route for each";
            return draft.leave_out(id, &other.at().with(name), why);
        }
    }
}

/// Notes the rules of a backend: they have no counterpart, since they apply only after the frontend has accepted.
fn rules(id: RouteId, back: &Proxy, draft: &mut Draft) {
    if let Some(line) = back.rules.first() {
        let why = "a rule of a backend has no counterpart; list the clients that may connect in allow and deny; without it more clients could connect";
        return draft.leave_out(id, &line.at, why);
    }
    for line in &back.contents {
        draft.lost(Some(id), &line.at, "a rule of a backend has no counterpart");
    }
    for line in &back.acls {
        draft.idle(&line.at, "no rule that is carried over uses it");
    }
}

/// Notes where a backend chosen by name differs from the one that sets the route's keys.
fn otherwise(id: RouteId, back: &Proxy, other: &Proxy, draft: &mut Draft) {
    let why =
        format!("what {} sets here applies to all targets of the route; write a route for each", back.name);
    for (name, (limit, at)) in &other.timeouts {
        if back.timeouts.get(name).is_none_or(|(own, _)| own != limit) {
            draft.lost(Some(id), at, &why);
        }
    }
    let algorithm = |proxy: &Proxy| proxy.balance.as_ref().map(|(word, _)| word.clone());
    if let Some((_, at)) = other.balance.as_ref().filter(|_| other.servers.len() > 1)
        && algorithm(back) != algorithm(other)
    {
        draft.lost(Some(id), at, &why);
    }
    let words = |proxy: &Proxy| proxy.checks.iter().map(|line| line.words.clone()).collect::<Vec<_>>();
    if words(back) != words(other) {
        for line in &other.checks {
            draft.lost(Some(id), &line.at, &why);
        }
    }
    let source = |proxy: &Proxy| proxy.source.iter().map(|(word, _)| word.clone()).collect::<Vec<_>>();
    if let Some((_, at)) = other.source.first().filter(|_| source(back) != source(other)) {
        draft.lost(Some(id), at, &why);
    }
}
