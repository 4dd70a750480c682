//! The runtime state of routes that their listeners share.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::engine::api::Wanted;
use crate::engine::runtime::context::{Context, RouteRuntime};
use crate::plan::RouteId;

/// One runtime for all listeners of a route that have the same targets, such as a range of ports to one target. It is
/// kept as long as a listener or a session uses it, so that a port which is bound later shares it too.
#[derive(Default)]
pub(crate) struct RouteRuntimes {
    made: HashMap<(RouteId, usize), Weak<RouteRuntime>>,
}

impl RouteRuntimes {
    /// The runtime of a route and a place.
    pub(crate) fn of(&mut self, by: &Wanted, cx: &Context) -> Arc<RouteRuntime> {
        let place = by.place % by.route.places();
        let made = self.made.entry((by.id.clone(), place)).or_default();
        let known = made.upgrade().filter(|known| Arc::ptr_eq(&known.route, &by.route));
        known.unwrap_or_else(|| {
            if let Some(old) = made.upgrade() {
                old.release_names();
            }
            let new = RouteRuntime::new(&Wanted { place, ..by.clone() }, cx);
            *made = Arc::downgrade(&new);
            new
        })
    }

    /// Removes those that no listener and no session uses any more.
    pub(super) fn forget_unused(&mut self) {
        self.made.retain(|_, runtime| runtime.strong_count() > 0);
    }
}
