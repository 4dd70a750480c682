//! How often the kernel may be queried, over all targets together. Pure: time is an argument.

use std::time::{Duration, Instant};

/// The largest number of lookups in any one second, however many targets there are.
const MAX_PER_SECOND: u32 = 100;

/// How many of them may come at once. The rest is refilled evenly, so that no second, wherever it begins, has more.
const BURST: u32 = 30;
const PER_SECOND: u32 = MAX_PER_SECOND - BURST;

/// The lookups that may be made now.
#[derive(Debug)]
pub(crate) struct QueryLimit {
    left: u32,
    refilled: Instant,
}

impl QueryLimit {
    pub(crate) fn new(now: Instant) -> QueryLimit {
        QueryLimit { left: BURST, refilled: now }
    }

    /// Takes `wanted` lookups, all or none.
    pub(crate) fn take(&mut self, wanted: u32, now: Instant) -> bool {
        let each = Duration::from_secs(1) / PER_SECOND;
        let new = (now.duration_since(self.refilled).as_nanos() / each.as_nanos()).min(BURST.into()) as u32;
        if self.left + new >= BURST {
            (self.left, self.refilled) = (BURST, now);
        } else {
            (self.left, self.refilled) = (self.left + new, self.refilled + each * new);
        }
        let granted = wanted <= self.left;
        if granted {
            self.left -= wanted;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_the_limit_and_full_demand_gets_most_of_it() {
        let start = Instant::now();
        let mut queries = QueryLimit::new(start);
        let mut granted: Vec<Duration> = Vec::new();

        for ms in 0..5_000 {
            let at = Duration::from_millis(ms);
            while queries.take(1, start + at) {
                granted.push(at);
            }
        }

        for from in &granted {
            let second = granted.iter().filter(|at| (*from..*from + Duration::from_secs(1)).contains(*at));
            assert!(second.count() <= MAX_PER_SECOND as usize);
        }
        assert!(granted.len() >= 5 * PER_SECOND as usize);
    }

    #[test]
    fn a_pause_is_not_saved_up() {
        let start = Instant::now();
        let mut queries = QueryLimit::new(start);

        assert!(!queries.take(BURST + 1, start + Duration::from_secs(3600)));
        assert!(queries.take(BURST, start + Duration::from_secs(3600)));
    }
}
