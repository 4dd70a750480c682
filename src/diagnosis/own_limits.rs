//! Limits of this process itself, which must not be blamed on the port or the target.

use super::finding::{Diagnosis, Fix, Question, Subject};
use super::verdict::{Certainty, Verdict};
use crate::limits::{Needs, Wanted};
use crate::probe::system::limits::{Descriptors, processors};

/// With room for fewer sessions than this, the descriptor limit is reported where nothing else is wrong.
pub(crate) const LEAST_SESSIONS: usize = 4;

/// Whether the descriptor limit leaves room for fewer than `LEAST_SESSIONS` sessions.
pub(crate) fn has_too_few(descriptors: &Descriptors) -> bool {
    sessions(descriptors).is_some_and(|sessions| sessions < LEAST_SESSIONS)
}

/// The same as an answer to whether an address can be listened on, which was so far `answered` otherwise or not: a start
/// that would be refused for its descriptors comes before everything else.
pub(crate) fn forbids_listening(descriptors: &Descriptors, answered: bool) -> bool {
    if answered { sessions(descriptors) == Some(0) } else { has_too_few(descriptors) }
}

/// How many sessions a `run` of this user could carry on one address; `None` without a limit. The hard limit counts,
/// because every start raises the soft one.
pub(crate) fn sessions(descriptors: &Descriptors) -> Option<usize> {
    sessions_with(processors(), descriptors)
}

fn sessions_with(workers: usize, descriptors: &Descriptors) -> Option<usize> {
    let limit = usize::try_from(descriptors.hard?).ok()?;
    // What cannot be counted is unknown, not used up.
    let used = descriptors.used.map_or(0, |used| used.try_into().unwrap_or(limit));
    Some(Needs { listeners: 1, workers, udp: false }.sessions(limit, used, Wanted::default()))
}

/// The diagnosis for a descriptor limit that is too low.
pub(crate) fn too_few(question: Question, subject: Subject, descriptors: &Descriptors) -> Diagnosis {
    let mut diagnosis = Diagnosis::new(question, subject, Verdict::OwnFdLimit, Certainty::Proven);
    let limit = descriptors.hard.map_or("no limit".to_owned(), |limit| limit.to_string());
    let used = descriptors.used.map_or("an unknown number".to_owned(), |used| used.to_string());
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

    fn room(hard: Option<u64>, used: Option<u64>) -> Option<usize> {
        sessions_with(2, &Descriptors { soft: Some(8), hard, used })
    }

    #[test]
    fn a_limit_that_leaves_no_room_is_found_and_the_soft_one_is_raised_at_a_start() {
        assert_eq!(
            [room(Some(20), Some(4)), room(Some(0), None), room(Some(1024), Some(1020))],
            [Some(0); 3]
        );
        assert!(room(Some(64), Some(4)) >= Some(LEAST_SESSIONS));
        assert_eq!(room(None, None), None);
    }

    #[test]
    fn descriptors_that_cannot_be_counted_are_not_called_used_up() {
        assert!(room(Some(1024), None) > Some(100));
    }
}
