//! The routes at run time, as their listeners share them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::engine::api::Wanted;
use crate::engine::runtime::context::{Context, RouteRuntime};
use crate::plan::RouteId;

/// What the listeners of one route and its targets share, made once: a range of ports towards one target has one. It is
/// kept as long as a listener or a session has it, so that a port which is bound later shares it too.
#[derive(Default)]
pub(crate) struct RouteRuntimes {
    made: HashMap<(RouteId, usize), Weak<RouteRuntime>>,
}

impl RouteRuntimes {
    /// That of a route and a place.
    pub(crate) fn of(&mut self, by: &Wanted, cx: &Context) -> Arc<RouteRuntime> {
        let place = by.place % by.route.places();
        let made = self.made.entry((by.id.clone(), place)).or_default();
        let known = made.upgrade().filter(|known| Arc::ptr_eq(&known.route, &by.route));
        known.unwrap_or_else(|| {
            let new = RouteRuntime::new(&Wanted { place, ..by.clone() }, cx);
            *made = Arc::downgrade(&new);
            new
        })
    }

    /// Forgets those that nobody has any more.
    pub(super) fn forget_unused(&mut self) {
        self.made.retain(|_, runtime| runtime.strong_count() > 0);
    }
}
