//! What the signs of life of processes say: one stands still, computes without end, or has not had its turn. Pure.

use super::facts::{Life, ReachFacts};
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::process::process_stats::Vitals;

/// From this share of a processor on a process computes without a pause.
const BUSY: f64 = 0.8;
/// On a loaded machine it gets less, and is still never seen to wait.
const BUSY_UNDER_LOAD: f64 = 0.05;
/// Or it gets next to nothing, queues for a processor all the time, and has used so many turns without coming to wait.
const TURNS: u64 = 3;

/// What keeps one of these processes from accepting, as far as its signs of life say.
pub(crate) fn kept_from_accepting(lives: &[Life]) -> Option<Judged> {
    if let Some(judged) = standstill(lives) {
        return Some(judged);
    }
    if lives.iter().any(|life| life.after.out_of_descriptors()) {
        return Some((Verdict::TargetOutOfFds, Certainty::Proven));
    }
    lives.iter().any(computes).then_some((Verdict::TargetBusyLoop, Certainty::Proven))
}

/// A process that cannot run, whatever it was about to do.
pub(crate) fn standstill(lives: &[Life]) -> Option<Judged> {
    let any = |test: fn(&Life) -> bool| lives.iter().any(test);
    if any(|life| life.after.state == 't') {
        return Some((Verdict::TargetInDebugger, Certainty::Proven));
    }
    if any(|life| life.after.state == 'T' || life.after.frozen) {
        return Some((Verdict::TargetSuspended, Certainty::Proven));
    }
    if any(|life| life.before.state == 'D' && life.after.state == 'D') {
        return Some((Verdict::TargetUninterruptible, Certainty::Proven));
    }
    None
}

pub(super) fn computes(life: &Life) -> bool {
    let (load, demand) = (life.after.load_since(&life.before), life.after.demand_since(&life.before));
    let queues = demand >= BUSY && has_had_its_turn(&life.before, &life.after);
    load >= BUSY || runs_on(&life.before, &life.after) && (load >= BUSY_UNDER_LOAD || queues)
}

/// Whether it could run at both moments.
pub(super) fn runs_on(before: &Vitals, after: &Vitals) -> bool {
    before.state == 'R' && after.state == 'R'
}

/// Whether it has run between the two moments; where the kernel keeps no account of it, it has.
pub(super) fn has_had_its_turn(before: &Vitals, after: &Vitals) -> bool {
    let account = after.queued.turns;
    account == 0 || account.saturating_sub(before.queued.turns) >= TURNS
}

/// The lives of the processes that serve the silent connection; where they cannot be told, all of them.
pub(super) fn serving(facts: &ReachFacts) -> Vec<&Life> {
    let serves = |life: &&Life| facts.served_by.iter().any(|held| held.holder.pid == life.after.pid);
    let serving: Vec<&Life> = facts.life.iter().filter(serves).collect();
    if serving.is_empty() { facts.life.iter().collect() } else { serving }
}
