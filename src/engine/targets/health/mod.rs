//! The state of one target: unknown, up, stalled or down, and whether it changes too often to tell each change.
//!
//! Pure: what somebody saw and when are arguments; what comes out is what is to be told. Who looks, dials and tells is
//! `checker`'s.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::balance::{Check, HealthRules};
use crate::outcome::Cause;

/// This many changes within [`FLAPPING_WINDOW`] are told as one thing.
pub(crate) const FLAPPING_CHANGES: usize = 3;

/// How long changes count together, and how long a flapping target must hold still to count as settled.
const FLAPPING_WINDOW: Duration = Duration::from_secs(30);

/// How often a target that flaps is summed up.
pub(crate) const SUMMARY: Duration = Duration::from_secs(10);

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody has looked yet.
    Unknown,
    /// It takes connections.
    Up,
    /// The kernel takes its connections, the program does not.
    Stalled,
    /// It takes none.
    Down(Cause),
}

/// What somebody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A dial was answered, by the kernel at least.
    Reached,
    /// A dial failed, or a check.
    Failed(Cause),
    /// A check that connects found all as it should be.
    Passed,
    /// By the kernel's look-up, a connection would meet a listener.
    Listens,
    /// By the kernel's look-up, it would meet none.
    Absent,
    /// A look has found no such Unix socket.
    Missing,
    /// There is a Unix socket, and a look cannot tell whether somebody listens on it: only a dial can.
    Hidden,
    /// Connections wait to be accepted, and none is.
    Stuck,
    /// Connections are accepted.
    Accepts,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It has become another.
    Became {
        /// What it is now.
        stage: Stage,
        /// What it was.
        was: Stage,
        /// How long it was that.
        after: Duration,
        /// How many dials failed meanwhile.
        failures: u64,
    },
    /// It changes so often that only the sum is told.
    Flaps {
        /// How often it has changed since it began to flap.
        changes: u64,
        /// In how long.
        within: Duration,
    },
    /// It flaps no more.
    Settled {
        /// What it is now.
        stage: Stage,
        /// How often it changed while it flapped.
        changes: u64,
    },
}

/// One target's state.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    stage: Stage,
    since: Instant,
    /// Since when it has been up, where it was down before.
    back: Option<Instant>,
    failures: u64,
    /// Whether a look has found nobody since it went down: only then can a look find it back.
    seen_absent: bool,
    /// What has to come together for a change.
    rules: Thresholds,
    /// Signs in a row against what it is.
    against: u32,
    /// The times of the last changes, at most [`FLAPPING_CHANGES`].
    changes: VecDeque<Instant>,
    flapping: Option<Flapping>,
    /// What was told of the target last, under other rules, and since when it was so; until the first look.
    told: Option<(Stage, Instant)>,
}

/// How many signs in a row make a change, and who may give them.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    rise: u32,
    fall: u32,
    /// Whether only a check brings it back.
    is_checked: bool,
    /// Whether a check that passes is an answer of the program.
    is_answered: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flapping {
    began: Instant,
    changed: Instant,
    told: Instant,
    changes: u64,
    changes_told: u64,
}

impl Health {
    /// A target nobody has looked at.
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
            told: None,
        }
    }

    /// The same of a target that was looked after by other rules before: where it was told to be down, it is told as well
    /// that it is up by these.
    #[must_use]
    pub(crate) fn after(mut self, earlier: &Health) -> Health {
        self.told = match earlier.stage {
            Stage::Unknown => earlier.told,
            stage => Some((stage, earlier.since)),
        };
        self
    }

    /// What it is.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// For how long it has been up, where it was down before.
    pub(crate) fn back(&self, now: Instant) -> Option<Duration> {
        self.back.map(|at| now.saturating_duration_since(at))
    }

    /// Whether one more dial that was answered changes nothing.
    pub(crate) fn is_sure(&self) -> bool {
        let takes_clients = matches!(self.stage, Stage::Up | Stage::Stalled);
        takes_clients && (self.against == 0 || self.rules.is_checked)
    }

    /// Whether this says nothing for or against what it is. Where it is checked, that a client could be carried there is no
    /// sign that it would pass.
    fn is_no_sign(&self, event: Event) -> bool {
        match event {
            Event::Hidden => true,
            Event::Reached | Event::Listens => self.rules.is_checked && self.stage != Stage::Unknown,
            _ => false,
        }
    }

    /// Whether it changes too often to tell each change.
    pub(crate) fn flaps(&self) -> bool {
        self.flapping.is_some()
    }

    /// Whether a look can find it back: it is down, and a look has found nobody there.
    pub(crate) fn can_be_seen_back(&self) -> bool {
        matches!(self.stage, Stage::Down(Cause::Refused | Cause::NoSocket)) && self.seen_absent
    }

    /// Takes what was seen, and gives what is to be told of it.
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
        let next = if self.is_no_sign(event) { self.stage } else { self.weigh(next) };
        if next == self.stage {
            return None;
        }
        self.become_stage(next, now)
    }

    /// What is due by time alone; asked about once a second while it flaps.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<News> {
        let flapping = self.flapping.as_mut()?;
        let changes = flapping.changes;
        if now.duration_since(flapping.changed) >= FLAPPING_WINDOW {
            self.flapping = None;
            self.changes.clear();
            return Some(News::Settled { stage: self.stage, changes });
        }
        if changes == flapping.changes_told || now.duration_since(flapping.told) < SUMMARY {
            return None;
        }
        (flapping.told, flapping.changes_told) = (now, changes);
        Some(News::Flaps { changes, within: now.duration_since(flapping.began) })
    }

    /// What it is after one more sign that it is `next`: down after enough in a row, and no longer down after enough.
    fn weigh(&mut self, next: Stage) -> Stage {
        let is_down = |stage: Stage| matches!(stage, Stage::Down(_));
        let wanted = match (is_down(self.stage), is_down(next)) {
            // The first look finds how things are.
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
            // That the kernel takes one more connection says nothing about the program.
            (Event::Reached, Stage::Stalled) => Stage::Stalled,
            (Event::Reached, _) => Stage::Up,
            // Its queue is full by now: the same trouble, grown.
            (Event::Failed(Cause::TimedOut | Cause::Reset | Cause::TlsRefused), Stage::Stalled) => {
                Stage::Stalled
            }
            (Event::Failed(cause), _) if cause.blames_target() => Stage::Down(cause),
            (Event::Listens, Stage::Unknown) => Stage::Up,
            // Refused in spite of a listener is a firewall's doing, and only a dial can tell when that ends.
            (Event::Listens, Stage::Down(_)) if self.can_be_seen_back() => Stage::Up,
            (Event::Absent, _) => Stage::Down(Cause::Refused),
            (Event::Missing, _) => Stage::Down(Cause::NoSocket),
            (Event::Stuck, Stage::Unknown | Stage::Up) => Stage::Stalled,
            (Event::Accepts, Stage::Unknown | Stage::Stalled) => Stage::Up,
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
                let (was, since) = self.told.take().filter(|(was, _)| *was != Stage::Up)?;
                return Some(News::Became { stage, was, after: now.duration_since(since), failures });
            }
            // The first look finds how things are; nothing has changed.
            (Stage::Unknown, _) => return Some(News::Became { stage, was, after, failures }),
            _ => self.note_change(now),
        }
        match &mut self.flapping {
            None => Some(News::Became { stage, was, after, failures }),
            Some(flapping) if flapping.changes_told == 0 => {
                flapping.changes_told = flapping.changes;
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
                told: now,
                changes: self.changes.len() as u64,
                changes_told: 0,
            });
        }
    }
}

#[cfg(test)]
mod tests;
