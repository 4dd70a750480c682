//! A new client: a permit, an address, a socket, a ledger entry.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Wake;
use std::time::Instant;

use super::choice::{Chosen, choose};
use super::context::UdpRouteRuntime;
use super::control::Command;
use super::datagram::Piece;
use super::drop_log::Loss;
use super::flow::{self, Flow};
use super::flow_table::{Account, ClientKey, FlowId, Room};
use super::hops;
use super::listener::LoopListener;
use super::loop_state::EventLoop;
use super::path::Path;
use super::target::Goal;
use crate::address::Address;
use crate::engine::admission::applicant::Applicant;
use crate::engine::admission::queue::Permit;
use crate::engine::targets::pool::Tried;
use crate::ledger::{Entry, Through};
use crate::limits::Policer;
use crate::outcome::{Cause, Client, Datagrams, Denial, End, Limit, Phase};

/// The result for a new client.
pub(super) enum NewFlow {
    Flow(FlowId),
    /// Its target's name is being looked up.
    Later,
    /// Its datagrams are counted under this, and the other end of its tunnel, if it came by one, is told this end.
    Refused(Loss, End),
}

/// Who a new flow is for.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) client: Client,
    /// How it came, if by a tunnel.
    pub(super) through: Option<Through>,
}

impl Caller {
    fn denial(&self, runtime: &UdpRouteRuntime) -> Option<Denial> {
        let access = &runtime.route.access;
        match self.client {
            Client::Net(address) => access.denies(address.ip()),
            Client::Unix { .. } | Client::Unknown => access.denies_anywhere(),
        }
    }

    fn applicant(&self) -> Applicant {
        Applicant::of(&self.client, self.through.as_ref().map(|through| &through.tunnel))
    }
}

impl EventLoop {
    /// Opens a flow for a client that has none and whose first datagram arrived at `came`. If the path to a target
    /// fails, the next target is tried.
    pub(super) fn open(&mut self, client: ClientKey, came: Instant, now: Instant) -> NewFlow {
        let listener = self.listeners.get(&client.listener).filter(|listener| listener.is_open);
        let (Some(listener), Some(caller)) = (listener, self.caller(&client)) else {
            return NewFlow::Refused(Loss::Closed, End::Drained);
        };
        let (runtime, group) = (listener.runtime.clone(), listener.group);
        if let Some(denial) = caller.denial(&runtime) {
            return self.turn_away(client, &caller, &runtime, End::Denied(denial), now);
        }
        let mut tried = Tried::default();
        let (mut place, mut goal) = match choose(&runtime, caller.client, came, now, &mut tried) {
            Chosen::At(place, goal) => (place, goal),
            Chosen::LookUp(place) => {
                self.look_up(&runtime, place);
                return NewFlow::Later;
            }
            Chosen::Full => {
                return self.turn_away(client, &caller, &runtime, End::Limited(Limit::Target), now);
            }
            Chosen::Nowhere(cause) => {
                return refuse(self.entry(&runtime, &caller, came), None, (cause, None));
            }
        };
        let Some(hops) = self.hops_with(&caller) else {
            let why = (Cause::Denied, Some(hops::words()));
            return refuse(self.entry(&runtime, &caller, now), printed(&runtime, place, goal), why);
        };
        // Before any flow is evicted for it.
        let admission = runtime.admission.as_ref();
        let permit = match admission.map(|it| it.ask(caller.applicant(), now)).transpose() {
            Ok(permit) => permit,
            Err(limit) => return self.turn_away(client, &caller, &runtime, End::Limited(limit), now),
        };
        match self.flows.room(group) {
            Room::Free => {}
            Room::InPlaceOf(oldest) => self.evict(oldest, client.listener, now),
            Room::None => return NewFlow::Refused(Loss::FlowsFull, End::Limited(Limit::Connections)),
        }
        if !self.take_slot(client.listener, now) {
            return NewFlow::Refused(Loss::FlowsFull, End::Limited(Limit::Connections));
        }
        let entry = self.entry(&runtime, &caller, now);
        loop {
            entry.aim(place);
            let cause = match self.dial((place, goal), &runtime, (&client, &entry), (came, now)) {
                Ok(path) => {
                    return self.admit(client, runtime, (place, goal), (path, hops), (entry, permit), now);
                }
                Err(cause) => cause,
            };
            match goal {
                Goal::At(address) => {
                    runtime.pool.at(place).note_refused(address, cause, &self.shared.beside);
                }
                Goal::There => runtime.pool.at(place).note_refused_there(cause),
            }
            tried.add(place);
            // A tunnel may be busy whose neighbour is not.
            let may_others = cause.blames_target() || cause == Cause::TunnelBusy;
            match choose(&runtime, caller.client, came, now, &mut tried) {
                Chosen::At(next, its) if may_others => (place, goal) = (next, its),
                _ => {
                    self.shared.slots.add_permits(1);
                    return refuse(entry, printed(&runtime, place, goal), (cause, None));
                }
            }
        }
    }

    /// Who this is; `None` if it has come by a tunnel and is gone.
    fn caller(&self, client: &ClientKey) -> Option<Caller> {
        if !client.is_visitor() {
            return Some(Caller { client: Client::Net(client.from), through: None });
        }
        let visitor = self.visitors.get(&client.visitor)?;
        Some(Caller { client: visitor.client, through: Some(visitor.through.clone()) })
    }

