//! The loop: wait, receive, pass on, end what is over.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event};

use super::context::Shared;
use super::control::{Command, ControlQueue, Ready};
use super::door::Door;
use super::down::share_of_answers;
use super::drop_log::CHECK;
use super::flow_table::FlowId;
use super::inbox::Brought;
use super::listener::LoopListener;
use super::loop_state::{BATCH, EventLoop};
use crate::outcome::End;
use crate::sys::datagrams::Arrivals;

/// Events handled in one turn.
const MAX_EVENTS: usize = 256;

/// How long a flow may be quiet while the engine stops.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// The minimum interval between two searches for ended flows, however many end.
const LEAST_PAUSE: Duration = Duration::from_millis(5);

/// Starts a loop in a thread of its own.
///
/// # Errors
/// The thread could not be started.
pub(super) fn start(n: usize, control: Arc<ControlQueue>, shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(format!("udp-{n}")).spawn(move || EventLoop::new(control, shared).run())
}

impl EventLoop {
    /// Runs until it is stopped. A panic ends the flows of this loop, each with its record, and no route.
    fn run(mut self) {
        while !self.is_stopped {
            if panic::catch_unwind(AssertUnwindSafe(|| self.turns())).is_err() {
                tracing::error!("a bug in Loopgate has ended the flows of this loop; please report it");
                self.begin_again();
            }
        }
        self.end_all(End::Drained);
        self.end_visitors(End::Drained);
    }

    /// Drops every flow, whose entries close as `internal`, and gives each listener an empty group.
    fn begin_again(&mut self) {
        let flows = std::mem::take(&mut self.flows);
        self.shared.slots.add_permits(flows.len());
        drop(flows);
        self.orphans.clear();
        self.answers.clear();
        self.carried.clear();
        self.there.clear();
        self.brought = Brought::default();
        // Each is told so when it is dropped. Gates are made for the first client.
        self.visitors.clear();
        self.lonely.clear();
        self.gates.clear();
        let listeners = std::mem::take(&mut self.listeners);
        for (number, mut listener) in listeners {
            if let Door::Tunnels(_) = listener.door {
                continue;
            }
            listener.flows.store(0, Relaxed);
            listener.group = self.group(&listener.runtime);
            self.listeners.insert(number, listener);
        }
    }

