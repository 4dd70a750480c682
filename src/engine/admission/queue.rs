//! Which clients have a place on a route, which wait for one, and which have to give one up: the engine's side of
//! [`crate::limits::Admission`], which decides.
//!
//! A route without limits has none. It is locked when a client comes and when a session ends, never while bytes move.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use super::applicant::Applicant;
use crate::acl::Access;
use crate::ledger::{Ledger, Live, Order};
use crate::limits::{Admission, Answer, ClientKey, EntryLimits, Number, Overruns, WhenFull};
use crate::outcome::{Client, Denial, Limit};
use crate::plan::{Route, RouteId, Routes, Source};

/// The clients of one route, over all of its listeners and across reloads.
pub(crate) struct AdmissionControl {
    state: Mutex<State>,
}

struct State {
    /// The access rules now, for waiting clients: a reload may have changed them.
    access: Access,
    limits: EntryLimits,
    admission: Admission,
    waiting: HashMap<Number, Waiting>,
    /// The sessions that may be evicted.
    moving: HashMap<Number, Arc<Live>>,
    uncounted: Uncounted,
    earlier: Vec<EarlierSession>,
    /// The route's name as lines show it, and its clients over a limit in a dry run.
    name: Arc<str>,
    overruns: Overruns,
}

/// Which sessions of the route have no permit of the admission control and are not among the [`EarlierSession`]s
/// either.
#[derive(Clone, Copy)]
enum Uncounted {
    Nobody,
    Everybody,
    /// Those that began at this time or later: the route has had no limits since.
    Since(Instant),
}

/// A session that began before its route had limits. It has no permit to return, so its end is found by polling.
struct EarlierSession {
    live: Weak<Live>,
    number: Number,
    client: Option<ClientKey>,
}

/// A waiting client.
struct Waiting {
    who: Applicant,
    /// Notified when it is its turn, or when it may no longer connect.
    turn: Arc<Notify>,
}

/// Admits one client. When it is dropped, the next waiting client is admitted.
pub(crate) struct Permit {
    admission: Arc<AdmissionControl>,
    number: Number,
    /// Its client. It is counted under it whatever the limits are now: a reload may add a limit per client.
    who: Applicant,
    /// Notified when its turn has come, if it has to wait; see [`Waiting`].
    turn: Option<Arc<Notify>>,
    /// The limit that it is over, in a dry run.
    over: Option<Limit>,
}

impl AdmissionControl {
    fn new(id: &RouteId, route: &Route) -> AdmissionControl {
        let (access, limits) = (route.access.clone(), route.entry.clone());
        let (admission, waiting, moving) = (Admission::default(), HashMap::new(), HashMap::new());
        let (uncounted, earlier) = (Uncounted::Everybody, Vec::new());
        let (name, overruns) = (id.shown(), Overruns::default());
        AdmissionControl {
            state: Mutex::new(State {
                access,
                limits,
                admission,
                waiting,
                moving,
                uncounted,
                earlier,
                name,
                overruns,
            }),
        }
    }

    /// Decides about a client that comes at `now`; an admitted one, at once or after waiting, gets a permit.
    ///
    /// # Errors
    /// The limit that rejects the client.
    pub(crate) fn ask(self: &Arc<Self>, who: Applicant, now: Instant) -> Result<Permit, Limit> {
        let mut state = self.lock();
        let State { limits, admission, waiting, moving, overruns, .. } = &mut *state;
        let moved = |number: Number| moved(moving, number);
        let mut over = None;
        let (number, turn) = match admission.ask(who.key(), now, limits, &moved) {
            Answer::Out(limit) => return Err(limit),
            Answer::In(number) => (number, None),
            Answer::Over(number, limit) => {
                overruns.add(limit);
                over = Some(limit);
                (number, None)
            }
            Answer::Wait(number, evicted) => {
                let turn = Arc::new(Notify::new());
                waiting.insert(number, Waiting { who: who.clone(), turn: turn.clone() });
                let evicted = evicted.iter().filter_map(|number| moving.remove(number));
                for live in evicted {
                    // A session that an earlier order ends returns its place all the same.
                    let _ = live.order(Order::Evict);
                }
                (number, Some(turn))
            }
        };
        Ok(Permit { admission: self.clone(), number, who, turn, over })
    }

    /// Continues under the limits and access rules of a reload.
    fn adopt(&self, route: &Route) {
        let (mut state, limits) = (self.lock(), &route.entry);
        state.access = route.access.clone();
        let State { access, waiting, .. } = &*state;
        let denied = waiting.values().filter(|it| it.who.denied_by(access).is_some());
        denied.for_each(|it| it.turn.notify_one());
        if state.limits != *limits {
            state.limits = limits.clone();
            state.admission.adopt(Instant::now(), limits);
            state.let_in();
        }
        state.uncounted = match state.uncounted {
            _ if !limits.is_none() => Uncounted::Nobody,
            Uncounted::Nobody => Uncounted::Since(Instant::now()),
            uncounted => uncounted,
        };
    }

    /// Whether it knows every session of the route.
    fn is_complete(&self) -> bool {
        matches!(self.lock().uncounted, Uncounted::Nobody)
    }

    /// Counts a session that is live at `now`, if it is not counted yet.
    fn count_in(&self, live: &Arc<Live>, client: Client) {
        let state = &mut *self.lock();
        match state.uncounted {
            Uncounted::Nobody => return,
            Uncounted::Since(moment) if live.started < moment => return,
            Uncounted::Since(_) | Uncounted::Everybody => {}
        }
        let client = Applicant::of(&client, live.came_by()).key();
        let number = state.admission.count_in(client.clone());
        state.earlier.push(EarlierSession { live: Arc::downgrade(live), number, client });
    }

