//! The lines that say where routes listen.

use std::sync::Arc;

use crate::address::Numbered;
use crate::engine::{Declared, Listening};
use crate::plan::Route;

/// The most such lines of one declaration.
pub(crate) const MAX_FORWARDING_LINES: usize = 50;

/// Logs where a route listens.
pub(crate) fn log_listening(Listening { owner, address, targets }: &Listening) {
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    tracing::info!("Forwarding {address} -> {} ({owner})", targets.join(", "));
}

/// Logs where those of these routes listen whose port the kernel has chosen: the file does not say it.
pub(super) fn log_chosen<'r>(declared: &Declared, routes: impl Iterator<Item = &'r Arc<Route>>) {
    let is_chosen = |route: &&Arc<Route>| route.listen.iter().any(|address| address.port() == Some(0));
    let chosen: Vec<_> = routes.filter(is_chosen).map(|route| &route.name).collect();
    let is_of = |it: &&Listening| it.owner.route().is_some_and(|id| chosen.contains(&&id.name));
    declared.listening.iter().filter(is_of).take(MAX_FORWARDING_LINES).for_each(log_listening);
}
