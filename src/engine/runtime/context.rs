//! What all sessions of an engine share, and what those of one route share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::by_hello::{ByHello, Speaks};
use super::stopping::Stopping;
use super::workers::Workers;
use crate::engine::admission::bandwidth::Bandwidths;
use crate::engine::admission::handshakes::HandshakeLimiter;
use crate::engine::admission::queue::{AdmissionControl, AdmissionControls, Permit};
use crate::engine::api::Wanted;
use crate::engine::monitor::checker::HealthChecker;
use crate::engine::names;
use crate::engine::targets::crowd::Line;
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
    /// One permit per live session. When all are back, no session is left.
    pub(crate) slots: Arc<Semaphore>,
    /// The number of permits.
    pub(crate) most_sessions: u32,
    pub(crate) handshakes: Arc<HandshakeLimiter>,
    /// Signals a stop to the connections of services.
    pub(crate) stopping: Stopping,
    pub(crate) workers: Workers,
    pub(crate) targets: Arc<Targets>,
    pub(crate) bandwidths: Arc<Bandwidths>,
    pub(crate) admissions: Arc<AdmissionControls>,
    pub(crate) udp: Udp,
    /// The declared routes for streams, each as the clients of its first address use it: connections that no listener
    /// accepted are carried along one of them.
    pub(crate) routes: Mutex<HashMap<RouteId, Arc<RouteRuntime>>>,
    /// These end when the engine is dropped.
    pub(crate) _health_checker: HealthChecker,
    pub(crate) _name_keeper: names::Keeper,
    pub(crate) names: Arc<names::Names>,
}

/// A cell for an admission permit, in its own box because few routes need one. Empty until the client is known.
pub(crate) type PermitCell = OnceLock<Permit>;

/// What a session holds while it lives: its place on a worker, its share of the session limit, its admission permit.
pub(crate) struct SessionSlot {
    pub(crate) cx: Arc<Context>,
    worker: u32,
    /// Its permit on a route with limits.
    place: Option<Box<PermitCell>>,
}

impl SessionSlot {
    /// Takes a slot on this worker.
    pub(crate) fn take(
        cx: &Arc<Context>,
        worker: usize,
        permit: OwnedSemaphorePermit,
        place: Option<Box<PermitCell>>,
    ) -> SessionSlot {
        // Returned by hand on drop: a kept permit would hold the semaphore a second time.
        permit.forget();
        cx.workers.enter(worker);
        SessionSlot { cx: cx.clone(), worker: worker as u32, place }
    }

    /// The worker that carries the session.
    pub(crate) fn worker(&self) -> usize {
        self.worker as usize
    }

    /// Its permit on a route with limits.
    pub(crate) fn permit(&self) -> Option<&Permit> {
        self.place.as_ref().and_then(|place| place.get())
    }

    /// Stores its permit, if the client was not known earlier; it has none yet.
    pub(crate) fn admit(&self, permit: Permit) {
        if let Some(place) = &self.place {
            let _ = place.set(permit);
        }
    }

    /// Whether it has to wait for its turn.
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

/// A route at run time, with the targets of its listeners' clients. Sessions keep the one they began with, or the one
/// their hello chose.
pub(crate) struct RouteRuntime {
    pub(crate) route: Arc<Route>,
    pub(crate) pool: Pool<Target>,
    /// Where clients wait for a place at one of its targets; `None` if none of these has a limit.
    pub(crate) line: Option<Arc<Line>>,
    /// The admission control of its clients, if it has limits.
    pub(crate) admission: Option<Arc<AdmissionControl>>,
    /// The route's name as records show it, formatted once.
    pub(crate) name: Arc<str>,
    /// The limits of its sessions.
    pub(crate) limits: SessionLimits,
    /// The shared `bandwidth` of its sessions.
    pub(crate) bandwidth: Option<Arc<Bandwidth>>,
    /// The rules of the route for the names of its targets, while it is wanted.
    names: Mutex<Vec<names::Kept>>,
    /// The choices by ClientHello; `None` if the route reads none.
    pub(crate) by_hello: Option<Box<ByHello<RouteRuntime>>>,
}

impl RouteRuntime {
    /// A route as the clients of its n-th address use it.
    pub(crate) fn new(by: &Wanted, cx: &Context) -> Arc<RouteRuntime> {
        let Wanted { route, place, .. } = by;
        let names = pool::names(route, *place);
        let greeting = Greeting { header: route.proxy.send, tls: route.target_tls.clone() };
        // Clients that do not speak TLS are not carried over TLS either.
        let bare = Greeting { tls: None, ..greeting.clone() };
        let of = |among: &Among, speaks: Speaks| {
            let greeting = if speaks == Speaks::Tls { &greeting } else { &bare };
            RouteRuntime::among(by, among.clone(), names.clone(), greeting, cx, None)
        };
        let by_hello = route.hello.as_ref().map(|rules| Box::new(ByHello::new(rules, of)));
        let runtime = RouteRuntime::among(by, 0..route.targets.len(), names.clone(), &greeting, cx, by_hello);
        if let Some(every) = route.dial.resolve {
            let kept = runtime.pool.all().filter_map(|target| target.by_name()).map(|name| name.keep(every));
            *runtime.names() = kept.collect();
        }
        runtime
    }

    /// Its route is no longer wanted as it is: sessions go on, and its rules for names are no longer in force.
    pub(crate) fn release_names(&self) {
        self.names().clear();
    }

    fn names(&self) -> MutexGuard<'_, Vec<names::Kept>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
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
        let name = id.shown();
        let pool = Pool::among(route, among, names, *place, |address| {
            cx.targets.get(address, &route.health, greeting, &name)
        });
        let line = pool.limited().next().is_some().then(Arc::<Line>::default);
        if let Some(line) = &line {
            pool.limited().for_each(|target| target.crowd.serve(line));
        }
        Arc::new(RouteRuntime {
            route: route.clone(),
            pool,
            line,
            admission: cx.admissions.of(id, route),
            name,
            limits,
            bandwidth: limits.bandwidth.map(|rule| cx.bandwidths.of(id, rule)),
            names: Mutex::default(),
            by_hello,
        })
    }
}
