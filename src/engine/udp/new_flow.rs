//! A new client: a permit, an address, a socket, a ledger entry.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Wake;
use std::time::Instant;

use super::context::{Shared, UdpRouteRuntime};
use super::control::Command;
use super::datagram::Piece;
use super::drop_log::Loss;
use super::flow::{self, Flow};
use super::flow_table::{Account, ClientKey, FlowId, Room};
use super::hops;
use super::listener::LoopListener;
use super::loop_state::EventLoop;
use crate::balance::Key;
use crate::engine::admission::queue::Permit;
use crate::engine::targets::pool::{Picked, Tried};
use crate::ledger::Entry;
use crate::limits::Policer;
use crate::outcome::{Cause, Datagrams, End, Limit, Phase};
use crate::transport;

/// The result for a new client.
pub(super) enum NewFlow {
    Flow(FlowId),
    /// Its target's name is being looked up.
    Later,
    Refused(Loss),
}

/// Flows that may be evicted for one new client before it is rejected: others may have taken the freed descriptors and
/// ports.
const MAX_EVICTED: usize = 4;

/// The target of a new client.
enum Chosen {
    /// The target at this place.
    At(usize, SocketAddr),
    /// The target at this place, once its name is looked up.
    LookUp(usize),
    /// All targets are full.
    Full,
    /// No target has an address, for this reason.
    Nowhere(Cause),
}

impl EventLoop {
    /// Opens a flow for a client that has none and whose first datagram arrived at `came`. If the path to a target
    /// fails, the next target is tried.
    pub(super) fn open(&mut self, client: ClientKey, came: Instant, now: Instant) -> NewFlow {
        let Some(listener) = self.listeners.get(&client.listener).filter(|listener| listener.is_open) else {
            return NewFlow::Refused(Loss::Closed);
        };
        let (runtime, group) = (listener.runtime.clone(), listener.group);
        if let Some(denial) = runtime.route.access.denies(client.from.ip()) {
            return self.turn_away(client, &runtime, End::Denied(denial), now);
        }
        let mut tried = Tried::default();
        let (mut place, mut address) = match choose(&runtime, &client, came, now, &mut tried) {
            Chosen::At(place, address) => (place, address),
            Chosen::LookUp(place) => {
                self.look_up(&runtime, place);
                return NewFlow::Later;
            }
            Chosen::Full => return self.turn_away(client, &runtime, End::Limited(Limit::Target), now),
            Chosen::Nowhere(cause) => {
                let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
                refuse(&self.shared, &runtime, client, nowhere, (cause, None), came);
                return NewFlow::Refused(Loss::NoTarget);
            }
        };
        let Some(hops) = self.shared.own_flows.hops_with(client.from) else {
            return self.refuse_loop(&runtime, client, address, now);
        };
        // Before any flow is evicted for it.
        let admission = runtime.admission.as_ref();
        let permit = match admission.map(|it| it.ask(client.from.ip().into(), now)).transpose() {
            Ok(permit) => permit,
            Err(limit) => return self.turn_away(client, &runtime, End::Limited(limit), now),
        };
        match self.flows.room(group) {
            Room::Free => {}
            Room::InPlaceOf(oldest) => self.evict(oldest, client.listener, now),
            Room::None => return NewFlow::Refused(Loss::FlowsFull),
        }
        if !self.take_slot(client.listener, now) {
            return NewFlow::Refused(Loss::FlowsFull);
        }
        loop {
            let error = match self.dial(address, &runtime, client.listener, now) {
                Ok(socket) => {
                    return self.admit(client, runtime, (place, address), (socket, hops), permit, now);
                }
                Err(error) => error,
            };
            let cause = Cause::of_dial(&error);
            runtime.pool.at(place).note_refused(address, cause, &self.shared.beside);
            tried.add(place);
            match choose(&runtime, &client, came, now, &mut tried) {
                Chosen::At(next, its) if cause.blames_target() => (place, address) = (next, its),
                _ => {
                    self.shared.slots.add_permits(1);
                    refuse(&self.shared, &runtime, client, address, (cause, None), now);
                    return NewFlow::Refused(Loss::NoTarget);
                }
            }
        }
    }

