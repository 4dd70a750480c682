//! `check` and its related options → `[routes.NAME.health]` (configuration.txt, section 5.2).
//!
//! In HAProxy each server has its own checks; in a route all targets have the same. An option that only some servers
//! have, or that differs from the first checked server's, is noted.

use std::time::Duration;

use super::lines::duration;
use super::proxy::Proxy;
use super::server::Server;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::shell::time;

/// Whether this file handles an option of a server.
pub(super) fn is_of_it(name: &str) -> bool {
    TIMED.iter().any(|(word, ..)| *word == name)
        || COUNTED.iter().any(|(word, ..)| *word == name)
        || OTHERS.iter().any(|(word, _)| *word == name)
        || matches!(name, "check" | "no-check")
}

/// An option of a server, the key it becomes, and HAProxy's default.
const TIMED: [(&str, &str, Option<&str>); 2] =
    [("inter", "health.interval", Some("2s")), ("slowstart", "health.slow_start", None)];
const COUNTED: [(&str, &str, &str); 2] = [("rise", "health.rise", "2"), ("fall", "health.fall", "3")];

/// Options that are not carried, and why.
const OTHERS: [(&str, &str); 11] = [
    ("fastinter", "the interval does not depend on the last result"),
    ("downinter", "the interval does not depend on the last result"),
    ("port", "a check connects to the target's own address"),
    ("addr", "a check connects to the target's own address"),
    ("error-limit", "health.fall counts failed connections of clients and failed checks alike"),
    ("on-error", "a failed connection counts as a failed check"),
    ("track", "each target is judged by its own checks and connections"),
    ("on-marked-down", "sessions of a target that is down continue"),
    ("on-marked-up", "sessions stay on their target"),
    ("check-send-proxy", "a check sends no PROXY header"),
    ("check-ssl", "a check uses no TLS; it only connects"),
];

/// Sets the route's `health` table; `servers` are all of its servers.
pub(super) fn apply(id: RouteId, servers: &[&Server], back: &Proxy, draft: &mut Draft) {
    let checked: Vec<&Server> =
        servers.iter().copied().filter(|server| server.says("check").is_some()).collect();
    for server in servers {
        words_without_counterpart(id, server, draft);
    }
    let Some(first) = checked.first() else {
        let timed = TIMED.iter().map(|(word, ..)| *word);
        for word in timed.chain(COUNTED.iter().map(|(word, ..)| *word)) {
            for at in servers.iter().filter_map(|server| server.says(word)).map(|(_, at)| at) {
                draft.idle(at, "without the word check HAProxy checks nothing");
            }
        }
        return unchecked(back, draft);
    };
    let Some((_, at)) = first.says("check") else { return };
    draft.set(id, at, "health.check", Toml::text("connect"));
    for server in servers.iter().filter(|server| server.says("check").is_none()) {
        let why = "HAProxy assumes that a server without the word check is up; Loopgate checks all targets of a route";
        draft.differs(server.at(), why);
    }
    for (word, key, default) in TIMED {
        let read = |text: &str| duration(text).map(time);
        same(id, &checked, (word, key, default), read, draft);
    }
    for (word, key, default) in COUNTED {
        let read = |text: &str| text.parse().ok().map(Toml::Number);
        same(id, &checked, (word, key, Some(default)), read, draft);
    }
    deadline(id, first, back, draft);
}

/// Sets one key from the first server, and notes the servers that differ.
fn same(
    id: RouteId,
    checked: &[&Server],
    (word, key, default): (&'static str, &'static str, Option<&'static str>),
    read: impl Fn(&str) -> Option<Toml>,
    draft: &mut Draft,
) {
    let of = |server: &Server| -> (Option<Toml>, At) {
        match server.says(word) {
            Some((value, at)) => (value.and_then(&read), at.clone()),
            None => {
                let note = default.map_or(String::new(), |default| format!(" ({default} by default)"));
                (default.and_then(&read), server.at().with(format!("{word}{note}")))
            }
        }
    };
    for server in checked.iter().filter(|server| server.says(word).is_some()) {
        if let (None, at) = of(server) {
            draft.lost(Some(id), &at, "this is not a time or number");
        }
    }
    let Some((value, at)) = checked.first().map(|server| of(server)) else { return };
    for server in &checked[1..] {
        let (other, at) = of(server);
        if other != value {
            let why = format!(
                "all targets of a route have the same checks, and {key} is the first server's; write a route for each"
            );
            draft.lost(Some(id), &at, why);
        }
    }
    if let Some(value) = value {
        draft.set(id, &at, key, value);
    }
}

/// Sets how long a check may take: `timeout check`, or the interval.
fn deadline(id: RouteId, first: &Server, back: &Proxy, draft: &mut Draft) {
    if let Some((limit, at)) = back.timeouts.get("check") {
        return draft.set(id, at, "health.timeout", time(*limit));
    }
    let inter = first.value("inter").and_then(duration).unwrap_or(Duration::from_secs(2));
    draft.set(id, &first.at().with("inter"), "health.timeout", time(inter));
}

fn unchecked(back: &Proxy, draft: &mut Draft) {
    if let Some((_, at)) = back.timeouts.get("check") {
        draft.idle(at, format!("{} has no checks", back.name));
    }
}

fn words_without_counterpart(id: RouteId, server: &Server, draft: &mut Draft) {
    for (word, why) in OTHERS {
        if let Some((_, at)) = server.says(word) {
            draft.lost(Some(id), at, why);
        }
    }
}