    fn turns(&mut self) {
        let mut arrivals = Arrivals::new(BATCH);
        let mut events = Vec::with_capacity(MAX_EVENTS);
        while !self.is_stopped {
            events.clear();
            if let Err(error) = self.wait(&mut events) {
                tracing::error!("cannot wait for datagrams any more: {error}");
                self.is_stopped = true;
                return;
            }
            self.turn(&events, &mut arrivals);
        }
    }

    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        let next = [self.next_end, self.next_log, self.next_retry].into_iter().flatten().min();
        let timeout = next.map(|next| next.saturating_duration_since(Instant::now()).max(LEAST_PAUSE));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match epoll::wait(&self.control.poller, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Answers first: clients wait for them, and a flow that has ended frees its slot for a new client.
    fn turn(&mut self, events: &[Event], arrivals: &mut Arrivals) {
        let now = Instant::now();
        let ready = || events.iter().map(|event| Ready::of(event.data));
        let flows = || ready().filter_map(|it| if let Ready::Flow(id) = it { Some(id) } else { None });
        let share = share_of_answers(arrivals.places(), flows().count());
        for id in flows() {
            self.take_from_target(id, share, arrivals, now);
        }
        let is_called = ready().any(|it| it == Ready::Control);
        if is_called {
            self.control.is_awake();
            self.take_from_tunnels(arrivals, now);
            self.end_what_tunnels_ended(now);
        }
        self.send_answers(arrivals, now);
        for ready in ready() {
            match ready {
                Ready::Listener(number) => self.take_from_clients(number, arrivals, now),
                Ready::Control => self.obey(arrivals, now),
                Ready::Flow(_) => {}
            }
        }
        self.end_what_is_over(now);
        self.log(now);
        self.resume(now);
    }

    fn obey(&mut self, arrivals: &mut Arrivals, now: Instant) {
        let commands = self.control.take();
        if self.control.take_flow_ordered() {
            self.end_what_is_ordered(now);
        }
        for command in commands {
            match command {
                Command::Listen { number, socket, address, flows, runtime } => {
                    let group = self.group(&runtime);
                    let listener = LoopListener::new(Door::Socket(socket, address), runtime, group, flows);
                    self.listeners.insert(number, listener);
                }
                Command::Serve { number, runtime } => {
                    let group = self.group(&runtime);
                    let Some(listener) = self.listeners.get_mut(&number) else { continue };
                    let before = std::mem::replace(&mut listener.group, group);
                    (listener.runtime, listener.is_open) = (runtime, true);
                    self.forget_group(before);
                }
                Command::Retire { number, done } => {
                    self.take_the_rest(number, arrivals, now);
                    if let Some(listener) = self.listeners.get_mut(&number) {
                        listener.is_open = false;
                    }
                    let _ = done.send(());
                }
                Command::Close { number, done } => {
                    self.close(number, now);
                    let _ = done.send(());
                }
                Command::Resolved => self.release_held(now),
                Command::Withdrawn => self.close_withdrawn(),
                Command::Drain => {
                    self.is_draining = true;
                    self.close_gates();
                    self.next_end = Some(now);
                }
                Command::Stop => self.is_stopped = true,
            }
        }
    }

    fn close(&mut self, number: u32, now: Instant) {
        let of_listener =
            |id: &FlowId| self.flows.client(*id).is_some_and(|client| client.listener == number);
        let left: Vec<_> = self.flows.ids().into_iter().filter(of_listener).collect();
        left.into_iter().for_each(|id| self.end(id, End::Drained, now));
        if let Some(listener) = self.listeners.remove(&number) {
            listener.lost.log(&listener.runtime.name, &listener.door);
            self.forget_group(listener.group);
            // Closing this descriptor would be enough if no copy of it were open at this moment.
            let deleted = listener.door.socket().map(|socket| epoll::delete(&self.control.poller, socket));
            let _ = deleted.transpose();
        }
    }

    fn end_all(&mut self, end: End) {
        let now = Instant::now();
        self.flows.ids().into_iter().for_each(|id| self.end(id, end, now));
    }

    /// Ends each flow that was ordered to end: one check of every flow's order word, for all orders that came together.
    fn end_what_is_ordered(&mut self, now: Instant) {
        for id in self.flows.ids() {
            if let Some(order) = self.flows.get(id).and_then(|flow| flow.entry.live().ordered()) {
                self.end(id, order.end(), now);
            }
        }
    }

    fn end_what_is_over(&mut self, now: Instant) {
        if self.next_end.is_none_or(|next| next > now) {
            return;
        }
        let (at_most, end) =
            if self.is_draining { (Some(DRAIN_IDLE), End::Drained) } else { (None, End::Idle) };
        while let Some(id) = self.flows.expired(now, at_most) {
            self.end(id, end, now);
        }
        while let Some(id) = self.flows.too_old(now) {
            self.end(id, End::Expired, now);
        }
        self.end_lonely_ones(now);
        let lonely = self.lonely.first().map(|(until, _)| *until);
        self.next_end = self.flows.next_end(at_most).into_iter().chain(lonely).min();
    }

    /// Logs the losses, each listener at most once per interval.
    fn log(&mut self, now: Instant) {
        if self.next_log.is_none_or(|next| next > now) {
            return;
        }
        let mut is_left = false;
        for LoopListener { runtime, door, lost, .. } in self.listeners.values_mut() {
            is_left |= !lost.log_now_and_then(door, &runtime.name, now);
        }
        self.next_log = is_left.then_some(now + CHECK);
    }
}
