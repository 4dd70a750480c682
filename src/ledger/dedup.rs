//! Folds repeated identical refusals into one record with a count.
//!
//! Clients may be rejected by the thousand, and must not flood the log. The first record of a kind is written at once.
//! Those that follow within [`WINDOW`] are counted, and written as one record (the last of them, with `count=`) at the
//! end of the window. Time is an argument.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record::Record;
use crate::outcome::End;

/// How long refusals are gathered into one line.
const WINDOW: Duration = Duration::from_secs(1);

/// The largest number of kinds gathered at one time; records of further kinds are written at once.
const MAX_KINDS: usize = 1024;

/// What makes two refusals identical: route, target and end, with what the end carries; for a failed handshake also its
/// hint, which alone describes the failure.
type Kind = (Arc<str>, Arc<str>, End, Option<Arc<str>>);

#[derive(Debug, Default)]
pub(super) struct Folds {
    open: HashMap<Kind, Fold>,
}

#[derive(Debug)]
struct Fold {
    until: Instant,
    held: Option<Record>,
}

impl Folds {
    /// Takes a refusal and returns what is to be written now.
    pub(super) fn fold(&mut self, record: Record, now: Instant) -> Vec<Record> {
        let end = record.outcome.end;
        let hint = record.outcome.hint.clone().filter(|_| end == End::TlsFailed);
        let kind = (record.route.clone(), record.target.clone(), end, hint);
        let Some(fold) = self.open.get_mut(&kind) else {
            if self.open.len() < MAX_KINDS {
                self.open.insert(kind, Fold { until: now + WINDOW, held: None });
            }
            return vec![record];
        };
        if now >= fold.until {
            fold.until = now + WINDOW;
            return fold.held.take().into_iter().chain([record]).collect();
        }
        let count = fold.held.as_ref().map_or(0, |held| held.count);
        fold.held = Some(Record { count: count + 1, ..record });
        Vec::new()
    }

    /// The counts whose window has ended. A window without further records is closed.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Record> {
        let mut due = Vec::new();
        self.open.retain(|_, fold| {
            if now < fold.until {
                return true;
            }
            fold.until = now + WINDOW;
            let held = fold.held.take();
            let goes_on = held.is_some();
            due.extend(held);
            goes_on
        });
        due
    }

    /// All counts held back.
    pub(super) fn all(&mut self) -> Vec<Record> {
        self.open.drain().filter_map(|(_, fold)| fold.held).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cause, Client, Outcome, Phase, SessionId, Timing, Traffic, Way};

    fn failure(cause: Cause) -> Record {
        let outcome = Outcome {
            end: End::NoTarget(cause),
            phase: Phase::Connect,
            closed_by: None,
            target: None,
            attempts: Vec::new(),
            traffic: Traffic::default(),
            timing: Timing::default(),
            way: Way::None,
            datagrams: None,
            kernel: None,
            hint: None,
        };
        let client = Client::Net(([127, 0, 0, 1], 40000).into());
        Record {
            route: "web".into(),
            target: "127.0.0.1:3000".into(),
            client,
            via: None,
            id: SessionId([0; 10]),
            tunnel: None,
            carrier: None,
            far: false,
            name: None,
            client_tls: None,
            target_tls: None,
            no_close_notify: None,
            dry_run: None,
            outcome,
            count: 1,
        }
    }

    #[test]
    fn a_thousand_refusals_in_a_second_are_two_lines() {
        let (mut folds, start) = (Folds::default(), Instant::now());

        let first = folds.fold(failure(Cause::Refused), start);
        let then: Vec<_> = (0..999).flat_map(|_| folds.fold(failure(Cause::Refused), start)).collect();
        let due = folds.due(start + WINDOW);

        assert_eq!((first.len(), then.len(), due.len()), (1, 0, 1));
        assert_eq!(due[0].count, 999);
    }

    #[test]
    fn another_cause_is_another_line_at_once() {
        let (mut folds, start) = (Folds::default(), Instant::now());

        folds.fold(failure(Cause::Refused), start);

        assert_eq!(folds.fold(failure(Cause::TimedOut), start).len(), 1);
    }

    #[test]
    fn a_failure_after_a_quiet_window_is_written_at_once() {
        let (mut folds, start) = (Folds::default(), Instant::now());

        folds.fold(failure(Cause::Refused), start);
        assert!(folds.due(start + WINDOW).is_empty());

        assert_eq!(folds.fold(failure(Cause::Refused), start + 2 * WINDOW).len(), 1);
    }

    #[test]
    fn nothing_held_back_is_forgotten_at_the_end() {
        let (mut folds, start) = (Folds::default(), Instant::now());

        folds.fold(failure(Cause::Refused), start);
        folds.fold(failure(Cause::Refused), start);

        assert_eq!(folds.all().iter().map(|record| record.count).sum::<u64>(), 1);
    }
}
