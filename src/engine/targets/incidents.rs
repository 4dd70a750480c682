//! Problems that come and go: each is reported when it begins and when it ends, however often it occurs in between.
//!
//! Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A problem that has not occurred for this long has ended.
const QUIET: Duration = Duration::from_secs(10);

/// The largest number of kinds tracked at one time; further kinds are not reported at all.
const MAX: usize = 256;

/// The ongoing problems.
#[derive(Debug)]
pub(crate) struct Incidents<K> {
    going_on: BTreeMap<K, Incident>,
}

/// One problem, ongoing or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incident {
    /// When it began.
    pub(crate) began: Instant,
    /// When it occurred last.
    pub(crate) met: Instant,
    /// How often it occurred.
    pub(crate) count: u64,
}

impl<K> Default for Incidents<K> {
    fn default() -> Self {
        Incidents { going_on: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Incidents<K> {
    /// Counts an occurrence of `what`; true if it is the first of an incident.
    pub(crate) fn meet(&mut self, what: &K, now: Instant) -> bool {
        if let Some(incident) = self.going_on.get_mut(what) {
            (incident.met, incident.count) = (now, incident.count + 1);
            return false;
        }
        let begins = self.going_on.len() < MAX;
        if begins {
            self.going_on.insert(what.clone(), Incident { began: now, met: now, count: 1 });
        }
        begins
    }

    /// Removes and returns the incidents that have ended.
    pub(crate) fn over(&mut self, now: Instant) -> Vec<(K, Incident)> {
        let is_over = |incident: &Incident| now.saturating_duration_since(incident.met) >= QUIET;
        let over: Vec<_> = self
            .going_on
            .iter()
            .filter(|(_, incident)| is_over(incident))
            .map(|(what, incident)| (what.clone(), *incident))
            .collect();
        self.going_on.retain(|_, incident| !is_over(incident));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_met_a_thousand_times_begins_once_and_ends_once() {
        let (mut incidents, start) = (Incidents::default(), Instant::now());

        let begun =
            (0..1000).filter(|ms| incidents.meet(&"no port", start + Duration::from_millis(*ms))).count();
        let early = incidents.over(start + QUIET);
        let over = incidents.over(start + QUIET + Duration::from_secs(1));

        assert_eq!((begun, early.len(), over.len()), (1, 0, 1));
        assert_eq!(over[0].1.count, 1000);
        assert!(incidents.meet(&"no port", start + 2 * QUIET));
    }

    #[test]
    fn a_thousand_kinds_are_not_remembered() {
        let (mut incidents, now) = (Incidents::default(), Instant::now());

        let begun = (0..1000).filter(|kind| incidents.meet(kind, now)).count();

        assert_eq!(begun, MAX);
    }
}
