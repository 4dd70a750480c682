//! `maxconn`, `maxqueue`, `rate-limit`: how many connections a route accepts, and how many clients wait.

use super::proxy::Proxy;
use super::server::Server;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::shell::time;

/// Sets the route's limits; `servers` are all of its servers. Where other frontends use the backend as well, the limit of
/// a server is one for all of them.
pub(super) fn apply(
    id: RouteId,
    front: &Proxy,
    back: &Proxy,
    servers: &[&Server],
    is_shared: bool,
    draft: &mut Draft,
) {
    let own = match servers {
        [only] if !is_shared => of_the_only(id, only, draft),
        several => {
            of_each(id, back, several, draft);
            None
        }
    };
    match (&front.maxconn, own) {
        (Some((count, at)), Some((own, own_at))) if own < *count => {
            draft.idle(at, "maxconn of its server is lower");
            behind_server(id, &own_at, own, back, draft);
        }
        (Some((count, at)), own) => {
            if let Some((_, own_at)) = own {
                draft.idle(&own_at, format!("maxconn of {} is not larger", front.name));
            }
            queued(id, at, *count, draft);
        }
        (None, Some((own, at))) => behind_server(id, &at, own, back, draft),
        (None, None) => {}
    }
    if let Some((rate, at)) = &front.rate {
        draft.set(id, at, "connection_rate", Toml::text(format!("{rate}/s")));
        draft.differs(at, "further clients are refused, while HAProxy lets them wait");
    }
    waiting(id, front, back, draft);
}

/// The limit of a server; HAProxy has none with 0.
pub(super) fn most(server: &Server) -> Option<u64> {
    server.value("maxconn").and_then(|value| value.parse().ok()).filter(|most| *most > 0)
}

/// The limits of several servers, which are those of their targets.
fn of_each(id: RouteId, back: &Proxy, servers: &[&Server], draft: &mut Draft) {
    let backup = servers.iter().find(|server| server.says("backup").is_some());
    if let Some(backup) = backup.filter(|_| servers.iter().any(|server| most(server).is_some())) {
        draft.differs(backup.at(), "a backup also has clients while all other targets are full");
    }
    for server in servers {
        without_counterpart(id, server, &["minconn", "maxqueue"], draft);
        let Some((value, at)) = server.says("maxconn") else { continue };
        if value.is_none_or(|value| value.parse::<u64>().is_err()) {
            draft.lost(Some(id), at, "this is not a number");
        } else if has_limits(id, draft) && most(server).is_some() {
            queue(id, at, draft);
            patience(id, back, draft);
        }
    }
}

/// Whether a target that was carried over has a limit.
fn has_limits(id: RouteId, draft: &mut Draft) -> bool {
    let mut targets = draft.route(id).into_iter().flat_map(|route| route.every_target());
    targets.any(|target| target.max_connections.is_some())
}

/// The limit of a single server, which is equivalent to a limit of the route.
fn of_the_only(id: RouteId, server: &Server, draft: &mut Draft) -> Option<(u64, At)> {
    let Some((value, at)) = server.says("maxconn") else {
        without_counterpart(id, server, &["minconn", "maxqueue"], draft);
        return None;
    };
    without_counterpart(id, server, &["minconn"], draft);
    for target in draft.route(id).into_iter().flat_map(|route| route.every_target()) {
        target.max_connections = None;
    }
    match value.and_then(|value| value.parse().ok()) {
        Some(0) => None,
        Some(count) => {
            if let Some((Some(length), at)) = server.says("maxqueue")
                && let Some(length) = length.parse::<u64>().ok().filter(|length| *length > 0)
            {
                draft.set(id, at, "queue", Toml::Number(length));
            }
            Some((count, at.clone()))
        }
        None => {
            draft.lost(Some(id), at, "this is not a number");
            None
        }
    }
}

fn without_counterpart(id: RouteId, server: &Server, words: &[&str], draft: &mut Draft) {
    for (_, at) in words.iter().filter_map(|word| server.says(word)) {
        let why = if at.words.starts_with("minconn") {
            "a limit does not depend on how busy the route is; write max_connections"
        } else {
            "clients wait for the route, not for a single target; write queue"
        };
        draft.lost(Some(id), at, why);
    }
}

/// A client waits for a server up to `timeout queue`, or, without it, up to `timeout connect`.
fn behind_server(id: RouteId, at: &At, count: u64, back: &Proxy, draft: &mut Draft) {
    queued(id, at, count, draft);
    patience(id, back, draft);
}

fn patience(id: RouteId, back: &Proxy, draft: &mut Draft) {
    if let (None, Some((limit, at))) = (back.timeouts.get("queue"), back.timeouts.get("connect")) {
        draft.set(id, at, "queue_timeout", time(*limit));
    }
}

/// Sets the most connections. Further clients wait in the route's queue, as HAProxy leaves them in the accept queue.
pub(super) fn queued(id: RouteId, at: &At, count: u64, draft: &mut Draft) {
    draft.set(id, at, "max_connections", Toml::Number(count));
    queue(id, at, draft);
}

fn queue(id: RouteId, at: &At, draft: &mut Draft) {
    if draft.knows("when_full") {
        draft.set(id, at, "when_full", Toml::text("queue"));
        draft.differs(at, "further clients wait in the route's queue, limited by queue and queue_timeout");
    }
}

fn waiting(id: RouteId, front: &Proxy, back: &Proxy, draft: &mut Draft) {
    let Some((limit, at)) = back.timeouts.get("queue") else { return };
    match draft.route(id).is_some_and(|route| route.settings.iter().any(|it| it.key == "when_full")) {
        true => draft.set(id, at, "queue_timeout", time(*limit)),
        false => draft.idle(at, format!("{} has no queue", front.name)),
    }
}
