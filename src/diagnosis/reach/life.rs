//! Judges the activity of processes: one is halted, computes endlessly, or has not been scheduled. Pure.

use super::facts::{Life, ReachFacts};
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::process::process_stats::Vitals;

/// A process that uses at least this share of a processor computes without a pause.
const BUSY: f64 = 0.8;
/// On a loaded machine it gets less, but is still never seen to wait: at least this share.
const BUSY_UNDER_LOAD: f64 = 0.05;
/// Or it gets almost nothing, is always runnable, and has used this many time slices without waiting once.
const TURNS: u64 = 3;

/// What keeps one of these processes from accepting, as far as its activity shows.
pub(crate) fn kept_from_accepting(lives: &[Life]) -> Option<Judged> {
    if let Some(judged) = standstill(lives) {
        return Some(judged);
    }
    if lives.iter().any(|life| life.after.out_of_descriptors()) {
        return Some((Verdict::TargetOutOfFds, Certainty::Proven));
    }
    lives.iter().any(computes).then_some((Verdict::TargetBusyLoop, Certainty::Proven))
}

/// A process that cannot run at all.
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

/// Whether it was runnable at both moments.
pub(super) fn runs_on(before: &Vitals, after: &Vitals) -> bool {
    before.state == 'R' && after.state == 'R'
}

/// Whether it has run between the two moments; assumed if the kernel keeps no scheduling statistics.
pub(super) fn has_had_its_turn(before: &Vitals, after: &Vitals) -> bool {
    let account = after.queued.turns;
    account == 0 || account.saturating_sub(before.queued.turns) >= TURNS
}

/// The activity of the processes that serve the silent connection; of all processes if those are unknown.
pub(super) fn serving(facts: &ReachFacts) -> Vec<&Life> {
    let serves = |life: &&Life| facts.served_by.iter().any(|held| held.holder.pid == life.after.pid);
    let serving: Vec<&Life> = facts.life.iter().filter(serves).collect();
    if serving.is_empty() { facts.life.iter().collect() } else { serving }
}
