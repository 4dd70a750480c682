//! Where everything listens now, as a declaration's answer tells it.

use std::collections::BTreeMap;

use super::any::AnyListener;
use super::bind::{Port, WantedBy};
use crate::engine::api::Listening;

/// Each listener with what wants it: all routes, each in the order written, then all services. The UDP sockets of a service stand
/// beside its listeners of the same number, and are not told again.
pub(crate) fn listening(
    listeners: &BTreeMap<Port, AnyListener>,
    wanted: &BTreeMap<Port, WantedBy>,
) -> Vec<Listening> {
    let mut all: Vec<(usize, Listening)> = Vec::new();
    for (port, listener) in listeners {
        if matches!(listener, AnyListener::Given(_)) {
            continue;
        }
        let Some(by) = wanted.get(port) else { continue };
        let targets = match by {
            WantedBy::Route(by) => by.route.targets_at(by.place).map(|(target, _)| target).collect(),
            WantedBy::Service(_) => Vec::new(),
        };
        all.push((by.place(), Listening { owner: by.owner(), address: listener.address(), targets }));
    }
    all.sort_by(|a, b| (&a.1.owner, a.0).cmp(&(&b.1.owner, b.0)));
    all.into_iter().map(|(_, listening)| listening).collect()
}
