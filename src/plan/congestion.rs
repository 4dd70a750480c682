//! What sockets on loopback get in place of the host's congestion control, and whether this process may set it.

use std::io::ErrorKind;

use super::merge::pick;
use crate::config::{Problem, Settings, Written};
use crate::probe::system::congestion::{ALLOWED, AVAILABLE, try_control};
use crate::transport::{Congestion, CongestionChoice};

pub(super) use crate::probe::system::congestion::host_default;

/// The route's own key first, then the defaults; `host` is the host's default.
pub(super) fn chosen(own: &Settings, defaults: &Settings, host: Option<&str>) -> Congestion {
    Congestion::chosen(&pick(&own.congestion, &defaults.congestion).unwrap_or_default(), host)
}

/// Adds a problem if a control is named that this process cannot set.
pub(super) fn check(
    written: &Option<Written<CongestionChoice>>,
    key: impl FnOnce() -> String,
    problems: &mut Vec<Problem>,
) {
    let Some(Written { value: CongestionChoice::Named(name), place }) = written else { return };
    let refused = match try_control(name) {
        Ok(()) => return,
        Err(error) => error.kind(),
    };
    let (message, help) = match refused {
        ErrorKind::NotFound => (
            format!("this kernel has no congestion control {name}"),
            format!("{AVAILABLE} lists what it has; the module of another is called tcp_{name}"),
        ),
        ErrorKind::PermissionDenied => (
            format!("only a process with CAP_NET_ADMIN may set {name}"),
            format!("let every process: add {name} to {ALLOWED} with sysctl; or write \"auto\""),
        ),
        // It says nothing about the control, as when there is no descriptor left.
        _ => return,
    };
    problems.push(Problem::new(place.clone(), key(), message).help(help));
}
