//! Whether a tunnel comes and goes. Pure: the clock is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How often it may come up in [`WINDOW`]; once more is told.
const MANY: usize = 5;

/// The time that is looked back on.
const WINDOW: Duration = Duration::from_secs(600);

/// The most that are remembered of it.
const MAX_UPS: usize = 256;

/// When the tunnel came up lately, and why it went down again.
#[derive(Debug, Default)]
pub(crate) struct Ups {
    /// Each time with the word for its end, once it has one.
    ups: VecDeque<(Instant, Option<&'static str>)>,
    is_told: bool,
}

impl Ups {
    /// It is up. What to tell of that, if it is once too often: how often, and the causes with their counts. Told once, and
    /// again only after it has come up no more than once in the whole window.
    pub(crate) fn up(&mut self, now: Instant) -> Option<(usize, String)> {
        self.ups.retain(|(at, _)| now.saturating_duration_since(*at) < WINDOW);
        self.is_told &= !self.ups.is_empty();
        if self.ups.len() == MAX_UPS {
            self.ups.pop_front();
        }
        self.ups.push_back((now, None));
        if self.ups.len() <= MANY || self.is_told {
            return None;
        }
        self.is_told = true;
        Some((self.ups.len(), self.causes()))
    }

    /// It has ended for this reason. An end that was announced, as of a program that starts anew, does not count.
    pub(crate) fn down(&mut self, cause: &'static str, is_announced: bool) {
        match is_announced {
            true => drop(self.ups.pop_back()),
            false => {
                if let Some((_, end)) = self.ups.back_mut() {
                    *end = Some(cause);
                }
            }
        }
    }

    /// `timed_out 4, lost 1`: the most frequent first.
    fn causes(&self) -> String {
        let mut counts = BTreeMap::<&str, usize>::new();
        for cause in self.ups.iter().filter_map(|(_, cause)| *cause) {
            *counts.entry(cause).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let counts: Vec<String> = counts.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
        counts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ups: &mut Ups, seconds: &[u64], start: Instant) -> Vec<Option<(usize, String)>> {
        let up = |second: &u64| {
            let told = ups.up(start + Duration::from_secs(*second));
            ups.down(if second.is_multiple_of(100) { "lost" } else { "timed_out" }, false);
            told
        };
        seconds.iter().map(up).collect()
    }

    #[test]
    fn a_tunnel_that_comes_up_a_sixth_time_in_ten_minutes_is_told_once_with_its_causes() {
        let (mut ups, start) = (Ups::default(), Instant::now());

        let told = after(&mut ups, &[0, 50, 100, 150, 250, 350, 400, 450], start);

        assert!(told[..5].iter().all(Option::is_none), "{told:?}");
        assert_eq!(told[5], Some((6, "timed_out 3, lost 2".into())));
        assert!(told[6..].iter().all(Option::is_none), "{told:?}");
    }

    #[test]
    fn five_in_ten_minutes_are_none_too_many_and_a_restart_that_was_announced_is_none() {
        let (mut ups, start) = (Ups::default(), Instant::now());
        for minute in 0..60 {
            assert_eq!(ups.up(start + Duration::from_secs(120 * minute)), None, "every two minutes");
            ups.down("lost", false);
        }

        let mut ups = Ups::default();
        for second in 0..100 {
            assert_eq!(ups.up(start + Duration::from_secs(second)), None);
            ups.down("stopping", true);
        }
    }

    #[test]
    fn it_is_told_again_only_after_a_quiet_window() {
        let (mut ups, start) = (Ups::default(), Instant::now());
        assert!(after(&mut ups, &[0, 1, 2, 3, 4, 5], start)[5].is_some());
        assert!(after(&mut ups, &[590, 591, 592, 593, 594, 595], start).iter().all(Option::is_none));

        let told = after(&mut ups, &[1200, 1201, 1202, 1203, 1204, 1205], start);

        assert_eq!(told[5].as_ref().map(|(count, _)| *count), Some(6));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut ups, start) = (Ups::default(), Instant::now());
        for n in 0..10_000 {
            ups.up(start + Duration::from_millis(n));
        }

        assert_eq!(ups.ups.len(), MAX_UPS);
    }
}
