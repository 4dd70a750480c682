//! Whether the other end of a control lives: questions, answers, and when to give it up. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// Questions without an answer that are the end.
const MOST_UNANSWERED: u32 = 3;

/// How long a probe waits for its answer.
const PROBE: Duration = Duration::from_secs(2);

/// How often the other end is asked at least and at most, whatever either end has written.
const BOUNDS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// The time between two questions.
pub(crate) fn every(ping: Duration) -> Duration {
    let [least, most] = BOUNDS;
    ping.clamp(least, most)
}

/// The questions of one end.
#[derive(Debug)]
pub(crate) struct Pulse {
    every: Duration,
    /// The number of the last question.
    last: Option<u32>,
    due: Instant,
    unanswered: u32,
    /// The end of a probe.
    deadline: Option<Instant>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Put this question.
    Ask(u32),
    /// The other end is dead.
    Dead,
    /// Nothing before this time.
    Wait(Instant),
}

impl Pulse {
    pub(crate) fn new(ping: Duration, now: Instant) -> Pulse {
        Pulse { every: every(ping), last: None, due: now, unanswered: 0, deadline: None }
    }

    /// What is due.
    pub(crate) fn beat(&mut self, now: Instant) -> Beat {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Beat::Dead;
        }
        if now < self.due {
            return Beat::Wait(self.deadline.map_or(self.due, |deadline| deadline.min(self.due)));
        }
        if self.unanswered >= MOST_UNANSWERED {
            return Beat::Dead;
        }
        Beat::Ask(self.ask(now))
    }

    /// Asks at once.
    pub(crate) fn ask(&mut self, now: Instant) -> u32 {
        let number = self.last.map_or(0, |number| number.wrapping_add(1));
        (self.last, self.due) = (Some(number), now + self.every);
        self.unanswered += 1;
        number
    }

    /// Asks at once, and gives the other end [`PROBE`] to answer.
    pub(crate) fn probe(&mut self, now: Instant) -> u32 {
        self.deadline = Some(now + PROBE);
        self.ask(now)
    }

    /// Something has arrived, which is as good as an answer to every question but a probe's.
    pub(crate) fn lives(&mut self) {
        self.unanswered = 0;
    }

    /// The answer to a question has arrived. Whether it is that to the last one, so that all that was sent before has
    /// arrived, and a probe is over.
    pub(crate) fn answered(&mut self, number: u32) -> bool {
        self.lives();
        let is_last = self.last == Some(number);
        if is_last {
            self.deadline = None;
        }
        is_last
    }

    /// Whether a probe waits for its answer.
    pub(crate) fn is_probed(&self) -> bool {
        self.deadline.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Duration = Duration::from_secs(10);

    #[test]
    fn three_questions_without_an_answer_are_the_end_and_one_answer_is_none() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut pulse = Pulse::new(PING, start);
        assert_eq!(pulse.beat(start), Beat::Ask(0));
        assert_eq!(pulse.beat(at(1)), Beat::Wait(at(10)));
        assert!(pulse.answered(0));

        assert_eq!([10, 20, 30].map(|s| pulse.beat(at(s))), [1, 2, 3].map(Beat::Ask));
        assert_eq!(pulse.beat(at(39)), Beat::Wait(at(40)));
        let mut answered = Pulse { last: pulse.last, ..Pulse::new(PING, at(40)) };
        answered.unanswered = 3;
        assert_eq!(pulse.beat(at(40)), Beat::Dead);

        answered.lives();
        assert_eq!(answered.beat(at(40)), Beat::Ask(4));
    }

    #[test]
    fn a_process_that_stood_still_asks_before_it_gives_up() {
        let start = Instant::now();
        let mut pulse = Pulse::new(PING, start);
        pulse.beat(start);
        pulse.lives();

        assert_eq!(pulse.beat(start + Duration::from_secs(3600)), Beat::Ask(1));
    }

    #[test]
    fn a_probe_asks_at_once_and_is_dead_after_two_seconds_unless_it_is_answered() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let probed = || {
            let mut pulse = Pulse::new(PING, start);
            pulse.beat(start);
            assert_eq!((pulse.probe(at(500)), pulse.is_probed()), (1, true));
            pulse
        };

        let mut silent = probed();
        silent.lives();
        assert!(!silent.answered(0), "an answer to an earlier question is none to the probe");
        assert_eq!(silent.beat(at(1000)), Beat::Wait(at(2500)));
        assert_eq!(silent.beat(at(2500)), Beat::Dead);

        let mut living = probed();
        assert!(living.answered(1));
        assert_eq!((living.beat(at(2500)), living.is_probed()), (Beat::Wait(at(10_500)), false));
    }

    #[test]
    fn neither_end_can_have_the_other_asked_too_often_or_too_seldom() {
        assert_eq!(every(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(every(PING), PING);
        assert_eq!(every(Duration::from_secs(65_535)), Duration::from_secs(60));
    }
}
