//! C4, accepted without an answer: the program is halted, is slow, or waits for more. Pure.

use super::facts::{Life, ReachFacts};
use super::life::{computes, serving, standstill};
use super::pastime::{Pastime, pastime};
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::trace::Connection;

/// Judges a connection that was accepted, as far as that can be seen, but not answered.
pub(super) fn judge(facts: &ReachFacts, first: &Connection) -> Judged {
    let lives: Vec<Life> = serving(facts).into_iter().cloned().collect();
    let Some(server) = first.server else {
        // Neither end of it is visible.
        return (Verdict::Unknown, Certainty::Unknown);
    };
    if let Some((verdict, sure)) = standstill(&lives) {
        return (verdict, if facts.served_by.is_empty() { Certainty::Likely } else { sure });
    }
    if server.unread > 0 {
        return match lives.iter().any(computes) {
            true => (Verdict::TargetBusyLoop, Certainty::Proven),
            false => (Verdict::TargetHung, hung_for_certain(&lives)),
        };
    }
    if first.late.is_some() {
        return (Verdict::TargetSlow, Certainty::Proven);
    }
    match pastime(facts) {
        Pastime::WaitsForMore => match facts.expect {
            None => (Verdict::Healthy, Certainty::Likely),
            Some(_) => (Verdict::UnexpectedProtocol, Certainty::Likely),
        },
        Pastime::Works => (Verdict::TargetSlow, Certainty::Likely),
        Pastime::Loops | Pastime::Hidden => (Verdict::Unknown, Certainty::Unknown),
    }
}

fn hung_for_certain(lives: &[Life]) -> Certainty {
    let locked = lives.iter().any(|life| life.after.waiting_in("futex") > Some(0));
    if locked { Certainty::Proven } else { Certainty::Likely }
}
