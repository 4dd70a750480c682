//! The process that holds a target's listener: found, lost, and which sessions its death cut.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::state::{Ended, Held, Search};
use super::state_log;
use super::target::Target;
use crate::diagnosis::Verdict;
use crate::outcome::Holder;
use crate::probe::process::process_exit;

/// How many process ids of former holders are kept.
const MAX_PIDS: usize = 6;

/// How long after a holder's death a reset is attributed to it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// The minimum interval, per target, between two checks by cut sessions whether the holder is exiting.
const ASK_AGAIN: Duration = Duration::from_millis(20);

impl Target {
    /// Records that the holder no longer holds the listener, as far as is known. A child process may.
    pub(crate) fn lose_holder(&self, now: Instant) {
        let mut details = self.details();
        if let Some(held) = details.holder.take() {
            details.ended = Some(Ended { holder: held.holder.clone(), at: now });
            details.search = Search::Wanted;
            self.state.died.store(true, Relaxed);
            self.state.leads.led_to(false, [].into_iter());
        }
    }

    /// Records whose its listeners are, each by its inode.
    pub(crate) fn led_to(&self, is_loopgate: bool, inodes: impl Iterator<Item = u32>) {
        self.state.leads.led_to(is_loopgate, inodes);
    }

    /// Records which process holds the listener.
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

    /// Whether a holder has ended and no other is known yet. Takes no lock.
    pub(crate) fn has_died(&self) -> bool {
        self.state.died.load(Relaxed)
    }

    /// The hint for a session that was just cut, if the holder's death is the reason. Counts the session as cut.
    pub(crate) fn cut_by_death(self: &Target, now: Instant) -> Option<Arc<str>> {
        let holder = self.just_ended(now)?;
        self.state.cut.fetch_add(1, Relaxed);
        let verdict = Verdict::TargetDiedMidstream;
        Some(format!("{} ended while the connection was open [{verdict}]", state_log::name(&holder)).into())
    }

    /// The reset arrives before the wait for the process can report its end, so the process itself is checked too, but
    /// not for each of a thousand sessions.
    fn just_ended(&self, now: Instant) -> Option<Holder> {
        let recently = |at: Instant| now.saturating_duration_since(at) < AFTERMATH;
        let mut details = self.details();
        let pid = details.holder.as_ref().map(|held| held.holder.pid);
        let checked_just_now =
            details.exit_checked.is_some_and(|at| now.saturating_duration_since(at) < ASK_AGAIN);
        if let Some(pid) = pid.filter(|_| !checked_just_now) {
            details.exit_checked = Some(now);
            if process_exit::is_ending(pid) {
                drop(details);
                self.lose_holder(now);
                self.query_at_once();
                details = self.details();
            }
        }
        details.ended.as_ref().filter(|ended| recently(ended.at)).map(|ended| ended.holder.clone())
    }

    /// The number of sessions cut by the holder's death since the last call.
    pub(crate) fn take_cut(&self) -> u32 {
        self.state.cut.swap(0, Relaxed)
    }
}
