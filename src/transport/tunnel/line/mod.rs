//! What sessions ask a tunnel for: an idle carrier, and whether there is any use in waiting.
//!
//! The carriers of an opener are here while they are idle, in no runtime's poller; the tunnel's own task fills them up.

mod demand;
mod lines;
mod numbers;
mod state;
mod store;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

use super::carrier::Carrier;
use super::flows::FlowCarrier;
use crate::address::There;
use crate::outcome::Cause;
pub use lines::Lines;
pub use numbers::{
    Count, DatagramDropped, Dialled, Direction, FlowsBy, HandshakeFailed, Handshakes, Level, Numbers,
};
pub use state::{Fault, LineState};
use store::{Answer, Store};
pub use store::{MAX_IDLE, MAX_WAITING};

/// What a [`Line`] keeps.
pub trait Idle {
    /// Whether the other end has closed it, or has sent what nobody asked for. Must not wait.
    fn is_gone(&self) -> bool;

    /// Whether it has carried nothing yet.
    fn is_new(&self) -> bool;

    /// It is gone.
    fn lost(self);
}

impl Idle for Carrier {
    fn is_gone(&self) -> bool {
        self.link.is_gone()
    }

    fn is_new(&self) -> bool {
        self.carried == 0
    }

    fn lost(self) {
        self.home.lost();
    }
}

/// One tunnel, as sessions see it. It is down until the tunnel says otherwise.
pub struct Line<C = Carrier> {
    store: Mutex<Store<C, Notify>>,
    state: watch::Sender<LineState>,
    /// Told when the state of any line changes.
    any: Arc<Notify>,
    changed: Notify,
    first_uses: AtomicUsize,
    /// What carries datagrams, while the tunnel is up.
    flows: Mutex<Option<Arc<dyn FlowCarrier>>>,
    numbers: Numbers,
}

/// How many carriers there are, and how many are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Idle carriers.
    pub idle: usize,
    /// Clients that wait for one.
    pub waiting: usize,
    /// How many were asked for in the busiest second of the last 30.
    pub takes: usize,
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        Line {
            store: Mutex::default(),
            state: watch::Sender::default(),
            any: Arc::default(),
            changed: Notify::new(),
            first_uses: AtomicUsize::new(0),
            flows: Mutex::default(),
            numbers: Numbers::default(),
        }
    }
}

impl<C: Idle> Line<C> {
    /// A carrier for a session: an idle one, else the next that becomes free. Of those who wait the first is served first.
    ///
    /// Cancel safe: who no longer waits loses no carrier.
    ///
    /// # Errors
    /// [`Cause::TunnelDown`] at once while the tunnel is down, and when it goes down; [`Cause::TunnelBusy`] if there is
    /// none until `deadline`, and at once if [`MAX_WAITING`] wait already.
    pub async fn take(&self, deadline: Instant) -> Result<C, Cause> {
        let place = match self.ask()? {
            Asked::Taken(carrier) => return Ok(self.used(carrier)),
            Asked::Waits(place) => place,
        };
        loop {
            if let Some(carrier) = place.take()? {
                return Ok(self.used(carrier));
            }
            if timeout_at(deadline.into(), place.turn.notified()).await.is_err() {
                self.numbers.busy.add(1);
                return Err(Cause::TunnelBusy);
            }
        }
    }

