//! The state of one target: unknown, up, stalled or down, and whether it changes too often to report each change.
//!
//! Pure: observations and times are arguments; the result is what to report. `checker` queries, dials and logs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::balance::{Check, HealthRules};
use crate::outcome::Cause;

/// This many changes within [`FLAPPING_WINDOW`] are reported as flapping.
pub(crate) const FLAPPING_CHANGES: usize = 3;

/// How long changes count together, and how long a flapping target must stay unchanged to count as settled.
const FLAPPING_WINDOW: Duration = Duration::from_secs(30);

/// The interval between two summaries of a flapping target.
pub(crate) const SUMMARY: Duration = Duration::from_secs(10);

/// The state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not observed yet.
    Unknown,
    /// It accepts connections.
    Up,
    /// The kernel completes its connections, but the program does not accept them.
    Stalled,
    /// Connections to it fail.
    Down(Cause),
}

/// One observation of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A dial succeeded, at least as far as the kernel.
    Reached,
    /// A dial or a check failed.
    Failed(Cause),
    /// A connecting check passed.
    Passed,
    /// The kernel's lookup found a listener for a connection.
    Listens,
    /// The kernel's lookup found none.
    Absent,
    /// The Unix socket does not exist.
    Missing,
    /// The Unix socket exists, and a query cannot determine whether a process listens on it: only a dial can.
    Hidden,
    /// Connections wait to be accepted, and none is accepted.
    Stuck,
    /// Connections are being accepted.
    Accepts,
    /// For a target in a tunnel: why it is down, or `None` if it is up, as its tunnel or the other end says. That counts
    /// at once: whoever says it has observed the target by rules of its own.
    Told(Option<Cause>),
}

/// What to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The target changed its stage.
    Became {
        /// The stage now.
        stage: Stage,
        /// The stage before.
        was: Stage,
        /// How long the previous stage lasted.
        after: Duration,
        /// How many dials failed during that time.
        failures: u64,
    },
    /// It changes so often that only a summary is reported.
    Flaps {
        /// The number of changes since it began to flap.
        changes: u64,
        /// The time since it began to flap.
        within: Duration,
    },
    /// It has stopped flapping.
    Settled {
        /// The stage now.
        stage: Stage,
        /// The number of changes while it flapped.
        changes: u64,
    },
}

/// The state of one target.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    stage: Stage,
    since: Instant,
    /// Since when it has been up, if it was down before.
    back: Option<Instant>,
    failures: u64,
    /// Whether a query has found no listener since it went down: only then can a query show that it is back.
    seen_absent: bool,
    /// What is required for a change.
    rules: Thresholds,
    /// Consecutive observations that contradict the current stage.
    against: u32,
    /// The times of the latest changes, at most [`FLAPPING_CHANGES`].
    changes: VecDeque<Instant>,
    flapping: Option<Flapping>,
    /// The stage last reported for this target under other rules, and since when; `None` after the first observation.
    reported: Option<(Stage, Instant)>,
}

/// How many consecutive observations make a change, and which kinds count.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    rise: u32,
    fall: u32,
    /// Whether only a check can bring it back up.
    is_checked: bool,
    /// Whether a passed check proves that the program itself answered.
    is_answered: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flapping {
    began: Instant,
    changed: Instant,
    reported: Instant,
    changes: u64,
    changes_reported: u64,
}

impl Health {
    /// A target that has not been observed.
    pub(crate) fn new(rules: &HealthRules, now: Instant) -> Health {
        let rules = Thresholds {
            rise: rules.rise,
            fall: rules.fall,
            is_checked: rules.check == Check::Connect,
            is_answered: rules.talk.is_some(),
        };
        Health {
            rules,
            against: 0,
            stage: Stage::Unknown,
            since: now,
            back: None,
            failures: 0,
            seen_absent: false,
            changes: VecDeque::new(),
            flapping: None,
            reported: None,
        }
    }

    /// Takes over from the same target's health under earlier rules: if it was reported down, its return is reported
    /// under these rules too.
    #[must_use]
    pub(crate) fn after(mut self, earlier: &Health) -> Health {
        self.reported = match earlier.stage {
            Stage::Unknown => earlier.reported,
            stage => Some((stage, earlier.since)),
        };
        self
    }

    /// The current stage.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// How long it has been up, if it was down before.
    pub(crate) fn back(&self, now: Instant) -> Option<Duration> {
        self.back.map(|at| now.saturating_duration_since(at))
    }

    /// Whether one more successful dial would change nothing.
    pub(crate) fn is_sure(&self) -> bool {
        let takes_clients = matches!(self.stage, Stage::Up | Stage::Stalled);
        takes_clients && (self.against == 0 || self.rules.is_checked)
    }

    /// Whether this event is no evidence about the stage. With active checks, a successful dial for a client does not
    /// show that a check would pass.
    fn is_no_sign(&self, event: Event) -> bool {
        match event {
            Event::Hidden => true,
            Event::Reached | Event::Listens => self.rules.is_checked && self.stage != Stage::Unknown,
            _ => false,
        }
    }

    /// Whether it changes too often to report each change.
    pub(crate) fn flaps(&self) -> bool {
        self.flapping.is_some()
    }

    /// Whether a query can show that it is back: it is down, and a query has found no listener.
    pub(crate) fn can_be_seen_back(&self) -> bool {
        matches!(self.stage, Stage::Down(Cause::Refused | Cause::NoSocket)) && self.seen_absent
    }

