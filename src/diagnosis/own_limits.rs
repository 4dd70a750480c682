//! Limits of this process itself, which must not be blamed on the port or the target.

use super::finding::{Diagnosis, Fix, Question, Subject};
use super::verdict::{Certainty, Verdict};
use crate::limits::{Wanted, budget};
use crate::probe::system::limits::Descriptors;

/// With room for fewer sessions than this, the descriptor limit is reported before any other cause.
pub(crate) const LEAST_SESSIONS: usize = 16;

/// Descriptors the program itself needs: its runtimes' pollers and wake-ups, signals, a listener.
const OWN_DESCRIPTORS: usize = 9;

/// Whether the descriptor limit leaves room for fewer than `LEAST_SESSIONS` sessions.
pub(crate) fn has_too_few(descriptors: &Descriptors) -> bool {
    sessions(descriptors).is_some_and(|sessions| sessions < LEAST_SESSIONS)
}

/// How many sessions a `run` of this user could carry; `None` without a limit. The hard limit counts, because every
/// start raises the soft one.
pub(crate) fn sessions(descriptors: &Descriptors) -> Option<usize> {
    let limit = usize::try_from(descriptors.hard?).ok()?;
    // Counting needs a descriptor: if it fails, none is left.
    let used = descriptors.used.map_or(limit, |used| used.try_into().unwrap_or(limit));
    if used + OWN_DESCRIPTORS >= limit {
        return Some(0);
    }
    Some(budget(limit, used + OWN_DESCRIPTORS, Wanted::default()).connections)
}

/// The diagnosis for a descriptor limit that is too low.
pub(crate) fn too_few(question: Question, subject: Subject, descriptors: &Descriptors) -> Diagnosis {
    let mut diagnosis = Diagnosis::new(question, subject, Verdict::OwnFdLimit, Certainty::Proven);
    let limit = descriptors.hard.map_or("no limit".to_owned(), |limit| limit.to_string());
    let used = descriptors.used.map_or("all".to_owned(), |used| used.to_string());
    let sessions = sessions(descriptors).unwrap_or_default();
    diagnosis.summary =
        format!("this process may have {limit} descriptors and has {used}: room for {sessions} sessions");
    diagnosis.detail("how", "each session takes two; the address itself was not examined further");
    diagnosis.fact(
        "getrlimit",
        "RLIMIT_NOFILE",
        serde_json::json!({"soft": descriptors.soft, "hard": descriptors.hard, "used": descriptors.used}),
    );
    diagnosis.fixes.push(Fix {
        text: "raise the limit: ulimit -n, or LimitNOFILE= in a systemd unit".to_owned(),
        command: Vec::new(),
        root: true,
        risk: "none".to_owned(),
    });
    diagnosis
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few(hard: Option<u64>, used: Option<u64>) -> bool {
        has_too_few(&Descriptors { soft: Some(8), hard, used })
    }

    #[test]
    fn a_limit_with_room_for_fewer_than_sixteen_sessions_is_too_low() {
        assert!(
            few(Some(24), Some(4)) && few(Some(24), Some(24)) && few(Some(0), None) && few(Some(1024), None)
        );
        assert!(few(Some(1024), Some(1020)));
        assert!(!few(Some(64), Some(4)) && !few(None, None), "the soft limit is raised at a start");
    }
}
