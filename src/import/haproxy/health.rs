//! `check` and the words around it → `[routes.NAME.health]` (configuration.txt, section 5.2).
//!
//! HAProxy checks each server in a way of its own, a route all its targets alike: what only some servers say, or say
//! otherwise than the first that is checked, is told.

use std::time::Duration;

use super::lines::duration;
use super::proxy::Proxy;
use super::server::Server;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::shell::time;

/// Whether an option of a server is told here.
pub(super) fn is_of_it(name: &str) -> bool {
    TIMED.iter().any(|(word, ..)| *word == name)
        || COUNTED.iter().any(|(word, ..)| *word == name)
        || OTHERS.iter().any(|(word, _)| *word == name)
        || matches!(name, "check" | "no-check")
}

/// A word of a server, the key it becomes, and what HAProxy takes where the word is not there.
const TIMED: [(&str, &str, Option<&str>); 2] =
    [("inter", "health.interval", Some("2s")), ("slowstart", "health.slow_start", None)];
const COUNTED: [(&str, &str, &str); 2] = [("rise", "health.rise", "2"), ("fall", "health.fall", "3")];

/// Words that become nothing, and why.
const OTHERS: [(&str, &str); 11] = [
    ("fastinter", "a check has one interval, whatever it found last"),
    ("downinter", "a check has one interval, whatever it found last"),
    ("port", "a check dials the target itself"),
    ("addr", "a check dials the target itself"),
    ("error-limit", "health.fall counts dials for clients and checks alike"),
    ("on-error", "a failed dial counts like a failed check"),
    ("track", "each target is judged by its own checks and dials"),
    ("on-marked-down", "sessions of a target that is down live on"),
    ("on-marked-up", "sessions live on where they are"),
    ("check-send-proxy", "a check sends no PROXY header"),
    ("check-ssl", "a check speaks no TLS; to connect is enough"),
];

/// Gives the route its table; `servers` are all it may dial.
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
                draft.idle(at, "without the word check HAProxy does not check");
            }
        }
        return unchecked(back, draft);
    };
    let Some((_, at)) = first.says("check") else { return };
    draft.set(id, at, "health.check", Toml::text("connect"));
    for server in servers.iter().filter(|server| server.says("check").is_none()) {
        let why =
            "HAProxy takes a server without the word check to be up; all targets of a route are checked";
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

/// One setting: what the first server says, and where another says otherwise.
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
                let told = default.map_or(String::new(), |default| format!(" ({default} by default)"));
                (default.and_then(&read), server.at().with(format!("{word}{told}")))
            }
        }
    };
    for server in checked.iter().filter(|server| server.says(word).is_some()) {
        if let (None, at) = of(server) {
            draft.lost(Some(id), &at, "this is no time or number");
        }
    }
    let Some((value, at)) = checked.first().map(|server| of(server)) else { return };
    for server in &checked[1..] {
        let (other, at) = of(server);
        if other != value {
            let why = format!(
                "all targets of a route are checked alike, and {key} is what the first server says; write a route for each"
            );
            draft.lost(Some(id), &at, why);
        }
    }
    if let Some(value) = value {
        draft.set(id, &at, key, value);
    }
}

/// How long a check may take: `timeout check`, or until the next one.
fn deadline(id: RouteId, first: &Server, back: &Proxy, draft: &mut Draft) {
    if let Some((limit, at)) = back.timeouts.get("check") {
        return draft.set(id, at, "health.timeout", time(*limit));
    }
    let inter = first.value("inter").and_then(duration).unwrap_or(Duration::from_secs(2));
    draft.set(id, &first.at().with("inter"), "health.timeout", time(inter));
}

fn unchecked(back: &Proxy, draft: &mut Draft) {
    if let Some((_, at)) = back.timeouts.get("check") {
        draft.idle(at, format!("in {} nothing is checked", back.name));
    }
}

fn words_without_counterpart(id: RouteId, server: &Server, draft: &mut Draft) {
    for (word, why) in OTHERS {
        if let Some((_, at)) = server.says(word) {
            draft.lost(Some(id), at, why);
        }
    }
}
