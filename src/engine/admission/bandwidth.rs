//! The bandwidth that the sessions of a route share, kept across reloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use crate::limits::Bandwidth;
use crate::plan::RouteId;
use crate::units::Rate;

/// The buckets of every route with a `bandwidth`.
#[derive(Default)]
pub(crate) struct Bandwidths {
    known: Mutex<HashMap<(RouteId, Rate), Weak<Bandwidth>>>,
}

impl Bandwidths {
    /// The buckets of a route. While its rate is unchanged, they stay the same across reloads; a changed rate makes new
    /// ones, and sessions that began before continue with the old ones.
    pub(crate) fn of(&self, route: &RouteId, rate: Rate) -> Arc<Bandwidth> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, bandwidth| bandwidth.strong_count() > 0);
        let key = (route.clone(), rate);
        if let Some(bandwidth) = known.get(&key).and_then(Weak::upgrade) {
            return bandwidth;
        }
        let bandwidth = Arc::new(Bandwidth::new(rate, Instant::now()));
        known.insert(key, Arc::downgrade(&bandwidth));
        bandwidth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{RouteName, Source};

    #[test]
    fn the_buckets_of_a_route_stay_while_its_rate_does() {
        let id = |source, name: &str| RouteId { source, name: RouteName(name.into()) };
        let (a, b) = (id(Source::file(), "a"), id(Source::file(), "b"));
        let of_another_source = id(Source::named("edge").unwrap(), "a");
        let bandwidths = Bandwidths::default();
        let first = bandwidths.of(&a, Rate(8000));

        assert!(Arc::ptr_eq(&first, &bandwidths.of(&a, Rate(8000))));
        assert!(!Arc::ptr_eq(&first, &bandwidths.of(&a, Rate(9000))));
        assert!(!Arc::ptr_eq(&first, &bandwidths.of(&b, Rate(8000))));
        assert!(!Arc::ptr_eq(&first, &bandwidths.of(&of_another_source, Rate(8000))));
    }
}
