//! Our own troubles in reaching targets: told as ours, once when they begin and once when they are over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::incidents::Incidents;
use crate::diagnosis::Verdict;
use crate::outcome::Cause;
use crate::units::Seconds;

/// The troubles that go on. Locked by dials that failed, and once a second or so by the health checker.
#[derive(Default)]
pub(crate) struct LocalErrors {
    incidents: Mutex<Incidents<LocalError>>,
}

/// What is wrong, and towards whom; towards everybody where the target makes no difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LocalError {
    cause: &'static str,
    target: Option<Arc<str>>,
}

impl LocalErrors {
    /// Notes a dial that failed for a reason of ours.
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
                "cannot dial {target}, not its fault: {cause}: {remedy} [{verdict}]"
            ),
            None => tracing::warn!(
                "target" = %target, cause = %cause, "cannot dial {target}, not its fault: {cause}: {remedy}"
            ),
        }
    }

    /// Tells what is over.
    pub(crate) fn settle(&self, now: Instant) {
        let over = self.incidents().over(now);
        for (LocalError { cause, target }, incident) in over {
            let lasted = Seconds(incident.met.duration_since(incident.began));
            let dials =
                if incident.count == 1 { "1 dial".to_owned() } else { format!("{} dials", incident.count) };
            let towards = target.map_or("any target".into(), |target| target.to_string());
            tracing::info!("no more {cause} towards {towards}: {dials} failed in {lasted}");
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
