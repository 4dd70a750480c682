//! How the supervisor speaks to a loop that sleeps in its poller.

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

/// What a loop is told.
pub(super) enum Order {
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
    /// A name that datagrams wait for has been looked up.
    Resolved,
    Drain,
    Stop,
}

/// What an event of the poller is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    Control,
    UdpDoor(u32),
    Flow(u32),
}

const CONTROL: u64 = 1 << 63;
const DOOR: u64 = 1 << 62;

impl Ready {
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Ready::Control => CONTROL,
            Ready::UdpDoor(number) => DOOR | u64::from(number),
            Ready::Flow(number) => number.into(),
        })
    }

    pub(super) fn of(data: EventData) -> Ready {
        match data.u64() {
            CONTROL => Ready::Control,
            word if word & DOOR != 0 => Ready::UdpDoor(word as u32),
            word => Ready::Flow(word as u32),
        }
    }
}

/// A loop's poller, its wake-up and the orders that wait.
pub(super) struct ControlQueue {
    pub(super) poller: OwnedFd,
    bell: OwnedFd,
    orders: Mutex<Vec<Order>>,
    /// Whether a flow was ordered to end since the loop looked last.
    is_flow_ordered: AtomicBool,
}

impl ControlQueue {
    pub(super) fn new() -> io::Result<ControlQueue> {
        let poller = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&poller, &bell, Ready::Control.data(), EventFlags::IN)?;
        Ok(ControlQueue { poller, bell, orders: Mutex::default(), is_flow_ordered: AtomicBool::new(false) })
    }

    pub(super) fn send(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        self.ring();
    }

    fn ring(&self) {
        // It fails only where the counter is full, and then the loop is awake.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    pub(super) fn take(&self) -> Vec<Order> {
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        std::mem::take(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a flow was ordered to end since this was asked last.
    pub(super) fn take_flow_ordered(&self) -> bool {
        self.is_flow_ordered.swap(false, Acquire)
    }

    /// Level-triggered, as everything here: what is left after a turn is told again, and nobody reads until EAGAIN.
    pub(super) fn watch_door(&self, socket: impl AsFd, number: u32) -> io::Result<()> {
        Ok(epoll::add(&self.poller, socket, Ready::UdpDoor(number).data(), EventFlags::IN)?)
    }

    pub(super) fn watch_flow(&self, socket: impl AsFd, number: u32) -> io::Result<()> {
        Ok(epoll::add(&self.poller, socket, Ready::Flow(number).data(), EventFlags::IN)?)
    }
}

/// Every flow of the loop is woken by this: the loop looks which of them was ordered to end. However many are, it is
/// rung once.
impl Wake for ControlQueue {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_flow_ordered.swap(true, Release) {
            self.ring();
        }
    }
}
