//! Local errors in reaching targets: reported as local, once when they begin and once when they end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::incidents::Incidents;
use crate::diagnosis::Verdict;
use crate::outcome::Cause;
use crate::transport::MAX_HOPS;
use crate::units::Seconds;

/// The ongoing errors. Locked by failed dials, and about once a second by the health checker.
#[derive(Default)]
pub(crate) struct LocalErrors {
    incidents: Mutex<Incidents<LocalError>>,
}

/// The error and the affected target; `None` where it affects every target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LocalError {
    cause: &'static str,
    target: Option<Arc<str>>,
}

/// What a loop is called in the line about its end.
const LOOP: &str = "loop";

impl LocalErrors {
    /// Records a dial that failed for a local reason.
    pub(crate) fn meet(&self, target: &Arc<str>, cause: Cause, now: Instant) {
        let everywhere = matches!(cause, Cause::NoDescriptor | Cause::NoMemory);
        let error = LocalError { cause: cause.code(), target: (!everywhere).then(|| target.clone()) };
        if !self.incidents().meet(&error, now) {
            return;
        }
        let remedy = cause.remedy();
        match verdict(cause) {
            Some(verdict) => tracing::warn!(
                "target" = %target, cause = %cause, verdict = verdict.id(),
                "cannot connect to {target} (a local problem): {cause}: {remedy} [{verdict}]"
            ),
            None => tracing::warn!(
                "target" = %target, cause = %cause, "cannot connect to {target} (a local problem): {cause}: {remedy}"
            ),
        }
    }

    /// Records a dial that was refused because the target leads back to itself.
    pub(crate) fn meet_loop(&self, target: &Arc<str>, now: Instant) {
        let error = LocalError { cause: LOOP, target: Some(target.clone()) };
        if self.incidents().meet(&error, now) {
            let verdict = Verdict::ForwardLoop;
            tracing::warn!(
                "target" = %target, verdict = verdict.id(),
                "{target} leads back to itself, a loop through {MAX_HOPS} forwards of Loopgate on this machine: its \
                 clients are refused until the target of one of them is changed [{verdict}]"
            );
        }
    }

    /// Logs the errors that have ended.
    pub(crate) fn settle(&self, now: Instant) {
        let over = self.incidents().over(now);
        for (LocalError { cause, target }, incident) in over {
            let lasted = Seconds(incident.met.duration_since(incident.began));
            let dials =
                if incident.count == 1 { "1 dial".to_owned() } else { format!("{} dials", incident.count) };
            let towards = target.map_or("any target".into(), |target| target.to_string());
            tracing::info!("local problem over: {cause} connecting to {towards}: {dials} failed in {lasted}");
        }
    }

    fn incidents(&self) -> std::sync::MutexGuard<'_, Incidents<LocalError>> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn verdict(cause: Cause) -> Option<Verdict> {
    match cause {
        Cause::NoSourcePort => Some(Verdict::EphemeralPortsExhausted),
        Cause::NoDescriptor => Some(Verdict::OwnFdLimit),
        _ => None,
    }
}