    fn ask(&self) -> Result<Asked<'_, C>, Cause> {
        self.numbers.takes.add(1);
        let mut answer = {
            let mut store = self.store();
            store.asks.add(Instant::now());
            store.ask()
        };
        let asked = loop {
            match answer {
                Answer::Taken(carrier) if carrier.is_gone() => {
                    carrier.lost();
                    answer = self.store().ask();
                }
                Answer::Taken(carrier) => break Ok(Asked::Taken(carrier)),
                Answer::Waits(turn) => {
                    self.numbers.waits.add(1);
                    break Ok(Asked::Waits(Place { line: self, turn }));
                }
                Answer::Down => break Err(Cause::TunnelDown),
                Answer::Full => {
                    self.numbers.busy.add(1);
                    break Err(Cause::TunnelBusy);
                }
            }
        };
        self.changed.notify_one();
        asked
    }

    fn used(&self, carrier: C) -> C {
        self.first_uses.fetch_add(carrier.is_new().into(), Relaxed);
        carrier
    }

    /// How many carriers were taken that had carried nothing, since the last call.
    pub fn take_first_uses(&self) -> usize {
        self.first_uses.swap(0, Relaxed)
    }

    /// Adds an idle carrier: a new one, or one that its session has left clean. Returns it if it is not kept, as the tunnel
    /// is down or [`MAX_IDLE`] are idle: the caller closes it.
    #[must_use = "a carrier that is not kept must be closed"]
    pub fn offer(&self, carrier: C) -> Option<C> {
        let mut store = self.store();
        let surplus = store.offer(carrier, Instant::now());
        call(&store);
        drop(store);
        self.changed.notify_one();
        surplus
    }

    /// The tunnel is up: carriers may be offered, and waited for.
    pub fn set_up(&self) {
        self.store().set_up();
        self.tell(|state| state.set(true));
    }

    /// The tunnel is down: its idle carriers are dropped, and those who wait fail.
    pub fn set_down(&self) {
        let (idle, waiting) = self.store().set_down();
        self.tell(|state| state.set(false));
        // Outside the lock: their home may ask this line about something.
        idle.into_iter().for_each(|(carrier, _)| carrier.lost());
        waiting.iter().for_each(|turn| turn.notify_one());
        self.changed.notify_one();
    }

    /// Whether the tunnel is up.
    pub fn is_up(&self) -> bool {
        self.store().is_up()
    }

    /// Records what the other end says of the target behind one of its services: why it is down, or `None` if it is up.
    /// What it does not speak of counts as up, also after the tunnel was down.
    pub fn set_state(&self, service: &str, cause: Option<Cause>) {
        self.tell(|state| state.is_up() && state.note(service, cause));
    }

    /// Why this target cannot be reached, if that is known; see [`LineState::fault`].
    pub fn fault(&self, to: &There) -> Option<Fault> {
        self.state.borrow().fault(to)
    }

    /// The state of the tunnel and of the services at its other end, now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<LineState> {
        self.state.subscribe()
    }

    /// Takes the carriers that have been idle for longer than this, oldest first, to be pinged and offered again.
    pub fn take_idle_older_than(&self, age: Duration) -> Vec<C> {
        self.store().take_older_than(age, Instant::now())
    }

    /// How many carriers there are, and are wanted.
    pub fn demand(&self, now: Instant) -> Demand {
        let mut store = self.store();
        let (idle, waiting) = store.counts();
        Demand { idle, waiting, takes: store.asks.peak(now) }
    }

    /// Resolves when carriers were taken, offered or lost, or somebody began to wait, since the last call; several changes
    /// are told once. For one task alone. Cancel safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What carries the datagrams of the tunnel; nothing while it is down.
    pub fn flows(&self) -> Option<Arc<dyn FlowCarrier>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Datagrams are carried by this from now on.
    pub fn set_flows(&self, flows: Option<Arc<dyn FlowCarrier>>) {
        *self.flows.lock().unwrap_or_else(PoisonError::into_inner) = flows;
    }

    /// What is counted of the tunnel.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    fn tell(&self, change: impl FnOnce(&mut LineState) -> bool) {
        if self.state.send_if_modified(change) {
            self.any.notify_one();
        }
    }

    fn store(&self) -> MutexGuard<'_, Store<C, Notify>> {
        // A panic cannot leave it half-changed, so a poisoned lock is as good as a clean one.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the first who waits look for a carrier, if there is one.
fn call<C>(store: &Store<C, Notify>) {
    if let Some(turn) = store.called() {
        turn.notify_one();
    }
}

/// The answer to an ask.
enum Asked<'l, C: Idle> {
    Taken(C),
    Waits(Place<'l, C>),
}

/// The place of one who waits; it is left when this is dropped, and the next is called.
struct Place<'l, C: Idle> {
    line: &'l Line<C>,
    turn: Arc<Notify>,
}

impl<C: Idle> Place<'_, C> {
    /// A carrier, if it is this one's turn and there is one.
    fn take(&self) -> Result<Option<C>, Cause> {
        loop {
            let taken = {
                let mut store = self.line.store();
                if !store.has(&self.turn) {
                    return Err(Cause::TunnelDown);
                }
                store.take_for(&self.turn)
            };
            match taken {
                Some(carrier) if carrier.is_gone() => carrier.lost(),
                taken => return Ok(taken),
            }
            self.line.changed.notify_one();
        }
    }
}

impl<C: Idle> Drop for Place<'_, C> {
    fn drop(&mut self) {
        let mut store = self.line.store();
        store.leave(&self.turn);
        call(&store);
        drop(store);
        self.line.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
