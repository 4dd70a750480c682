//! The bandwidth that the sessions or flows of a route share, kept across reloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use crate::limits::{Bandwidth, BandwidthRule};
use crate::plan::RouteId;

/// The buckets of every route with a `bandwidth`.
#[derive(Default)]
pub(crate) struct Bandwidths {
    known: Mutex<HashMap<(RouteId, BandwidthRule), Weak<Bandwidth>>>,
}

impl Bandwidths {
    /// The buckets of a route. While its rule is unchanged, they stay the same across reloads; a changed one makes new
    /// ones, and sessions that began before continue with the old ones.
    pub(crate) fn of(&self, route: &RouteId, rule: BandwidthRule) -> Arc<Bandwidth> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, bandwidth| bandwidth.strong_count() > 0);
        let key = (route.clone(), rule);
        if let Some(bandwidth) = known.get(&key).and_then(Weak::upgrade) {
            return bandwidth;
        }
        let bandwidth = Arc::new(Bandwidth::new(rule, Instant::now()));
        known.insert(key, Arc::downgrade(&bandwidth));
        bandwidth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{RouteName, Source};
    use crate::units::Rate;

    #[test]
    fn the_buckets_of_a_route_stay_while_its_rates_do() {
        let id = |source, name: &str| RouteId { source, name: RouteName(name.into()) };
        let (a, b) = (id(Source::file(), "a"), id(Source::file(), "b"));
        let of_another_source = id(Source::named("edge").unwrap(), "a");
        let bandwidths = Bandwidths::default();
        let first = bandwidths.of(&a, Rate(8000).into());

        assert!(Arc::ptr_eq(&first, &bandwidths.of(&a, Rate(8000).into())));
        assert!(!Arc::ptr_eq(&first, &bandwidths.of(&a, Rate(9000).into())));
        let one_way = BandwidthRule { down: None, ..Rate(8000).into() };
        assert!(!Arc::ptr_eq(&first, &bandwidths.of(&a, one_way)));
        assert!(!Arc::ptr_eq(&first, &bandwidths.of(&b, Rate(8000).into())));
        assert!(!Arc::ptr_eq(&first, &bandwidths.of(&of_another_source, Rate(8000).into())));
    }
}
