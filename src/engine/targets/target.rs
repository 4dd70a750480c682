//! One target: its address, its rules, and its current state.
//!
//! When all is well, a session touches it once, with one shared read. The monitor does everything else.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::by_tunnel::ByTunnel;
use super::crowd::Crowd;
use super::greeting::Greeting;
use super::health::{Health, Stage};
use super::local_errors::LocalErrors;
use super::notify::RequestKind;
use super::pool::Member;
use super::state::{Details, TargetState};
use crate::address::Address;
use crate::balance::{Check, Fitness, HealthRules};
use crate::diagnosis::Verdict;
use crate::engine::names::Name;
use crate::outcome::Cause;
use crate::transport::Destination;

/// Observes and diagnoses targets, beside the data path.
pub(crate) trait Monitor: Send + Sync {
    /// Queues a request about a target that arose at `at`; never waits. False if the queue is full.
    fn ask(&self, target: &Arc<Target>, kind: RequestKind, at: Instant) -> bool;

    /// Wakes the health checker: a query or dial is due.
    fn wake(&self);
}

/// One target.
pub(crate) struct Target {
    pub(super) to: Destination,
    /// The same as it is printed.
    pub(super) name: Arc<str>,
    pub(super) rules: HealthRules,
    /// What precedes the bytes of a connection, checks included.
    pub(super) greeting: Greeting,
    /// Its name, if that must be looked up, and its port.
    pub(super) by_name: Option<(Arc<Name>, u16)>,
    /// The tunnel at whose other end it is, if it is in one.
    pub(super) by_tunnel: Option<Box<ByTunnel>>,
    /// How often the addresses of its name had changed when that was noticed last.
    pub(super) moves: AtomicU64,
    /// Of several addresses, the one that answered last: it is tried first.
    pub(super) front: Mutex<Option<Address>>,
    pub(super) local_errors: Arc<LocalErrors>,
    pub(crate) state: TargetState,
    /// The sessions connecting or connected to its address, over all routes.
    pub(crate) crowd: Arc<Crowd>,
    pub(super) monitor: Arc<dyn Monitor>,
}

impl Target {
    /// The address as written.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What precedes the bytes of a connection.
    pub(crate) fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// The rules of its health checks.
    pub(crate) fn rules(&self) -> &HealthRules {
        &self.rules
    }

    /// Whether only the dial of a client can find out that it is back: there are no health checks.
    pub(crate) fn only_dials_tell(&self) -> bool {
        match &self.by_tunnel {
            Some(tunnel) => !tunnel.tells(),
            None => self.rules.check == Check::None,
        }
    }

    /// The destination to dial.
    pub(crate) fn to(&self) -> &Destination {
        &self.to
    }

    /// The current stage.
    pub(crate) fn stage(&self) -> Stage {
        self.state.health.borrow().stage()
    }

    /// A copy of its health.
    pub(crate) fn health(&self) -> Health {
        self.state.health.borrow().clone()
    }

    /// Resolves once the target is not down, as far as is known. Cancel safe.
    pub(crate) async fn up(&self) {
        let is_up = |health: &Health| !matches!(health.stage(), Stage::Down(_));
        // `self` owns the sender, so this cannot fail while `self` is borrowed.
        let _ = self.state.health.subscribe().wait_for(is_up).await;
    }

    /// The same for a target that is well. Cancel safe.
    pub(crate) async fn well(&self) {
        let is_well = |health: &Health| matches!(health.stage(), Stage::Unknown | Stage::Up);
        let _ = self.state.health.subscribe().wait_for(is_well).await;
    }

    /// Counts a waiting client for as long as the returned guard lives.
    pub(crate) fn client_waits(&self) -> impl Drop + '_ {
        self.state.waiting.fetch_add(1, Relaxed);
        Waits(&self.state.waiting)
    }

    /// The latest verdict, for the record of a session that ended with this cause.
    pub(crate) fn hint(&self, cause: Cause) -> Option<Arc<str>> {
        let fits = self.stage() == Stage::Down(cause) || self.health().flaps();
        if fits { self.verdict() } else { None }
    }

    /// The text of the latest verdict on the present stage.
    pub(crate) fn verdict(&self) -> Option<Arc<str>> {
        self.details().verdict.as_ref().map(|(_, text)| text.clone())
    }

    /// Stores the verdict of a diagnosis requested at `at`, if the target is still in the diagnosed stage.
    pub(crate) fn judged(&self, stage: Stage, verdict: Verdict, text: Arc<str>, at: Instant) {
        if self.stage() == stage || verdict == Verdict::TargetFlapping {
            let mut details = self.details();
            (details.verdict, details.judged) = (Some((verdict, text)), Some(at));
        }
    }

    pub(crate) fn details(&self) -> MutexGuard<'_, Details> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
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
        self.crowd.count()
    }

    /// Whether a client should try the target because nothing else would show that it is back: once per `interval`, for
    /// the first caller.
    fn take_trial(&self, now: Instant) -> bool {
        if !self.only_dials_tell() || !matches!(self.stage(), Stage::Down(_)) {
            return false;
        }
        let mut details = self.details();
        let since = *details.dialled.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= self.rules.interval;
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
