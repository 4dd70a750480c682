//! UDP routes: one loop per worker carries the datagrams of every flow it was given.
//!
//! A flow has a socket of its own, connected to its target, and that is all it has: no task, no thread, no buffer. Any
//! design needs that socket, because a target tells its clients apart by their source port; connected, the kernel also
//! keeps strangers out and tells a refusal to the flow that met it. A loop is a thread with one poller over its
//! listeners and its flows, and one set of buffers. It is not a task on a worker's runtime: a poller inside a poller
//! costs a system call more per wake-up, and beside the runtime's thread the system's scheduler keeps a flood of
//! datagrams from starving the sessions of streams.

pub(super) mod context;
mod control;
mod datagram;
mod down;
mod drop_log;
mod event_loop;
mod flow;
mod flow_table;
mod listener;
mod loop_state;
mod new_flow;
mod target;
mod up;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::api::Wanted;
use super::targets::pool::Pool;
use crate::transport;
use context::{Shared, UdpRouteRuntime};
use control::{ControlQueue, Order};
use target::UdpTargets;

/// All loops of an engine. They start with the first listener and end when this is dropped.
pub(super) struct Udp {
    shared: Arc<Shared>,
    targets: UdpTargets,
    loops: Mutex<Vec<Running>>,
    count: usize,
    next_listener: AtomicU32,
}

struct Running {
    control: Arc<ControlQueue>,
    thread: Option<JoinHandle<()>>,
}

/// A bound socket and the loop that receives from it.
pub(super) struct UdpListener {
    /// The address it really has.
    pub(super) address: SocketAddr,
    socket: Arc<OwnedFd>,
    number: u32,
    control: Arc<ControlQueue>,
    /// How many flows answer through it.
    flows: Arc<AtomicUsize>,
}

impl Udp {
    /// `count` loops. Nothing is started yet.
    pub(super) fn new(count: usize, shared: Shared) -> Udp {
        Udp {
            shared: Arc::new(shared),
            targets: UdpTargets::default(),
            loops: Mutex::default(),
            count: count.max(1),
            next_listener: AtomicU32::new(0),
        }
    }

    /// Starts to receive from a bound socket, on loop `n`.
    ///
    /// # Errors
    /// Where the loop cannot be started or does not take the socket.
    pub(super) fn listen(&self, socket: OwnedFd, by: &Wanted, n: usize) -> io::Result<UdpListener> {
        let address = transport::local_address(&socket)?;
        let control = self.control(n)?;
        let (socket, flows) = (Arc::new(socket), Arc::new(AtomicUsize::new(0)));
        let number = self.next_listener.fetch_add(1, Relaxed);
        control.watch_door(&socket, number)?;
        tell_buffer(&socket, address);
        control.send(Order::Listen {
            number,
            socket: socket.clone(),
            address,
            flows: flows.clone(),
            runtime: self.runtime(by),
        });
        Ok(UdpListener { address, socket, number, control, flows })
    }

    /// A route as the clients of one of its addresses meet it.
    fn runtime(&self, by: &Wanted) -> Arc<UdpRouteRuntime> {
        let Wanted { id, route, place } = by;
        Arc::new(UdpRouteRuntime {
            id: id.clone(),
            route: route.clone(),
            pool: Pool::new(route, *place, |address| self.targets.get(address)),
            admission: self.shared.admissions.of(id, route),
            name: id.shown(),
        })
    }

    fn control(&self, n: usize) -> io::Result<Arc<ControlQueue>> {
        let mut loops = self.loops();
        while loops.len() < self.count {
            let control = Arc::new(ControlQueue::new()?);
            let thread = event_loop::start(loops.len(), control.clone(), self.shared.clone())?;
            loops.push(Running { control, thread: Some(thread) });
        }
        Ok(loops[n % self.count].control.clone())
    }

    /// Flows alive now.
    pub(super) fn flows(&self) -> usize {
        self.shared.most - self.shared.slots.available_permits()
    }

    /// Takes no new client any more, and lets go of each flow that is quiet.
    pub(super) fn drain(&self) {
        self.loops().iter().for_each(|it| it.control.send(Order::Drain));
    }

    /// Resolves when no flow is left. Cancel safe.
    pub(super) async fn all_gone(&self) {
        // It fails only on a closed semaphore, which this one never is; `most` fits, see `new`.
        let _ = self.shared.slots.acquire_many(self.shared.most as u32).await;
    }

    fn loops(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says so where the kernel grants less than was asked: bursts of new clients are lost there.
fn tell_buffer(socket: &OwnedFd, address: SocketAddr) {
    if let Ok((granted, asked)) = transport::receive_buffer(socket)
        && granted < asked
    {
        tracing::warn!(
            "{address}/udp has a receive buffer of {} KiB, not of {} KiB, and loses what a burst brings beyond it; \
             raise net.core.rmem_max",
            granted >> 10,
            asked >> 10
        );
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        let mut loops = self.loops();
        loops.iter().for_each(|it| it.control.send(Order::Stop));
        for thread in loops.iter_mut().filter_map(|it| it.thread.take()) {
            // A look-up that is the last to hold the engine must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl UdpListener {
    /// Serves another route from the next new client on; flows keep theirs. A retired listener is back in service.
    pub(super) fn serve(&self, udp: &Udp, by: &Wanted) {
        self.control.send(Order::Serve { number: self.number, runtime: udp.runtime(by) });
    }

    /// As one of the sockets we hold.
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Takes what has already reached us and then no new client any more. Its flows live on, so the socket stays open.
    pub(super) async fn retire(&self) {
        let (done, retired) = oneshot::channel();
        self.control.send(Order::Retire { number: self.number, done });
        // An error means that the loop is gone, and its sockets with it.
        let _ = retired.await;
    }

    /// Whether flows still answer through it.
    pub(super) fn has_flows(&self) -> bool {
        self.flows.load(Relaxed) > 0
    }

    /// Ends what flows are left and closes the socket; done when it is closed.
    pub(super) async fn close(self) {
        let (done, closed) = oneshot::channel();
        self.control.send(Order::Close { number: self.number, done });
        drop(self.socket);
        // An error means that the loop is gone, and its sockets with it.
        let _ = closed.await;
    }
}
