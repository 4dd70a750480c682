//! The connecting address → the target of a route.

use std::time::Duration;

use super::address::{Address, Kind};
use super::common::{bound, common_option, unix};
use super::tls::tls;
use crate::import::draft::{Draft, RouteId, Target, Toml};
use crate::import::message::At;
use crate::import::shell::{bracketed, port, seconds, time, why_no_port};

/// Imports the address to connect to, and its options.
pub(super) fn dials(id: RouteId, mut target: Address, kind: Kind, at: &At, draft: &mut Draft) {
    let first = target.first().to_owned();
    let address = match kind {
        Kind::Unix => unix(&first),
        Kind::Abstract => format!("unix:@{first}"),
        Kind::Tcp | Kind::Udp | Kind::Tls => {
            let protocol = if kind == Kind::Udp { "udp" } else { "tcp" };
            let named = target.parts.get(1).cloned().unwrap_or_default();
            let Some(port) = port(&named, protocol) else {
                return draft.leave_out(id, &at.with(&named), why_no_port(&named));
            };
            format!("{}:{port}", bracketed(&first))
        }
    };
    draft.target(id, Target { address, at: Some(at.clone()), ..Target::default() });
    if kind == Kind::Tls {
        tls(id, "target_tls", &mut target, at, draft);
        if !first.contains(':')
            && first.parse::<std::net::IpAddr>().is_err()
            && draft.knows("target_tls.name")
        {
            draft.set(id, at, "target_tls.name", Toml::text(first));
        }
    }
    retries(id, &mut target, at, draft);
    for (option, value) in std::mem::take(&mut target.options) {
        let at = at.with(value.as_ref().map_or(option.clone(), |value| format!("{option}={value}")));
        match (option.as_str(), value.as_deref()) {
            ("bind", Some(bind)) => {
                let (host, has_port) = bound(bind);
                if has_port {
                    draft.lost(Some(id), &at, "the kernel chooses the source port");
                }
                if !host.is_empty() {
                    draft.set(id, &at, "source", Toml::text(host));
                }
            }
            ("sourceport" | "sp" | "lowport", _) => {
                draft.lost(Some(id), &at, "the kernel chooses the source port")
            }
            ("connect-timeout", Some(limit)) => match seconds(limit).filter(|limit| !limit.is_zero()) {
                Some(limit) => draft.set(id, &at, "connect_timeout", time(limit)),
                None => draft.lost(Some(id), &at, "this is not a time in seconds"),
            },
            ("interface" | "so-bindtodevice" | "if", Some(name)) => {
                draft.set(id, &at, "interface", Toml::text(name))
            }
            ("fork", _) => draft.idle(&at, "every client gets its own connection"),
            (option, value) => common_option(id, option, value, &at, draft),
        }
    }
}

/// `retry=N,interval=S` and `forever`: the client waits while the target is not available.
fn retries(id: RouteId, target: &mut Address, at: &At, draft: &mut Draft) {
    let every = target
        .takes(&["interval", "intervall"])
        .and_then(|text| seconds(&text))
        .unwrap_or(Duration::from_secs(1));
    let hour = Duration::from_secs(3600);
    if target.flag("forever") {
        draft.set(id, &at.with("forever"), "wait_for_target", time(hour));
        draft.differs(&at.with("forever"), "a client waits for at most an hour");
    } else if let Some(count) = target.takes(&["retry"]).and_then(|count| count.parse::<u32>().ok()) {
        let whole = every.checked_mul(count).unwrap_or(hour).min(hour);
        draft.set(id, &at.with(format!("retry={count}")), "wait_for_target", time(whole));
    }
}
