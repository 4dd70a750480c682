//! UDP routes: one loop per worker carries the datagrams of all its flows.
//!
//! A flow is a socket of its own, connected to its target: no task, no thread, no buffer. Any design needs that socket,
//! because a target distinguishes its clients by their source port; because it is connected, the kernel also rejects
//! other senders and reports a refusal to the flow it concerns. A loop is a thread with one poller for its listeners
//! and flows, and one set of buffers. It is not a task on a worker's runtime: a poller inside a poller costs one more
//! system call per wake-up, and with a thread beside the runtime's the kernel's scheduler keeps a flood of datagrams
//! from starving TCP and Unix sessions.

mod by_name;
mod by_tunnel;
mod choice;
pub(super) mod context;
mod control;
mod datagram;
pub(super) mod declared;
mod dial;
mod door;
mod down;
mod drop_log;
mod event_loop;
mod flow;
mod flow_table;
mod follow;
mod gates;
mod held;
mod hops;
mod inbox;
mod listener;
mod loop_state;
mod mark;
mod new_flow;
mod path;
mod pause;
mod requests;
mod routes;
mod sink;
mod target;
mod there;
mod up;
mod visitor;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::api::Wanted;
use super::runtime::workers::{NO_THREAD, is_no_thread};
use super::targets::pool::Pool;
use crate::transport;
use context::{Shared, UdpRouteRuntime, flow_limits};
use control::{Command, ControlQueue};
use declared::Declared;
use target::UdpTargets;

/// All loops of an engine. They start with the first listener and end when this is dropped.
pub(super) struct Udp {
    shared: Arc<Shared>,
    targets: UdpTargets,
    loops: Mutex<Vec<Running>>,
    /// How many there are to be; fewer where the system gives no more threads.
    count: AtomicUsize,
    declared: Declared,
    /// The loop that the next route in tunnels alone belongs to.
    next_home: AtomicUsize,
}

struct Running {
    control: Arc<ControlQueue>,
    thread: Option<JoinHandle<()>>,
}

/// A bound socket and the loop that receives from it.
pub(super) struct UdpListener {
    /// The address it is bound to.
    pub(super) address: SocketAddr,
    socket: Arc<OwnedFd>,
    number: u32,
    control: Arc<ControlQueue>,
    /// How many flows answer through it.
    flows: Arc<AtomicUsize>,
}

impl Udp {
    /// Creates `count` loops, without starting any.
    pub(super) fn new(count: usize, shared: Shared) -> Udp {
        Udp {
            shared: Arc::new(shared),
            targets: UdpTargets::default(),
            loops: Mutex::default(),
            count: count.max(1).into(),
            declared: Declared::default(),
            next_home: AtomicUsize::new(0),
        }
    }

    fn next_home(&self) -> usize {
        self.next_home.fetch_add(1, Relaxed)
    }

    /// Starts to receive from a bound socket, on loop `n`, or the one that its route belongs to.
    ///
    /// # Errors
    /// The loop cannot be started or cannot watch the socket.
    pub(super) fn listen(&self, socket: OwnedFd, by: &Wanted, n: usize) -> io::Result<UdpListener> {
        let address = transport::local_address(&socket)?;
        let control = self.control(self.declared.home(&by.id, n))?;
        let (socket, flows) = (Arc::new(socket), Arc::new(AtomicUsize::new(0)));
        let number = self.shared.next_listener.fetch_add(1, Relaxed);
        control.watch_listener(&socket, number)?;
        warn_if_buffer_is_small(&socket, address);
        control.send(Command::Listen {
            number,
            socket: socket.clone(),
            address,
            flows: flows.clone(),
            runtime: self.runtime(by),
        });
        Ok(UdpListener { address, socket, number, control, flows })
    }