    fn settle(&self, now: Instant) {
        let mut state = self.lock();
        state.forget_earlier(now);
        if let Some(counts) = state.overruns.due(now) {
            let name = &state.name;
            tracing::warn!("route {name}: limits_dry_run let in clients over a limit: {counts}");
        }
        let State { admission, moving, .. } = &mut *state;
        admission.settle(now, &|number| moved(moving, number));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that a session has moved so far.
fn moved(moving: &HashMap<Number, Arc<Live>>, number: Number) -> u64 {
    moving.get(&number).map_or(0, |live| {
        let traffic = live.meter.traffic();
        traffic.up.read + traffic.down.read
    })
}

impl State {
    /// Gives the places of earlier sessions that have ended to waiting clients.
    fn forget_earlier(&mut self, now: Instant) {
        let mut has_left = false;
        let admission = &mut self.admission;
        self.earlier.retain(|it| {
            let is_here = it.live.strong_count() > 0;
            if !is_here {
                has_left |= admission.leave(it.number, it.client.clone(), now);
            }
            is_here
        });
        if has_left {
            self.earlier.shrink_to(2 * self.earlier.len());
            self.let_in();
        }
    }

    fn let_in(&mut self) {
        while let Some(number) = self.admission.next(&self.limits) {
            if let Some(it) = self.waiting.remove(&number) {
                it.turn.notify_one();
            }
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
        }
    }
}

impl Permit {
    /// Whether it has to wait for its turn.
    pub(crate) fn waits(&self) -> bool {
        self.turn.is_some()
    }

    /// The limit that its client is over, in a dry run.
    pub(crate) fn over(&self) -> Option<Limit> {
        self.over
    }

    /// Resolves when its turn has come, at once if it never had to wait. Cancel safe.
    ///
    /// # Errors
    /// The client may no longer connect: a reload may have changed the access rules meanwhile.
    pub(crate) async fn turn(&self) -> Result<(), Denial> {
        let Some(turn) = &self.turn else { return Ok(()) };
        loop {
            turn.notified().await;
            let state = self.admission.lock();
            if let Some(denial) = self.who.denied_by(&state.access) {
                return Err(denial);
            }
            // Another reload may have allowed it again before it woke.
            if !state.waiting.contains_key(&self.number) {
                return Ok(());
            }
        }
    }

    /// Marks that the session moves bytes from here on: where the route evicts, it may be evicted.
    pub(crate) fn moves(&self, live: &Arc<Live>) {
        let mut state = self.admission.lock();
        if state.limits.full == WhenFull::EvictIdle {
            state.moving.insert(self.number, live.clone());
            state.admission.moves(self.number, Instant::now());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.moving.remove(&self.number);
        state.waiting.remove(&self.number);
        if state.admission.leave(self.number, self.who.key(), Instant::now()) {
            state.let_in();
        }
    }
}

/// The admission control of each route that has limits, for as long as it is used.
#[derive(Default)]
pub(crate) struct AdmissionControls {
    known: Mutex<HashMap<RouteId, Weak<AdmissionControl>>>,
}

impl AdmissionControls {
    /// The admission control of a route; `None` if it has no limits.
    pub(crate) fn of(&self, id: &RouteId, route: &Route) -> Option<Arc<AdmissionControl>> {
        if route.entry.is_none() {
            return None;
        }
        let mut known = self.known();
        let kept = known.get(id).and_then(Weak::upgrade);
        Some(kept.unwrap_or_else(|| {
            let new = Arc::new(AdmissionControl::new(id, route));
            known.insert(id.clone(), Arc::downgrade(&new));
            new
        }))
    }

    /// Creates admission controls for routes that have limits now and had none, and counts their sessions. Sessions
    /// that begin before the listeners serve under them are missed: those are few, and end. Dropping the result before
    /// that undoes it.
    pub(crate) fn open(
        &self,
        source: &Source,
        routes: &Routes,
        ledger: &Ledger,
    ) -> Vec<Arc<AdmissionControl>> {
        let mut incomplete: HashMap<Arc<str>, Arc<AdmissionControl>> = HashMap::new();
        for (name, route) in routes {
            let id = RouteId { source: source.clone(), name: name.clone() };
            let admission = self.of(&id, route).filter(|admission| !admission.is_complete());
            incomplete.extend(admission.map(|admission| (id.shown(), admission)));
        }
        if !incomplete.is_empty() {
            let now = Instant::now();
            for (live, client) in ledger.of_routes(|name| incomplete.contains_key(name)) {
                incomplete[&live.route].count_in(&live, client);
            }
            incomplete.values().for_each(|admission| admission.lock().uncounted = Uncounted::Since(now));
        }
        incomplete.into_values().collect()
    }

    /// Has every admission control of a source continue under its route's new limits: admitted clients stay, and
    /// waiting clients keep waiting.
    pub(crate) fn adopt(&self, source: &Source, routes: &Routes) {
        for (id, admission) in self.known().iter().filter(|(id, _)| id.source == *source) {
            if let (Some(admission), Some(route)) = (admission.upgrade(), routes.get(&id.name)) {
                admission.adopt(route);
            }
        }
    }

    /// Releases the places of ended sessions, and drops what is no longer used; called about once a second.
    pub(crate) fn settle(&self, now: Instant) {
        self.known().retain(|_, admission| match admission.upgrade() {
            Some(admission) => {
                admission.settle(now);
                true
            }
            None => false,
        });
    }

    fn known(&self) -> MutexGuard<'_, HashMap<RouteId, Weak<AdmissionControl>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