    /// Through how many forwards a flow of this client goes. The word of the other end of a tunnel is good enough to find a
    /// loop by: a wrong one harms nobody but its own client.
    fn hops_with(&self, caller: &Caller) -> Option<u8> {
        match caller.client {
            Client::Net(address) => self.shared.own_flows.hops_with(address),
            Client::Unix { .. } | Client::Unknown => Some(1),
        }
    }

    /// Rejects a client: its datagrams are counted, and it is recorded once in a while.
    fn turn_away(
        &mut self,
        client: ClientKey,
        caller: &Caller,
        runtime: &UdpRouteRuntime,
        end: End,
        now: Instant,
    ) -> NewFlow {
        let listener = self.listeners.get_mut(&client.listener);
        if listener.is_some_and(|listener| listener.turned_away.is_due(end, now)) {
            let entry = self.entry(runtime, caller, now);
            let mut outcome = flow::outcome(&entry, end, None, None, Datagrams::default(), Instant::now());
            outcome.phase = Phase::Admit;
            entry.close(outcome);
        }
        let loss = if matches!(end, End::Denied(_)) { Loss::Denied } else { Loss::Limited };
        NewFlow::Refused(loss, end)
    }

    /// Counts datagrams whose client gets no flow; the other end of its tunnel, if it came by one, is told why.
    pub(super) fn turn_down(&mut self, client: ClientKey, (why, end): (Loss, End), count: u64) {
        self.lose(client.listener, why, count);
        if client.is_visitor() {
            self.is_refused(client.visitor, end);
        }
    }

    fn admit(
        &mut self,
        client: ClientKey,
        runtime: Arc<UdpRouteRuntime>,
        (place, goal): (usize, Goal),
        (path, hops): (Path, u8),
        (entry, permit): (Entry, Option<Permit>),
        now: Instant,
    ) -> NewFlow {
        let limits = runtime.limits();
        let policer = Policer::new(limits.bandwidth_per_connection, runtime.bandwidth.clone(), now);
        let Some(listener) = self.listeners.get(&client.listener) else {
            return NewFlow::Refused(Loss::Closed, End::Drained);
        };
        let target = runtime.pool.at(place).clone();
        let entered = match (&path, goal) {
            (Path::Socket(socket), Goal::At(to)) => {
                self.shared.own_flows.enter(socket, to, hops, client.is_visitor())
            }
            _ => None,
        };
        let flow = Flow {
            entry,
            account: Account::new(goal.address(), limits),
            first_answer: None,
            target_dropped_before: target.enter(goal, &self.shared.beside),
            batch: (0, 0),
            joins: true,
            _entered: entered,
            path,
            target,
            policer: policer.map(Box::new),
            permit,
            way: None,
        };
        if let Some(limit) = flow.permit.as_ref().and_then(Permit::over) {
            flow.entry.dry_run(limit);
        }
        let ends = now + limits.age.map_or(limits.idle, |age| age.min(limits.idle));
        let group = listener.group;
        listener.flows.fetch_add(1, Relaxed);
        let id = self.flows.insert(client, group, flow, now);
        if client.is_visitor() {
            self.has_begun(client.visitor);
        }
        let Some(flow) = self.flows.get(id) else {
            return NewFlow::Refused(Loss::NoTarget, End::Internal);
        };
        match &flow.path {
            Path::Tunnel(tunnel) => drop(self.there.insert(tunnel.mark.number, id)),
            Path::Socket(socket) => {
                if let Err(error) = self.control.watch_flow(socket, id) {
                    let end = End::NoTarget(Cause::of_dial(&error));
                    self.end(id, end, now);
                    return NewFlow::Refused(Loss::NoTarget, end);
                }
            }
        }
        if flow.entry.live().listen(&self.control.clone().into()).is_some() {
            self.control.wake_by_ref();
        }
        self.next_end = Some(self.next_end.map_or(ends, |next| next.min(ends)));
        NewFlow::Flow(id)
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
                    NewFlow::Refused(why, end) => self.turn_down(held.client, (why, end), piece.count()),
                }
            }
        }
    }
}

impl EventLoop {
    fn entry(&self, runtime: &UdpRouteRuntime, caller: &Caller, now: Instant) -> Entry {
        let (name, targets) = (runtime.name.clone(), runtime.pool.names().clone());
        let through = caller.through.clone().map(Box::new);
        self.shared.ledger.open_through(name, targets, caller.client, now, through)
    }
}

/// The address of a target, as records print it.
fn printed(runtime: &UdpRouteRuntime, place: usize, goal: Goal) -> Option<Address> {
    Some(match goal {
        Goal::At(address) => address.into(),
        Goal::There => Address::Named(runtime.pool.at(place).name().clone()),
    })
}

/// Writes the record of a client that got no flow.
fn refuse(entry: Entry, target: Option<Address>, (cause, hint): (Cause, Option<String>)) -> NewFlow {
    hint.into_iter().for_each(|hint| entry.hint(hint));
    let end = End::NoTarget(cause);
    let outcome = flow::outcome(&entry, end, target, Some(cause), Datagrams::default(), Instant::now());
    entry.close(outcome);
    NewFlow::Refused(Loss::NoTarget, end)
}
