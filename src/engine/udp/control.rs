//! How the supervisor sends commands to a loop that sleeps in its poller.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

use super::context::UdpRouteRuntime;
use super::inbox::Inbox;

/// A command to an event loop.
pub(super) enum Command {
    Listen {
        number: u32,
        socket: Arc<OwnedFd>,
        address: SocketAddr,
        flows: Arc<AtomicUsize>,
        runtime: Arc<UdpRouteRuntime>,
    },
    Serve {
        number: u32,
        runtime: Arc<UdpRouteRuntime>,
    },
    Retire {
        number: u32,
        done: oneshot::Sender<()>,
    },
    Close {
        number: u32,
        done: oneshot::Sender<()>,
    },
    /// The lookup of a name that datagrams wait for is done.
    Resolved,
    /// A route whose clients may come by tunnels is no longer wanted as it is.
    Withdrawn,
    Drain,
    Stop,
}

/// What an event of the poller refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    Control,
    Listener(u32),
    Flow(u32),
}

const CONTROL: u64 = 1 << 63;
const LISTENER: u64 = 1 << 62;

impl Ready {
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Ready::Control => CONTROL,
            Ready::Listener(number) => LISTENER | u64::from(number),
            Ready::Flow(number) => number.into(),
        })
    }

    pub(super) fn of(data: EventData) -> Ready {
        match data.u64() {
            CONTROL => Ready::Control,
            word if word & LISTENER != 0 => Ready::Listener(word as u32),
            word => Ready::Flow(word as u32),
        }
    }
}

/// A loop's poller, its wake-up and its pending commands.
pub(super) struct ControlQueue {
    pub(super) poller: OwnedFd,
    wake_up: OwnedFd,
    commands: Mutex<Vec<Command>>,
    /// What tunnels bring.
    pub(super) inbox: Inbox,
    /// Whether a flow was ordered to end since the loop last checked.
    is_flow_ordered: AtomicBool,
}

impl ControlQueue {
    pub(super) fn new() -> io::Result<ControlQueue> {
        let poller = epoll::create(CreateFlags::CLOEXEC)?;
        let wake_up = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&poller, &wake_up, Ready::Control.data(), EventFlags::IN)?;
        Ok(ControlQueue {
            poller,
            wake_up,
            commands: Mutex::default(),
            inbox: Inbox::default(),
            is_flow_ordered: AtomicBool::new(false),
        })
    }

    pub(super) fn send(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.wake_loop();
    }

    pub(super) fn wake_loop(&self) {
        // This fails only if the counter is full, and then the loop is awake.
        let _ = rustix::io::write(&self.wake_up, &1_u64.to_ne_bytes());
    }

    /// Ends the event of the wake-up. What comes later wakes the loop again, so this comes before all is taken.
    pub(super) fn is_awake(&self) {
        let _ = rustix::io::read(&self.wake_up, &mut [0; 8]);
    }

    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a flow was ordered to end since the last call.
    pub(super) fn take_flow_ordered(&self) -> bool {
        self.is_flow_ordered.swap(false, Acquire)
    }

    /// Level-triggered, like everything here: what is left after a turn is reported again, and no read goes on until
    /// EAGAIN.
    pub(super) fn watch_listener(&self, socket: impl AsFd, number: u32) -> io::Result<()> {
        Ok(epoll::add(&self.poller, socket, Ready::Listener(number).data(), EventFlags::IN)?)
    }

    pub(super) fn watch_flow(&self, socket: impl AsFd, number: u32) -> io::Result<()> {
        Ok(epoll::add(&self.poller, socket, Ready::Flow(number).data(), EventFlags::IN)?)
    }
}

/// Each flow of the loop wakes it through this; the loop then searches for the flows that were ordered to end. However
/// many there are, one wake-up serves them.
impl Wake for ControlQueue {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_flow_ordered.swap(true, Release) {
            self.wake_loop();
        }
    }
}
