//! How often either end of a control may speak. Pure: the clock is an argument.

use std::time::{Duration, Instant};

use crate::limits::{Allowance, Pace};
use crate::units::{Frequency, Unit};

/// The messages that may come: 100 a second.
const MESSAGES: Allowance = Allowance { frequency: Frequency { count: 100, per: Unit::Second }, burst: 100 };

/// The questions that may come: 2 a second. Some are a burst where the way between has stood still and delivers all at once.
const PINGS: Allowance = Allowance { frequency: Frequency { count: 2, per: Unit::Second }, burst: 8 };

/// The messages that this end has on their way at most. Fewer than may come at once, so that the other end never meets too
/// many of ours, however long the way between has stood still.
const MOST_ON_THEIR_WAY: u32 = 50;

/// The time between two questions that only ask whether messages have arrived.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);

/// What has come from the other end.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    messages: Pace,
    pings: Pace,
}

impl Rates {
    /// Whether a message may come now.
    pub(crate) fn message(&mut self, now: Instant) -> bool {
        takes(&mut self.messages, MESSAGES, now)
    }

    /// Whether a question may come now.
    pub(crate) fn ping(&mut self, now: Instant) -> bool {
        takes(&mut self.pings, PINGS, now)
    }
}

fn takes(pace: &mut Pace, most: Allowance, now: Instant) -> bool {
    let admits = pace.admits(now, most);
    if admits {
        pace.take(now, most);
    }
    admits
}

/// What this end has sent and the other has not been seen to have read.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Since the last question.
    since: u32,
    /// Before the last question, which is not answered yet.
    before: u32,
    asked: Option<Instant>,
    /// Questions of any kind that are not answered yet.
    questions: u32,
}

impl Sent {
    /// Whether another message may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.since + self.before < MOST_ON_THEIR_WAY
    }

    /// A message was sent.
    pub(crate) fn message(&mut self) {
        self.since += 1;
    }

    /// A question was put, behind all that was sent.
    pub(crate) fn question(&mut self, now: Instant) {
        self.before += std::mem::take(&mut self.since);
        self.asked = Some(now);
        self.questions += 1;
    }

    /// An answer has come, to whichever question. Whether there was one: nobody may send more answers, which are the only
    /// frames of a control that no rate bounds.
    pub(crate) fn answer(&mut self) -> bool {
        let is_awaited = self.questions > 0;
        self.questions = self.questions.saturating_sub(1);
        is_awaited
    }

    /// The last question was answered: all before it has been read.
    pub(crate) fn answered(&mut self) {
        self.before = 0;
    }

    /// When to ask whether messages have been read, if there is a need.
    pub(crate) fn question_due(&self, now: Instant) -> Option<Instant> {
        let is_needed = !self.has_room() && self.since > 0;
        is_needed.then(|| self.asked.map_or(now, |asked| asked + BETWEEN_QUESTIONS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_messages_a_second_are_taken_and_no_more() {
        let start = Instant::now();
        let mut rates = Rates::default();

        assert_eq!((0..1000).take_while(|_| rates.message(start)).count(), 100);
        assert!(rates.message(start + Duration::from_millis(10)));
        assert!(!rates.message(start + Duration::from_millis(10)));
    }

    #[test]
    fn two_questions_a_second_are_taken_for_ever_and_three_are_not() {
        let start = Instant::now();
        let taken = |every_ms: u64| {
            let mut rates = Rates::default();
            (0..1000).take_while(|n| rates.ping(start + Duration::from_millis(n * every_ms))).count()
        };

        assert_eq!(taken(500), 1000);
        assert!(taken(333) < 30);
        assert_eq!(taken(0), 8);
    }

    #[test]
    fn what_was_not_seen_to_be_read_is_never_more_than_the_other_end_takes_at_once() {
        let start = Instant::now();
        let mut sent = Sent::default();
        let send_all = |sent: &mut Sent| {
            let mut count = 0;
            while sent.has_room() {
                sent.message();
                count += 1;
            }
            count
        };
        assert_eq!(send_all(&mut sent), 50);
        assert_eq!(sent.question_due(start), Some(start));

        sent.question(start);
        assert!(!sent.has_room());
        assert_eq!(sent.question_due(start), None, "one question at a time");
        sent.answered();
        assert_eq!(send_all(&mut sent), 50);

        assert_eq!(sent.question_due(start), Some(start + BETWEEN_QUESTIONS));
    }
}