    /// Rejects a client: its datagrams are counted, and it is recorded once in a while.
    fn turn_away(&mut self, client: ClientKey, runtime: &UdpRouteRuntime, end: End, now: Instant) -> NewFlow {
        let listener = self.listeners.get_mut(&client.listener);
        if listener.is_some_and(|listener| listener.turned_away.is_due(end, now)) {
            let entry = entry(&self.shared, runtime, client, now);
            let mut outcome =
                flow::outcome(&entry, end, client.from, None, Datagrams::default(), Instant::now());
            (outcome.phase, outcome.target) = (Phase::Admit, None);
            outcome.attempts.clear();
            entry.close(outcome);
        }
        NewFlow::Refused(if matches!(end, End::Denied(_)) { Loss::Denied } else { Loss::Limited })
    }

    /// Rejects a client that is a flow of ours, after too many others.
    fn refuse_loop(
        &self,
        runtime: &UdpRouteRuntime,
        client: ClientKey,
        target: SocketAddr,
        now: Instant,
    ) -> NewFlow {
        refuse(&self.shared, runtime, client, target, (Cause::Denied, Some(hops::words())), now);
        NewFlow::Refused(Loss::NoTarget)
    }

    fn admit(
        &mut self,
        client: ClientKey,
        runtime: Arc<UdpRouteRuntime>,
        (place, address): (usize, SocketAddr),
        (socket, hops): (OwnedFd, u8),
        permit: Option<Permit>,
        now: Instant,
    ) -> NewFlow {
        let limits = runtime.limits();
        let policer = Policer::new(limits.bandwidth_per_connection, runtime.bandwidth.clone(), now);
        let Some(listener) = self.listeners.get(&client.listener) else {
            return NewFlow::Refused(Loss::Closed);
        };
        let target = runtime.pool.at(place).clone();
        let flow = Flow {
            entry: entry(&self.shared, &runtime, client, now),
            account: Account::new(address, limits),
            first_answer: None,
            target_dropped_before: target.enter(address, &self.shared.beside),
            batch: (0, 0),
            joins: true,
            _entered: self.shared.own_flows.enter(&socket, address, hops),
            socket,
            target,
            policer: policer.map(Box::new),
            permit,
        };
        flow.entry.aim(place);
        if let Some(limit) = flow.permit.as_ref().and_then(Permit::over) {
            flow.entry.dry_run(limit);
        }
        let ends = now + limits.age.map_or(limits.idle, |age| age.min(limits.idle));
        let group = listener.group;
        listener.flows.fetch_add(1, Relaxed);
        let id = self.flows.insert(client, group, flow, now);
        let Some(flow) = self.flows.get(id) else { return NewFlow::Refused(Loss::NoTarget) };
        if let Err(error) = self.control.watch_flow(&flow.socket, id) {
            self.end(id, End::NoTarget(Cause::of_dial(&error)), now);
            return NewFlow::Refused(Loss::NoTarget);
        }
        if flow.entry.live().listen(&self.control.clone().into()).is_some() {
            self.control.wake_by_ref();
        }
        self.next_end = Some(self.next_end.map_or(ends, |next| next.min(ends)));
        NewFlow::Flow(id)
    }

    /// Takes one of the process's flow permits; if none is free, evicts this loop's flow that was idle longest.
    fn take_slot(&mut self, listener: u32, now: Instant) -> bool {
        for _ in 0..MAX_EVICTED {
            if let Ok(permit) = self.shared.slots.try_acquire() {
                permit.forget();
                return true;
            }
            match self.flows.oldest() {
                Some(oldest) => self.evict(oldest, listener, now),
                None => return false,
            }
        }
        false
    }

    /// Opens a socket connected to the target. If no descriptor or source port is left, the flow idle longest is
    /// evicted.
    fn dial(
        &mut self,
        target: SocketAddr,
        runtime: &UdpRouteRuntime,
        listener: u32,
        now: Instant,
    ) -> io::Result<OwnedFd> {
        let mut evicted = 0;
        loop {
            let error = match transport::dial_datagrams(target, &runtime.route.dial.from) {
                Ok(socket) => return Ok(socket),
                Err(error) => error,
            };
            let is_used_up =
                matches!(Cause::of_dial(&error), Cause::NoDescriptor | Cause::NoSourcePort | Cause::NoMemory);
            let Some(oldest) = self.flows.oldest().filter(|_| is_used_up && evicted < MAX_EVICTED) else {
                return Err(error);
            };
            self.evict(oldest, listener, now);
            evicted += 1;
        }
    }

    fn evict(&mut self, id: FlowId, listener: u32, now: Instant) {
        self.end(id, End::Evicted, now);
        self.lose(listener, Loss::Evicted, 1);
    }

