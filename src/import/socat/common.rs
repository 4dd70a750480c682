//! What is the same for both addresses.

use crate::import::draft::{Draft, RouteId};
use crate::import::message::At;
use crate::import::shell::{seconds, time};

/// Options that mean the same on both sides.
pub(super) fn common_option(id: RouteId, option: &str, value: Option<&str>, at: &At, draft: &mut Draft) {
    match option {
        "nodelay" | "tcp-nodelay" | "keepalive" | "so-keepalive" | "backlog" | "shut-none" | "shut-down"
        | "crnl"
            if option != "crnl" =>
        {
            draft.idle(at, "it is so anyway");
        }
        "keepidle" | "tcp-keepidle" => match value.and_then(seconds) {
            Some(idle) => draft.set(id, at, "keepalive", time(idle)),
            None => draft.lost(Some(id), at, "this is no time in seconds"),
        },
        "linger" | "so-linger" | "rcvbuf" | "so-rcvbuf" | "sndbuf" | "so-sndbuf" | "rcvbuf-late"
        | "sndbuf-late" => {
            draft.idle(
                at,
                "the kernel sizes its buffers itself, and a reset waits for what is not acknowledged",
            );
        }
        "retry" | "interval" | "intervall" | "forever" => {
            draft.lost(Some(id), at, "a listener that fails is told; write bind = \"retry\" to keep trying")
        }
        _ => draft.lost(Some(id), at, "this option of socat has no counterpart"),
    }
}

pub(super) fn unix(path: &str) -> String {
    format!("unix:{path}")
}

/// The host of `bind`, and whether a port stands behind it.
pub(super) fn bound(bind: &str) -> (&str, bool) {
    let split = bind.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    (split.map_or(bind, |(host, _)| host).trim_matches(['[', ']']), split.is_some())
}
