//! How many idle carriers an opener keeps ready, and how fast they may be opened. Pure: the clock and the facts are
//! arguments.

use std::time::{Duration, Instant};

use crate::limits::{Allowance, Pace};
use crate::units::{Frequency, Unit};

/// The most idle carriers of a tunnel that belong to one end.
pub(crate) const MAX_IDLE: usize = 64;

/// The most handshakes of carriers at one time.
pub(crate) const MAX_OPENING: usize = 4;

/// How often it is looked at whether carriers are missing, where sessions come and go: a look costs as much as a hop between
/// threads, and a hundred sessions that take a carrier each and give it back within this time change nothing.
pub(crate) const CALM: Duration = Duration::from_millis(10);

/// How long a carrier is one too many before it is closed.
const SURPLUS_AFTER: Duration = Duration::from_secs(60);

/// How fast carriers may be opened that carry nothing: 64 at once, and then 20 a second. The other end says how many it
/// wants, and may close them all. One that has carried a session does not count: the clients of either end have limits of
/// their own, and a thousand of them that come and stay want a thousand carriers.
const OPENINGS: Allowance = Allowance { frequency: Frequency { count: 20, per: Unit::Second }, burst: 64 };

/// How many idle carriers are wanted where so many sessions were opened in the busiest second of the last 30.
pub(crate) fn ready(peak: usize, least: usize) -> usize {
    peak.clamp(least.min(MAX_IDLE), MAX_IDLE)
}

/// The wish as the other end knows it: none at first, and it is told only what changes by a quarter.
#[derive(Debug, Default)]
pub(crate) struct Told(usize);

impl Told {
    /// What to tell, if anything.
    pub(crate) fn news(&mut self, ready: usize) -> Option<u16> {
        let is_news = ready.abs_diff(self.0) * 4 >= self.0.max(1);
        (is_news && ready != self.0).then(|| {
            self.0 = ready;
            ready as u16
        })
    }
}

/// Carriers beyond the wish, and since when.
#[derive(Debug, Default)]
pub(crate) struct Surplus {
    since: Option<Instant>,
    /// The least that were too many since then.
    least: usize,
}

impl Surplus {
    /// How many to close now: those that were too many for a minute without a break, and all beyond [`MAX_IDLE`].
    pub(crate) fn closes(&mut self, idle: usize, ready: usize, now: Instant) -> usize {
        let beyond = idle.saturating_sub(MAX_IDLE);
        let excess = (idle - beyond).saturating_sub(ready);
        if excess == 0 {
            self.since = None;
            return beyond;
        }
        let since = *self.since.get_or_insert(now);
        self.least = if since == now { excess } else { self.least.min(excess) };
        if now.saturating_duration_since(since) < SURPLUS_AFTER {
            return beyond;
        }
        self.since = None;
        beyond + self.least
    }
}

/// The carriers that may be opened now.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    pace: Pace,
}

impl Openings {
    /// How many to open now for each of two openers that miss so many, where so many are on their way already. Whoever
    /// misses more comes first.
    pub(crate) fn take(&mut self, mut missing: [usize; 2], opening: usize, now: Instant) -> [usize; 2] {
        let mut taken = [0; 2];
        while taken[0] + taken[1] + opening < MAX_OPENING && missing != [0; 2] && self.may_open(now) {
            let more = usize::from(missing[1] > missing[0]);
            missing[more] -= 1;
            taken[more] += 1;
        }
        taken
    }

    /// So many have begun to carry their first session.
    pub(crate) fn used(&mut self, count: usize) {
        self.pace.give_back(count.try_into().unwrap_or(u32::MAX), OPENINGS);
    }

    fn may_open(&mut self, now: Instant) -> bool {
        let admits = self.pace.admits(now, OPENINGS);
        if admits {
            self.pace.take(now, OPENINGS);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_ready_as_came_in_the_busiest_second_but_no_fewer_than_pool_and_no_more_than_64() {
        assert_eq!([ready(0, 2), ready(7, 2), ready(1000, 2), ready(0, 1000)], [2, 7, 64, 64]);
    }

    #[test]
    fn the_other_end_is_told_only_what_changes_by_a_quarter() {
        let mut told = Told::default();

        let news: Vec<_> = [0, 4, 4, 5, 5, 20, 24, 25, 4, 0, 0, 1].map(|ready| told.news(ready)).into();

        assert_eq!(
            news,
            [None, Some(4), None, Some(5), None, Some(20), None, Some(25), Some(4), Some(0), None, Some(1)]
        );
    }

    #[test]
    fn a_carrier_is_closed_once_it_was_one_too_many_for_a_minute() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut surplus = Surplus::default();

        let closed = [(0, 10), (30, 6), (59, 8), (60, 8), (61, 6), (90, 4), (91, 6), (121, 6), (151, 6)]
            .map(|(s, idle)| surplus.closes(idle, 4, at(s)));

        assert_eq!(closed, [0, 0, 0, 2, 0, 0, 0, 0, 2]);
        assert_eq!(Surplus::default().closes(MAX_IDLE + 3, 64, start), 3, "at once beyond the limit");
    }

    #[test]
    fn four_are_opened_at_one_time_64_at_once_and_then_20_a_second_and_one_for_each_that_is_used() {
        let start = Instant::now();
        let mut openings = Openings::default();
        assert_eq!(openings.take([64, 0], 0, start), [MAX_OPENING, 0]);
        assert_eq!(openings.take([64, 0], 3, start), [1, 0]);
        assert_eq!(openings.take([64, 9], 4, start), [0, 0]);
        assert_eq!(openings.take([0, 0], 0, start), [0, 0]);

        let all = 5
            + (0..200)
                .map_while(|_| (openings.take([0, 200], 3, start) == [0, 1]).then_some(1))
                .sum::<usize>();

        assert_eq!(all, 64);
        openings.used(3);
        assert_eq!(openings.take([64, 0], 0, start), [3, 0]);
        assert_eq!(openings.take([64, 0], 0, start + Duration::from_millis(100)), [2, 0]);
    }

    #[test]
    fn whoever_misses_more_comes_first_and_the_other_is_not_forgotten() {
        let taken = |missing| Openings::default().take(missing, 0, Instant::now());

        assert_eq!(taken([1, 9]), [0, 4]);
        assert_eq!(taken([3, 4]), [2, 2]);
        assert_eq!(taken([1, 1]), [1, 1]);
    }
}