    /// Applies an event and returns what to report.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Option<News> {
        if let Event::Failed(cause) = event
            && cause.blames_target()
        {
            self.failures += 1;
        }
        let next = self.next(event);
        self.seen_absent = match event {
            Event::Absent | Event::Missing | Event::Failed(Cause::NoSocket) => true,
            Event::Hidden => false,
            _ => matches!(next, Stage::Down(_)) && self.seen_absent,
        };
        let next = match event {
            Event::Told(_) => self.take(next),
            _ if self.is_no_sign(event) => self.stage,
            _ => self.weigh(next),
        };
        if next == self.stage {
            return None;
        }
        self.become_stage(next, now)
    }

    /// Returns what is due by time alone. Called about once a second; matters while the target flaps.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<News> {
        let flapping = self.flapping.as_mut()?;
        let changes = flapping.changes;
        if now.duration_since(flapping.changed) >= FLAPPING_WINDOW {
            self.flapping = None;
            self.changes.clear();
            return Some(News::Settled { stage: self.stage, changes });
        }
        if changes == flapping.changes_reported || now.duration_since(flapping.reported) < SUMMARY {
            return None;
        }
        (flapping.reported, flapping.changes_reported) = (now, changes);
        Some(News::Flaps { changes, within: now.duration_since(flapping.began) })
    }

    /// The stage that was told: nothing is weighed, and what was counted until then is forgotten.
    fn take(&mut self, told: Stage) -> Stage {
        self.against = 0;
        told
    }

    /// The stage after one more observation of `next`: `fall` in a row take it down, `rise` in a row bring it back.
    fn weigh(&mut self, next: Stage) -> Stage {
        let is_down = |stage: Stage| matches!(stage, Stage::Down(_));
        let wanted = match (is_down(self.stage), is_down(next)) {
            // The first observation establishes the stage.
            _ if self.stage == Stage::Unknown => 1,
            (false, true) => self.rules.fall,
            (true, false) => self.rules.rise,
            _ => {
                self.against = 0;
                return next;
            }
        };
        self.against += 1;
        if self.against < wanted {
            return self.stage;
        }
        self.against = 0;
        next
    }

    fn next(&self, event: Event) -> Stage {
        match (event, self.stage) {
            (Event::Passed, Stage::Stalled) if !self.rules.is_answered => Stage::Stalled,
            (Event::Passed, _) => Stage::Up,
            // One more connection completed by the kernel says nothing about the program.
            (Event::Reached, Stage::Stalled) => Stage::Stalled,
            (Event::Reached, _) => Stage::Up,
            // The accept queue is full by now: the same stall, further on.
            (Event::Failed(Cause::TimedOut | Cause::Reset | Cause::TlsRefused), Stage::Stalled) => {
                Stage::Stalled
            }
            (Event::Failed(cause), _) if cause.blames_target() => Stage::Down(cause),
            (Event::Listens, Stage::Unknown) => Stage::Up,
            // A refusal despite a listener comes from a firewall, and only a dial shows when that ends.
            (Event::Listens, Stage::Down(_)) if self.can_be_seen_back() => Stage::Up,
            (Event::Absent, _) => Stage::Down(Cause::Refused),
            (Event::Missing, _) => Stage::Down(Cause::NoSocket),
            (Event::Stuck, Stage::Unknown | Stage::Up) => Stage::Stalled,
            (Event::Accepts, Stage::Unknown | Stage::Stalled) => Stage::Up,
            (Event::Told(None), _) => Stage::Up,
            (Event::Told(Some(cause)), _) => Stage::Down(cause),
            (_, stage) => stage,
        }
    }

    fn become_stage(&mut self, stage: Stage, now: Instant) -> Option<News> {
        let was = std::mem::replace(&mut self.stage, stage);
        let after = now.duration_since(std::mem::replace(&mut self.since, now));
        let failures = std::mem::take(&mut self.failures);
        self.back = match (was, stage) {
            (Stage::Down(_), Stage::Up) => Some(now),
            (_, Stage::Down(_)) => None,
            _ => self.back,
        };
        match (was, stage) {
            (Stage::Unknown, Stage::Up) => {
                let (was, since) = self.reported.take().filter(|(was, _)| *was != Stage::Up)?;
                return Some(News::Became { stage, was, after: now.duration_since(since), failures });
            }
            // The first observation establishes the stage; nothing has changed.
            (Stage::Unknown, _) => return Some(News::Became { stage, was, after, failures }),
            _ => self.note_change(now),
        }
        match &mut self.flapping {
            None => Some(News::Became { stage, was, after, failures }),
            Some(flapping) if flapping.changes_reported == 0 => {
                flapping.changes_reported = flapping.changes;
                Some(News::Flaps { changes: flapping.changes, within: now.duration_since(flapping.began) })
            }
            Some(_) => None,
        }
    }

    fn note_change(&mut self, now: Instant) {
        if let Some(flapping) = &mut self.flapping {
            flapping.changes += 1;
            flapping.changed = now;
            return;
        }
        self.changes.retain(|change| now.duration_since(*change) < FLAPPING_WINDOW);
        self.changes.push_back(now);
        if self.changes.len() >= FLAPPING_CHANGES {
            self.flapping = Some(Flapping {
                began: self.changes[0],
                changed: now,
                reported: now,
                changes: self.changes.len() as u64,
                changes_reported: 0,
            });
        }
    }
}

#[cfg(test)]
mod tests;