    /// A route as the clients of one of its addresses use it.
    fn runtime(&self, by: &Wanted) -> Arc<UdpRouteRuntime> {
        let Wanted { id, route, place } = by;
        let name = id.shown();
        let pool = Pool::new(route, *place, |to| {
            let Shared { names, lines, beside, .. } = &*self.shared;
            self.targets.get(to, || names.of_target(to, &name), lines, beside)
        });
        let keep = |every| pool.all().filter_map(move |target| target.by_name().map(|name| name.keep(every)));
        let names = route.dial.resolve.map(|every| keep(every).collect());
        Arc::new(UdpRouteRuntime {
            id: id.clone(),
            route: route.clone(),
            _names: names.unwrap_or_default(),
            pool,
            admission: self.shared.admissions.of(id, route),
            bandwidth: flow_limits(route).bandwidth.map(|rule| self.shared.bandwidths.of(id, rule)),
            name,
            withdrawn: AtomicBool::new(false),
        })
    }

    fn control(&self, n: usize) -> io::Result<Arc<ControlQueue>> {
        let mut loops = self.loops();
        while loops.len() < self.count.load(Relaxed) {
            let control = Arc::new(ControlQueue::new()?);
            match event_loop::start(loops.len(), control.clone(), self.shared.clone()) {
                Ok(thread) => loops.push(Running { control, thread: Some(thread) }),
                Err(error) if is_no_thread(&error) && !loops.is_empty() => {
                    let (few, all) = (loops.len(), self.count.swap(loops.len(), Relaxed));
                    tracing::warn!(
                        "{few} of {all} loops for datagrams: no more threads: {error}; {NO_THREAD}"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(loops[n % loops.len()].control.clone())
    }

    /// The number of live flows.
    pub(super) fn flows(&self) -> usize {
        self.shared.most - self.shared.slots.available_permits()
    }

    /// Accepts no new clients, and ends each flow that is quiet.
    pub(super) fn drain(&self) {
        self.loops().iter().for_each(|it| it.control.send(Command::Drain));
    }

    /// Resolves when no flow is left. Cancel safe.
    pub(super) async fn all_gone(&self) {
        // This fails only on a closed semaphore, and this one is never closed; `most` fits, see `new`.
        let _ = self.shared.slots.acquire_many(self.shared.most as u32).await;
    }

    fn loops(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Warns if the kernel grants a smaller buffer than requested: bursts of new clients are lost then.
fn warn_if_buffer_is_small(socket: &OwnedFd, address: SocketAddr) {
    if let Ok((granted, asked)) = transport::receive_buffer(socket)
        && granted < asked
    {
        tracing::warn!(
            "{address}/udp has a receive buffer of {} KiB instead of {} KiB and loses the rest of larger bursts; \
             raise net.core.rmem_max",
            granted >> 10,
            asked >> 10
        );
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        let mut loops = self.loops();
        loops.iter().for_each(|it| it.control.send(Command::Stop));
        for thread in loops.iter_mut().filter_map(|it| it.thread.take()) {
            // The thread of a lookup may be the last owner of the engine; it must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl UdpListener {
    /// Serves another route from the next new client on; flows keep theirs. This also reopens a retired listener.
    pub(super) fn serve(&self, udp: &Udp, by: &Wanted) {
        self.control.send(Command::Serve { number: self.number, runtime: udp.runtime(by) });
    }

    /// Our own socket, to recognise it among the system's.
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Receives what has already arrived, then accepts no new client. Its flows live on, so the socket stays open.
    pub(super) async fn retire(&self) {
        let (done, retired) = oneshot::channel();
        self.control.send(Command::Retire { number: self.number, done });
        // An error means that the loop is gone, and its sockets with it.
        let _ = retired.await;
    }

    /// Whether flows still answer through it.
    pub(super) fn has_flows(&self) -> bool {
        self.flows.load(Relaxed) > 0
    }

    /// Ends the remaining flows and closes the socket; resolves when it is closed.
    pub(super) async fn close(self) {
        let (done, closed) = oneshot::channel();
        self.control.send(Command::Close { number: self.number, done });
        drop(self.socket);
        // An error means that the loop is gone, and its sockets with it.
        let _ = closed.await;
    }
}
