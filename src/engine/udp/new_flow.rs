//! A new client: a permit, an address, a socket, a ledger entry.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Wake;
use std::time::Instant;

use super::choice::{Chosen, choose};
use super::context::UdpRouteRuntime;
use super::drop_log::Loss;
use super::flow::{self, Flow};
use super::flow_table::{Account, ClientKey, FlowId, GroupId, Room};
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

/// A client that gets a flow.
struct Admitted {
    client: ClientKey,
    caller: Caller,
    runtime: Arc<UdpRouteRuntime>,
    /// Through how many forwards its flow goes.
    hops: u8,
    /// When its first datagram arrived.
    came: Instant,
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
        // Without a socket, a listener of a route that is withdrawn has nobody left to serve.
        let is_served =
            |it: &&LoopListener| it.is_open && (it.door.socket().is_some() || !it.runtime.is_withdrawn());
        let listener = self.listeners.get(&client.listener).filter(is_served);
        let (Some(listener), Some(caller)) = (listener, self.caller(&client)) else {
            return NewFlow::Refused(Loss::Closed, End::Drained);
        };
        let (runtime, group) = (listener.runtime.clone(), listener.group);
        if let Some(denial) = caller.denial(&runtime) {
            return self.turn_away(client, &caller, &runtime, End::Denied(denial), now);
        }
        let mut tried = Tried::default();
        let (place, goal) = match choose(&runtime, caller.client, came, now, &mut tried) {
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
        if !self.make_room(group, client.listener, now) {
            return NewFlow::Refused(Loss::FlowsFull, End::Limited(Limit::Connections));
        }
        let new = Admitted { client, caller, runtime, hops, came };
        self.reach(new, (place, goal), tried, permit, now)
    }

    /// Makes room for one more flow of the route and of the process, if need be in place of another.
    fn make_room(&mut self, group: GroupId, listener: u32, now: Instant) -> bool {
        match self.flows.room(group) {
            Room::Free => {}
            Room::InPlaceOf(oldest) => self.evict(oldest, listener, now),
            Room::None => return false,
        }
        self.take_slot(listener, now)
    }

    /// Opens the way to the chosen target; the next is tried if that fails.
    fn reach(
        &mut self,
        new: Admitted,
        (mut place, mut goal): (usize, Goal),
        mut tried: Tried,
        permit: Option<Permit>,
        now: Instant,
    ) -> NewFlow {
        let entry = self.entry(&new.runtime, &new.caller, now);
        loop {
            entry.aim(place);
            let dialled = self.dial((place, goal), &new.runtime, (&new.client, &entry), (new.came, now));
            let cause = match dialled {
                Ok(path) => return self.begin(new, (place, goal), path, (entry, permit), now),
                Err(cause) => cause,
            };
            let target = new.runtime.pool.at(place);
            match goal {
                Goal::At(address) => target.note_refused(address, cause, &self.shared.beside),
                Goal::There => target.note_refused_there(cause),
            }
            tried.add(place);
            // A tunnel may be busy whose neighbour is not.
            let may_others = cause.blames_target() || cause == Cause::TunnelBusy;
            match choose(&new.runtime, new.caller.client, new.came, now, &mut tried) {
                Chosen::At(next, its) if may_others => (place, goal) = (next, its),
                _ => {
                    self.shared.slots.add_permits(1);
                    return refuse(entry, printed(&new.runtime, place, goal), (cause, None));
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

    /// Rejects a client: its datagrams are counted, and it is recorded once in a while; one that came by a tunnel always, as
    /// the other end has a record of it.
    fn turn_away(
        &mut self,
        client: ClientKey,
        caller: &Caller,
        runtime: &UdpRouteRuntime,
        end: End,
        now: Instant,
    ) -> NewFlow {
        let listener = self.listeners.get_mut(&client.listener);
        let is_due = listener.is_some_and(|listener| listener.turned_away.is_due(end, now));
        if is_due || client.is_visitor() {
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

    /// Begins the flow of a client whose way to the target is open.
    fn begin(
        &mut self,
        new: Admitted,
        (place, goal): (usize, Goal),
        path: Path,
        (entry, permit): (Entry, Option<Permit>),
        now: Instant,
    ) -> NewFlow {
        let Admitted { client, runtime, hops, .. } = new;
        let limits = runtime.limits();
        let policer = Policer::new(limits.bandwidth_per_connection, runtime.bandwidth.clone(), now);
        let target = runtime.pool.at(place).clone();
        let entered = match (&path, goal) {
            (Path::Socket(socket), Goal::At(to)) => {
                self.shared.own_flows.enter(socket, to, hops, client.is_visitor())
            }
            _ => None,
        };
        if let Some(limit) = permit.as_ref().and_then(Permit::over) {
            entry.dry_run(limit);
        }
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
        let ends = now + limits.age.map_or(limits.idle, |age| age.min(limits.idle));
        self.next_end = Some(self.next_end.map_or(ends, |next| next.min(ends)));
        self.add(client, flow, now)
    }

    /// Adds a flow to the table, and listens for what comes back and for orders.
    fn add(&mut self, client: ClientKey, flow: Flow, now: Instant) -> NewFlow {
        // A visitor whose own flow was evicted for this one is gone with it.
        let is_gone = client.is_visitor() && !self.visitors.contains_key(&client.visitor);
        let Some(listener) = self.listeners.get(&client.listener).filter(|_| !is_gone) else {
            let end = if is_gone { End::Evicted } else { End::Internal };
            flow.target.leave();
            flow.end(end, now);
            self.shared.slots.add_permits(1);
            return NewFlow::Refused(Loss::Closed, end);
        };
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
        NewFlow::Flow(id)
    }

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
