//! What every session of an engine shares, and what those of one route share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::by_hello::{ByHello, Speaks};
use super::stopping::Stopping;
use super::workers::Workers;
use crate::engine::admission::bandwidth::Bandwidths;
use crate::engine::admission::handshakes::HandshakeLimiter;
use crate::engine::admission::queue::{AdmissionControl, AdmissionControls, Permit};
use crate::engine::api::Wanted;
use crate::engine::monitor::checker::HealthChecker;
use crate::engine::targets::greeting::Greeting;
use crate::engine::targets::pool::{self, Pool};
use crate::engine::targets::registry::Targets;
use crate::engine::targets::target::Target;
use crate::engine::udp::Udp;
use crate::ledger::{Ledger, TargetNames};
use crate::limits::{Bandwidth, SessionLimits};
use crate::plan::{Among, Carries, Route, RouteId};

/// Shared by all sessions.
pub(crate) struct Context {
    pub(crate) ledger: Arc<Ledger>,
    /// One permit per session that may live at one time. All of them back means that nobody is left.
    pub(crate) slots: Arc<Semaphore>,
    /// How many permits there are.
    pub(crate) most_sessions: u32,
    pub(crate) handshakes: Arc<HandshakeLimiter>,
    /// What the connections of services hear of a stop.
    pub(crate) stopping: Stopping,
    pub(crate) workers: Workers,
    pub(crate) targets: Arc<Targets>,
    pub(crate) bandwidths: Bandwidths,
    pub(crate) admissions: Arc<AdmissionControls>,
    pub(crate) udp: Udp,
    /// The routes of connections that are declared, each as the clients of its first address meet it: what is carried
    /// without having been accepted goes along one of them.
    pub(crate) routes: Mutex<HashMap<RouteId, Arc<RouteRuntime>>>,
    /// Dropped with the engine.
    pub(crate) _health_checker: HealthChecker,
}

/// Room for a pass, in a box of its own: few routes need it. Empty until it is known who the client is.
pub(crate) type PermitCell = OnceLock<Permit>;

/// What a session holds as long as it lives: its place on a worker, and its permit to be one of so many.
pub(crate) struct SessionSlot {
    pub(crate) cx: Arc<Context>,
    worker: u32,
    /// Its place on a route that limits them.
    place: Option<Box<PermitCell>>,
}

impl SessionSlot {
    /// A seat on this worker.
    pub(crate) fn take(
        cx: &Arc<Context>,
        worker: usize,
        permit: OwnedSemaphorePermit,
        place: Option<Box<PermitCell>>,
    ) -> SessionSlot {
        // Given back by hand: kept, it would hold the semaphore a second time.
        permit.forget();
        cx.workers.enter(worker);
        SessionSlot { cx: cx.clone(), worker: worker as u32, place }
    }

    /// The worker that carries it.
    pub(crate) fn worker(&self) -> usize {
        self.worker as usize
    }

    /// Its place on a route that limits them.
    pub(crate) fn permit(&self) -> Option<&Permit> {
        self.place.as_ref().and_then(|place| place.get())
    }

    /// Gives it its place, where its client was not known before; it has none yet.
    pub(crate) fn admit(&self, permit: Permit) {
        if let Some(place) = &self.place {
            let _ = place.set(permit);
        }
    }

    /// Whether it has to wait for its place.
    pub(crate) fn waits(&self) -> bool {
        self.permit().is_some_and(Permit::waits)
    }
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        self.cx.workers.leave(self.worker as usize);
        self.cx.slots.add_permits(1);
    }
}

/// A route at run time, with the targets of its listeners' clients. Sessions keep the one they were born with, or that
/// their hello has chosen.
pub(crate) struct RouteRuntime {
    pub(crate) route: Arc<Route>,
    pub(crate) pool: Pool<Target>,
    /// What its clients pass, where it limits them.
    pub(crate) admission: Option<Arc<AdmissionControl>>,
    /// The route's name as records show it, made once.
    pub(crate) name: Arc<str>,
    /// What bounds its sessions.
    pub(crate) limits: SessionLimits,
    /// What they share of its `bandwidth`.
    pub(crate) bandwidth: Option<Arc<Bandwidth>>,
    /// What a client's hello chooses; `None` where none is looked at.
    pub(crate) by_hello: Option<Box<ByHello<RouteRuntime>>>,
}

impl RouteRuntime {
    /// A route as the clients of its n-th address meet it.
    pub(crate) fn new(by: &Wanted, cx: &Context) -> Arc<RouteRuntime> {
        let Wanted { route, place, .. } = by;
        let names = pool::names(route, *place);
        let greeting = Greeting { header: route.proxy.send, tls: route.target_tls.clone() };
        // What does not speak TLS is not carried by it either.
        let bare = Greeting { tls: None, ..greeting.clone() };
        let of = |among: &Among, speaks: Speaks| {
            let greeting = if speaks == Speaks::Tls { &greeting } else { &bare };
            RouteRuntime::among(by, among.clone(), names.clone(), greeting, cx, None)
        };
        let by_hello = route.hello.as_ref().map(|rules| Box::new(ByHello::new(rules, of)));
        RouteRuntime::among(by, 0..route.targets.len(), names.clone(), &greeting, cx, by_hello)
    }

    /// The same with some of its targets; `names` are those of all.
    fn among(
        by: &Wanted,
        among: Among,
        names: Arc<TargetNames>,
        greeting: &Greeting,
        cx: &Context,
        by_hello: Option<Box<ByHello<RouteRuntime>>>,
    ) -> Arc<RouteRuntime> {
        let Wanted { id, route, place } = by;
        let limits = match route.carries {
            Carries::Tcp(limits) => limits,
            Carries::Udp(_) => SessionLimits::default(),
        };
        Arc::new(RouteRuntime {
            route: route.clone(),
            pool: Pool::among(route, among, names, *place, |address| {
                cx.targets.get(address, &route.health, greeting)
            }),
            admission: cx.admissions.of(id, route),
            name: id.shown(),
            limits,
            bandwidth: limits.bandwidth.map(|rate| cx.bandwidths.of(id, rate)),
            by_hello,
        })
    }
}
