//! Who has a place on a route now, who waits for one, and who has to give one up: the engine's side of
//! [`crate::limits::Admission`], which decides.
//!
//! A route without limits has none. It is locked when a client comes and when one goes, never while bytes move.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use crate::ledger::Live;
use crate::limits::{Admission, Answer, ClientNet, EntryLimits, Number, WhenFull};
use crate::outcome::Limit;
use crate::plan::{Route, RouteName, Routes};

/// The clients of one route, over all of its listeners and over reloads.
pub(super) struct Turnstile {
    state: Mutex<State>,
}

struct State {
    limits: EntryLimits,
    admission: Admission,
    /// Rung when it is their turn.
    waiting: HashMap<Number, Arc<Notify>>,
    moving: HashMap<Number, Moving>,
}

/// A session that may be evicted.
struct Moving {
    live: Arc<Live>,
    bell: Arc<Notify>,
}

/// What lets one client in. Dropped, it lets in whoever waits next.
pub(super) struct Pass {
    turnstile: Arc<Turnstile>,
    number: Number,
    /// Under whom it is counted, where clients are told apart.
    client: Option<ClientNet>,
    /// Rung when its turn has come, where it has to wait.
    turn: Option<Arc<Notify>>,
}

impl Turnstile {
    fn new(limits: EntryLimits) -> Turnstile {
        let (admission, waiting, moving) = (Admission::default(), HashMap::new(), HashMap::new());
        Turnstile { state: Mutex::new(State { limits, admission, waiting, moving }) }
    }

    /// Decides about a client that comes at `now`; one that may come in, at once or later, gets a pass.
    pub(super) fn ask(self: &Arc<Self>, client: Option<IpAddr>, now: Instant) -> Result<Pass, Limit> {
        let mut state = self.lock();
        let State { limits, admission, waiting, moving } = &mut *state;
        let client = client.filter(|_| limits.knows_clients()).map(ClientNet::from);
        let moved = |number: Number| moved(moving, number);
        let (number, turn) = match admission.ask(client, now, limits, &moved) {
            Answer::Out(limit) => return Err(limit),
            Answer::In(number) => (number, None),
            Answer::Wait(number, evicted) => {
                let turn = Arc::new(Notify::new());
                waiting.insert(number, turn.clone());
                let evicted = evicted.iter().filter_map(|number| moving.remove(number));
                evicted.for_each(|it| it.bell.notify_one());
                (number, Some(turn))
            }
        };
        Ok(Pass { turnstile: self.clone(), number, client, turn })
    }

    /// Goes on under what a reload says.
    fn adopt(&self, limits: &EntryLimits) {
        let mut state = self.lock();
        if state.limits != *limits {
            state.limits = limits.clone();
            state.admission.adopt(Instant::now(), limits);
            state.let_in();
        }
    }

    fn settle(&self, now: Instant) {
        let State { admission, moving, .. } = &mut *self.lock();
        admission.settle(now, &|number| moved(moving, number));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that a session has moved by now.
fn moved(moving: &HashMap<Number, Moving>, number: Number) -> u64 {
    moving.get(&number).map_or(0, |it| {
        let traffic = it.live.meter.traffic();
        traffic.up.read + traffic.down.read
    })
}

impl State {
    fn let_in(&mut self) {
        while let Some(number) = self.admission.next(&self.limits) {
            if let Some(turn) = self.waiting.remove(&number) {
                turn.notify_one();
            }
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
        }
    }
}

impl Pass {
    /// Whether it has to wait for its turn.
    pub(super) fn waits(&self) -> bool {
        self.turn.is_some()
    }

    /// Resolves when its turn has come; at once where it never had to wait. Cancel safe.
    pub(super) async fn turn(&self) {
        if let Some(turn) = &self.turn {
            turn.notified().await;
        }
    }

    /// Says that the session moves bytes from here on. Where it may be evicted for that, what is returned is rung when it
    /// has to end.
    pub(super) fn moves(&self, live: &Arc<Live>) -> Option<Arc<Notify>> {
        let mut state = self.turnstile.lock();
        if state.limits.full != WhenFull::EvictIdle {
            return None;
        }
        let bell = Arc::new(Notify::new());
        state.moving.insert(self.number, Moving { live: live.clone(), bell: bell.clone() });
        state.admission.moves(self.number, Instant::now());
        Some(bell)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.turnstile.lock();
        state.moving.remove(&self.number);
        state.waiting.remove(&self.number);
        if state.admission.leave(self.number, self.client, Instant::now()) {
            state.let_in();
        }
    }
}

/// The turnstile of each route that has limits, as long as somebody needs it.
#[derive(Default)]
pub(super) struct Turnstiles {
    known: Mutex<HashMap<RouteName, Weak<Turnstile>>>,
}

impl Turnstiles {
    /// That of a route; `None` where it limits nothing.
    pub(super) fn of(&self, route: &Route) -> Option<Arc<Turnstile>> {
        if route.entry.is_none() {
            return None;
        }
        let mut known = self.known();
        let kept = known.get(&route.name).and_then(Weak::upgrade);
        Some(kept.unwrap_or_else(|| {
            let new = Arc::new(Turnstile::new(route.entry.clone()));
            known.insert(route.name.clone(), Arc::downgrade(&new));
            new
        }))
    }

    /// Has every turnstile go on under what its route says now: who is here stays, and who waits goes on waiting.
    pub(super) fn adopt(&self, routes: &Routes) {
        for (name, turnstile) in self.known().iter() {
            if let (Some(turnstile), Some(route)) = (turnstile.upgrade(), routes.get(name)) {
                turnstile.adopt(&route.entry);
            }
        }
    }

    /// Has each look at who is idle and forget what nobody needs any more; about once a second.
    pub(super) fn settle(&self, now: Instant) {
        self.known().retain(|_, turnstile| match turnstile.upgrade() {
            Some(turnstile) => {
                turnstile.settle(now);
                true
            }
            None => false,
        });
    }

    fn known(&self) -> MutexGuard<'_, HashMap<RouteName, Weak<Turnstile>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
