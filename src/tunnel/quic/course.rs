//! When QUIC is tried, and what of it is told. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// When it is tried again after it has failed, or has fallen silent: for ever, since what blocks UDP may go.
pub(super) const AGAIN: Duration = Duration::from_secs(60);

/// The shortest time between two tries, however often the network changes.
const BETWEEN: Duration = Duration::from_secs(2);

/// The tries of one control.
#[derive(Debug)]
pub(super) struct Course {
    tried: Option<Instant>,
    due: Instant,
}

impl Course {
    /// It is tried at once.
    pub(super) fn new(now: Instant) -> Course {
        Course { tried: None, due: now }
    }

    /// When it is tried next.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// It is tried now.
    pub(super) fn tries(&mut self, now: Instant) {
        (self.tried, self.due) = (Some(now), now + AGAIN);
    }

    /// It has worked, and has ended now: once more at once if it has lasted, else after the pause.
    pub(super) fn ended(&mut self, now: Instant) {
        if self.tried.is_some_and(|tried| now.saturating_duration_since(tried) < AGAIN) {
            self.due = now + AGAIN;
        } else {
            self.due = now;
        }
    }

    /// The network has changed.
    pub(super) fn nudged(&mut self, now: Instant) {
        let soonest = self.tried.map_or(now, |tried| tried + BETWEEN);
        self.due = self.due.min(soonest.max(now));
    }
}

/// By what the datagrams of a tunnel go, as it was told last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum By {
    /// Nothing was told.
    #[default]
    Untold,
    /// QUIC.
    Quic,
    /// TLS, for this reason.
    Tls(&'static str),
}

impl By {
    /// Notes by what they go now; whether that is news.
    pub(super) fn is_news(&mut self, now: By) -> bool {
        let is_news = *self != now;
        *self = now;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_at_once_and_every_minute_for_ever() {
        let start = Instant::now();
        let mut course = Course::new(start);
        for n in 0..1000 {
            let due = start + AGAIN * n;
            assert_eq!(course.due(), due);
            course.tries(due);
        }
    }

    #[test]
    fn it_is_tried_when_the_network_changes_but_no_more_than_every_two_seconds() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut course = Course::new(start);
        course.tries(start);

        course.nudged(at(500));
        assert_eq!(course.due(), start + BETWEEN);
        course.tries(at(2000));
        course.nudged(at(30_000));
        assert_eq!(course.due(), at(30_000));
    }

    #[test]
    fn what_lasted_is_tried_again_at_once_and_what_did_not_after_a_minute() {
        let start = Instant::now();
        let ended_after = |lasted: Duration| {
            let mut course = Course::new(start);
            course.tries(start);
            course.ended(start + lasted);
            course.due() - (start + lasted)
        };

        assert_eq!(ended_after(AGAIN), Duration::ZERO);
        assert_eq!(ended_after(Duration::from_secs(4)), AGAIN);
    }

    #[test]
    fn only_a_change_is_news() {
        let mut by = By::default();

        assert!(by.is_news(By::Tls("silent")) && !by.is_news(By::Tls("silent")));
        assert!(by.is_news(By::Quic) && !by.is_news(By::Quic) && by.is_news(By::Tls("refused")));
    }
}
