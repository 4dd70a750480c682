//! The process that holds a target: found, lost, and what its death has cut.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::state::{Ended, Held, Search};
use super::state_log;
use super::target::Target;
use crate::diagnosis::Verdict;
use crate::outcome::Holder;
use crate::probe::process::process_exit;

/// The process ids of former holders that are remembered.
const MAX_PIDS: usize = 6;

/// How long after a holder's death a reset is put down to it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How often a session that was cut may ask whether the holder is on its way out: once in so long, per target.
const ASK_AGAIN: Duration = Duration::from_millis(20);

impl Target {
    /// Notes that whoever held it does so no more, as far as is known. A child of it may.
    pub(crate) fn lose_holder(&self, now: Instant) {
        let mut details = self.details();
        if let Some(held) = details.holder.take() {
            details.ended = Some(Ended { holder: held.holder.clone(), at: now });
            details.search = Search::Wanted;
            self.state.died.store(true, Relaxed);
        }
    }

    /// Notes who holds it.
    pub(crate) fn found_holder(&self, holder: Option<Holder>) {
        let mut details = self.details();
        details.search = Search::Done;
        let Some(holder) = holder else { return };
        self.state.died.store(false, Relaxed);
        if details.pids.back() != Some(&holder.pid) {
            if details.pids.len() == MAX_PIDS {
                details.pids.pop_front();
            }
            details.pids.push_back(holder.pid);
        }
        if details.holder.as_ref().is_none_or(|held| held.holder.pid != holder.pid) {
            details.holder = Some(Held { holder, watch: None });
        }
    }

    /// Whether a holder has ended and no other is known yet. Locks nothing.
    pub(crate) fn has_died(&self) -> bool {
        self.state.died.load(Relaxed)
    }

    /// The hint of a session that was just cut, where the holder's death is why. Counts the session as cut.
    pub(crate) fn cut_by_death(self: &Target, now: Instant) -> Option<Arc<str>> {
        let holder = self.just_ended(now)?;
        self.state.cut.fetch_add(1, Relaxed);
        let verdict = Verdict::TargetDiedMidstream;
        Some(format!("{} ended while the connection was open [{verdict}]", state_log::name(&holder)).into())
    }

    /// The reset comes before the end of the process can be waited for, so the process is asked as well, but not for each
    /// of a thousand sessions.
    fn just_ended(&self, now: Instant) -> Option<Holder> {
        let recently = |at: Instant| now.saturating_duration_since(at) < AFTERMATH;
        let mut details = self.details();
        let pid = details.holder.as_ref().map(|held| held.holder.pid);
        let asked_just_now = details.asked.is_some_and(|at| now.saturating_duration_since(at) < ASK_AGAIN);
        if let Some(pid) = pid.filter(|_| !asked_just_now) {
            details.asked = Some(now);
            if process_exit::is_ending(pid) {
                drop(details);
                self.lose_holder(now);
                self.look_at_once();
                details = self.details();
            }
        }
        details.ended.as_ref().filter(|ended| recently(ended.at)).map(|ended| ended.holder.clone())
    }

    /// How many sessions its holder's death has cut since this was asked last.
    pub(crate) fn take_cut(&self) -> u32 {
        self.state.cut.swap(0, Relaxed)
    }
}
