//! Options that both addresses share.

use crate::import::draft::{Draft, RouteId};
use crate::import::message::{At, ON_LOOPBACK};
use crate::import::shell::{seconds, time};

/// Imports an option that means the same in both addresses.
pub(super) fn common_option(id: RouteId, option: &str, value: Option<&str>, at: &At, draft: &mut Draft) {
    match option {
        "nodelay" | "tcp-nodelay" | "keepalive" | "so-keepalive" | "backlog" | "shut-none" | "shut-down"
        | "crnl"
            if option != "crnl" =>
        {
            draft.idle(at, "this is always so");
        }
        "keepidle" | "tcp-keepidle" => match value.and_then(seconds) {
            Some(idle) => draft.set(id, at, "keepalive", time(idle)),
            None => draft.lost(Some(id), at, "this is not a time in seconds"),
        },
        "linger" | "so-linger" | "rcvbuf" | "so-rcvbuf" | "sndbuf" | "so-sndbuf" | "rcvbuf-late"
        | "sndbuf-late" => {
            draft.idle(
                at,
                "the kernel sizes its buffers, and a reset waits until the peer has acknowledged everything",
            );
        }
        "retry" | "interval" | "intervall" | "forever" => draft.lost(
            Some(id),
            at,
            "a listener that fails is reported; write bind = \"retry\" to keep trying",
        ),
        "congestion" | "tcp-congestion" => draft.lost(Some(id), at, ON_LOOPBACK),
        _ => draft.lost(Some(id), at, "this option of socat has no counterpart"),
    }
}

pub(super) fn unix(path: &str) -> String {
    format!("unix:{path}")
}

/// The host of `bind`, and whether a port follows it.
pub(super) fn bound(bind: &str) -> (&str, bool) {
    let split = bind.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    (split.map_or(bind, |(host, _)| host).trim_matches(['[', ']']), split.is_some())
}