    /// Keeps a datagram until its target's name is resolved.
    pub(super) fn hold(&mut self, client: ClientKey, piece: Piece<'_>, now: Instant) {
        let Some(listener) = self.listeners.get_mut(&client.listener) else { return };
        if !listener.hold(client, piece.bytes, piece.segment, now) {
            self.lose(client.listener, Loss::NotHeld, piece.count());
        }
    }

    fn look_up(&self, runtime: &UdpRouteRuntime, place: usize) {
        let control = self.control.clone();
        let patience = runtime.route.dial.connect_timeout;
        runtime
            .pool
            .at(place)
            .look_up(patience, &self.shared.beside, move || control.send(Command::Resolved));
    }

    /// Passes on what was held for a name that is now resolved; datagrams whose name has no address end as
    /// `no_address`.
    pub(super) fn release_held(&mut self, now: Instant) {
        let waits = |listener: &LoopListener| !listener.held.is_empty();
        let ready: Vec<u32> = self
            .listeners
            .iter()
            .filter(|(_, listener)| waits(listener))
            .map(|(number, _)| *number)
            .collect();
        for number in ready {
            let Some(listener) = self.listeners.get_mut(&number) else { continue };
            for held in std::mem::take(&mut listener.held) {
                let piece = Piece { bytes: &held.bytes, segment: held.segment };
                let known = self.flows.find(&held.client);
                let opened = known.map_or_else(|| self.open(held.client, held.came, now), NewFlow::Flow);
                match opened {
                    NewFlow::Flow(id)
                        if self.flows.get(id).is_some_and(|flow| flow.account.ends_by_requests()) =>
                    {
                        self.carry_counted(held.client, std::iter::once((piece, false)), now);
                    }
                    NewFlow::Flow(id) => {
                        let piece = self.flows.get_mut(id).and_then(|flow| flow.pass_up(piece, now));
                        piece.into_iter().for_each(|piece| self.send_up(held.client, id, &[piece], now));
                    }
                    NewFlow::Later => self.hold(held.client, piece, held.came),
                    NewFlow::Refused(why) => self.lose(number, why, piece.count()),
                }
            }
        }
    }
}

/// Chooses by the route's rule among the targets not tried yet, and skips those whose names have had no address since
/// the client came.
fn choose(
    runtime: &UdpRouteRuntime,
    client: &ClientKey,
    came: Instant,
    now: Instant,
    tried: &mut Tried,
) -> Chosen {
    let key = Key::of_ip(client.from.ip());
    let mut why = Cause::NoAddress;
    let mut trial = if tried.is_empty() { runtime.pool.trial(now) } else { None };
    trial.into_iter().for_each(|place| tried.is_trial(place));
    loop {
        if runtime.route.next_target.is_some_and(|others| tried.count() > others) {
            return Chosen::Nowhere(why);
        }
        let picked = trial.take().map_or_else(|| runtime.pool.pick(|| key, tried, now), Picked::At);
        let place = match picked {
            Picked::At(place) => place,
            Picked::Full => return Chosen::Full,
            Picked::Nobody => return Chosen::Nowhere(why),
        };
        let target = runtime.pool.at(place);
        match target.address() {
            Some(address) => return Chosen::At(place, address),
            None => match target.has_no_address_since(came) {
                Some(cause) => {
                    why = cause;
                    tried.add(place);
                }
                None => return Chosen::LookUp(place),
            },
        }
    }
}

fn entry(shared: &Shared, runtime: &UdpRouteRuntime, client: ClientKey, now: Instant) -> Entry {
    let (name, targets) = (runtime.name.clone(), runtime.pool.names().clone());
    shared.ledger.open(name, targets, client.from.into(), now)
}

/// Writes the record of a client that got no flow.
fn refuse(
    shared: &Shared,
    runtime: &UdpRouteRuntime,
    client: ClientKey,
    target: SocketAddr,
    (cause, hint): (Cause, Option<String>),
    now: Instant,
) {
    let entry = entry(shared, runtime, client, now);
    hint.into_iter().for_each(|hint| entry.hint(hint));
    let end = End::NoTarget(cause);
    let mut outcome = flow::outcome(&entry, end, target, Some(cause), Datagrams::default(), Instant::now());
    if target.port() == 0 {
        outcome.target = None;
        outcome.attempts.clear();
    }
    entry.close(outcome);
}
