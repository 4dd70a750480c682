//! One target: what its routes say of it, and what is known about it now.
//!
//! A session touches it once where all is well, with one shared read. All else is left for the monitor to do.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::greeting::Greeting;
use super::health::{Health, Stage};
use super::local_errors::LocalErrors;
use super::notify::RequestKind;
use super::pool::Member;
use super::state::{Details, TargetState};
use crate::address::Address;
use crate::balance::{Check, Fitness, HealthRules};
use crate::diagnosis::Verdict;
use crate::outcome::Cause;
use crate::transport::Destination;

/// Who looks at the targets and judges them, beside the data path.
pub(crate) trait Monitor: Send + Sync {
    /// Takes a question about a target that came up at `at`; never waits. False where it was not taken.
    fn ask(&self, target: &Arc<Target>, kind: RequestKind, at: Instant) -> bool;

    /// Says that a look is due.
    fn wake(&self);
}

/// One target.
pub(crate) struct Target {
    pub(super) to: Destination,
    /// The same as it is printed.
    pub(super) name: Arc<str>,
    pub(super) rules: HealthRules,
    /// What it expects first, also of a check.
    pub(super) greeting: Greeting,
    /// The addresses of its name, the one that answered last in front. Empty until the first look-up.
    pub(super) resolved: Mutex<Vec<Address>>,
    pub(super) troubles: Arc<LocalErrors>,
    pub(crate) state: TargetState,
    pub(super) monitor: Arc<dyn Monitor>,
}

impl Target {
    /// The target as written.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it expects before anything else.
    pub(crate) fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// How its health is found out.
    pub(crate) fn rules(&self) -> &HealthRules {
        &self.rules
    }

    /// What is dialled.
    pub(crate) fn to(&self) -> &Destination {
        &self.to
    }

    /// What it is.
    pub(crate) fn stage(&self) -> Stage {
        self.state.health.borrow().stage()
    }

    /// A copy of its whole state.
    pub(crate) fn health(&self) -> Health {
        self.state.health.borrow().clone()
    }

    /// Resolves once the target is not down, as far as is known. Cancel safe.
    pub(crate) async fn up(&self) {
        let is_up = |health: &Health| !matches!(health.stage(), Stage::Down(_));
        // The sender is ours, so this cannot fail while we are borrowed.
        let _ = self.state.health.subscribe().wait_for(is_up).await;
    }

    /// Counts a client among those that wait, as long as what is returned lives.
    pub(crate) fn client_waits(&self) -> impl Drop + '_ {
        self.state.waiting.fetch_add(1, Relaxed);
        Waits(&self.state.waiting)
    }

    /// The last verdict, for the record of a session that ended for this cause.
    pub(crate) fn hint(&self, cause: Cause) -> Option<Arc<str>> {
        let fits = self.stage() == Stage::Down(cause) || self.health().flaps();
        if fits { self.verdict() } else { None }
    }

    /// The last verdict on its present stage, in words.
    pub(crate) fn verdict(&self) -> Option<Arc<str>> {
        self.details().verdict.as_ref().map(|(_, words)| words.clone())
    }

    /// Notes what was judged at `at`, if the target still is what it was judged to be.
    pub(crate) fn judged(&self, stage: Stage, verdict: Verdict, words: Arc<str>, at: Instant) {
        if self.stage() == stage || verdict == Verdict::TargetFlapping {
            let mut details = self.details();
            (details.verdict, details.judged) = (Some((verdict, words)), Some(at));
        }
    }

    pub(crate) fn details(&self) -> MutexGuard<'_, Details> {
        // Nothing in it is half-changed by a panic, so a poisoned lock is as good as a clean one.
        self.state.details.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member for Target {
    fn fitness(&self, now: Instant) -> Fitness {
        let health = self.state.health.borrow();
        match health.stage() {
            Stage::Unknown | Stage::Up => Fitness::Well { back: health.back(now) },
            Stage::Stalled | Stage::Down(_) => Fitness::Ill,
        }
    }

    fn load(&self) -> usize {
        self.state.sessions.load(Relaxed)
    }

    /// Whether it is time to see with a client whether it is back, where nothing else would tell: once in each
    /// `interval`, and to whoever asks first.
    fn take_trial(&self, now: Instant) -> bool {
        let rules = self.rules();
        if rules.check != Check::None || !matches!(self.stage(), Stage::Down(_)) {
            return false;
        }
        let mut details = self.details();
        let since = *details.dialled.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= rules.interval;
        if is_due {
            details.dialled = Some(now);
        }
        is_due
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
