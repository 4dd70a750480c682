//! A TCP or Unix listener of a route or a service: accepts, and hands each connection to a worker.
//!
//! No error of accept(2) ends a listener or makes it spin.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::control::OwnControl;
use super::serves::Serves;
use crate::address::{Address, ListenAddress};
use crate::engine::runtime::context::Context;
use crate::engine::session::begin::begin;
use crate::sys;
use crate::transport::{self, Bound, Incoming, OwnFile, SocketFile};
use crate::units::counted;

/// The first and the longest pause after an accept error that concerns this machine, not a single connection.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How many connections are accepted in a row before the worker's sessions run again.
const BURST: usize = 64;

/// Connections in a row that may end before they are taken; after that the listener pauses.
const MAX_FAILED: usize = 64;

/// The most workers that accept from one listener. With a single one, every second session would have to move to
/// another thread, which costs two wake-ups; each further worker is woken by every connection, mostly for nothing.
const MAX_ACCEPTORS: usize = 2;

/// A listening socket and the tasks that accept from it.
pub(crate) struct TcpListener {
    /// The address it is bound to.
    pub(crate) address: Address,
    /// The file of a Unix socket. It is declared, and so dropped, before the socket, which it must not outlive.
    file: Option<OwnFile>,
    socket: Arc<OwnedFd>,
    /// What it serves; replaced by a reload, read once per connection.
    serves: Arc<Mutex<Serves>>,
    control: OwnControl,
    retire: CancellationToken,
    accepting: Vec<JoinHandle<()>>,
}

impl TcpListener {
    /// Starts to accept from a listening socket, on worker `n` and the following ones.
    pub(crate) fn start(
        bound: Bound,
        address: &ListenAddress,
        serves: Serves,
        cx: &Arc<Context>,
        n: usize,
    ) -> io::Result<TcpListener> {
        let Bound { file, socket } = bound;
        let address = match address {
            ListenAddress::Unix(name) => Address::Unix(name.clone()),
            _ => Address::Net(transport::local_address(&socket)?),
        };
        let control = OwnControl::new(&address, serves.congestion());
        let (socket, serves) = (Arc::new(socket), Arc::new(Mutex::new(serves)));
        let retire = CancellationToken::new();
        let acceptor = |nth: usize| Acceptor {
            socket: socket.clone(),
            serves: serves.clone(),
            cx: cx.clone(),
            worker: (n + nth) % cx.workers.count(),
            address: address.clone(),
            logs: nth == 0,
        };
        let acceptors = (0..cx.workers.count().min(MAX_ACCEPTORS)).map(acceptor);
        let accepting = acceptors
            .map(|acceptor| cx.workers.spawn(acceptor.worker, acceptor.keep(retire.clone())))
            .collect();
        Ok(TcpListener { address, file, socket, serves, control, retire, accepting })
    }

    /// Switches to another route or service, from the next connection on.
    pub(crate) fn serve(&self, serves: Serves) {
        let upkeep = serves.upkeep();
        let old = std::mem::replace(&mut *lock(&self.serves), serves);
        let Address::Net(address) = &self.address else { return };
        if upkeep != old.upkeep() {
            // The values of a plan are valid for these options, so setting them does not fail.
            let _ = upkeep.set_up_again(&self.socket, address.ip());
        }
    }

    /// Brings the congestion control of its next clients up to date.
    pub(crate) fn follow_control(&self) {
        self.control.follow(&self.socket, lock(&self.serves).congestion());
    }

    /// Changes the mode and owner of its socket's file, if it has one.
    pub(crate) fn change_file(&self, wanted: &SocketFile) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.change(&self.socket, wanted))
    }

    /// Asks whether its socket's file is still in place, if it has one.
    pub(crate) fn file_watch(&self) -> Option<impl Fn() -> bool + Send + use<>> {
        self.file.as_ref().map(OwnFile::watch)
    }

    /// The mode and owner of its socket's file, if it has one.
    pub(crate) fn socket_file(&self) -> SocketFile {
        lock(&self.serves).socket_file()
    }

    /// The socket, for the options that a reload sets.
    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Keeps new clients away; returns the address if handshakes with some may have begun. Where the system refuses it,
    /// a client that comes just before the close is reset.
    pub(crate) fn step_aside(&self) -> Option<SocketAddr> {
        let Address::Net(address) = &self.address else { return None };
        transport::step_aside(&self.socket).ok().map(|()| *address)
    }

    /// Accepts the connections that have already arrived, as far as there are free slots, then closes the socket and
    /// logs how many that resets. Resolves when it is closed.
    pub(crate) async fn retire(self) {
        // Once the file is gone, no new client can connect.
        drop(self.file);
        if let Address::Unix(_) = &self.address {
            // Where the system refuses it, a client that comes just before the close is reset.
            let _ = transport::step_aside(&self.socket);
        }
        self.retire.cancel();
        for accepting in self.accepting {
            // An error means that the engine's workers have ended, and the socket with them.
            let _ = accepting.await;
        }
        let waiting = sys::tcp_info(&self.socket).map_or(0, |it| it.waiting);
        if waiting > 0 {
            // Keeping the socket for them until a session ends would block the reload or the stop.
            tracing::warn!(
                "{} in the accept queue of {} reset: it is closed, and there is no room for another session; see \
                limits.connections and `ulimit -n`",
                counted(waiting as usize, "client"),
                self.address
            );
        }
    }
}

fn lock(serves: &Mutex<Serves>) -> MutexGuard<'_, Serves> {
    serves.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The accept loop's side of a listener.
struct Acceptor {
    socket: Arc<OwnedFd>,
    serves: Arc<Mutex<Serves>>,
    cx: Arc<Context>,
    worker: usize,
    address: Address,
    /// Whether it logs errors. Only one acceptor of a listener does: what keeps one from accepting keeps them all.
    logs: bool,
}

enum Next {
    Taken(Incoming),
    Empty,
    Failed(io::Error),
}

impl Acceptor {
    async fn keep(self, retire: CancellationToken) {
        let queue = match sys::readable(self.socket.clone()) {
            Ok(queue) => queue,
            Err(e) => return tracing::error!("cannot wait for connections on {}: {e}", self.address),
        };
        // The loop ends only when the listener is retired, whatever happens inside.
        if retire.run_until_cancelled(self.accept_forever(&queue)).await.is_none() {
            self.accept_the_rest();
        }
    }

    async fn accept_forever(&self, queue: &AsyncFd<Arc<OwnedFd>>) {
        let mut errors = AcceptErrors { logs: self.logs, ..AcceptErrors::default() };
        loop {
            let Ok(mut ready) = queue.readable().await else { return };
            for _ in 0..BURST {
                let permit = self.permit(&mut errors).await;
                match self.accept() {
                    Next::Taken(incoming) => {
                        errors.is_over(&self.address);
                        self.hand_over(incoming, permit);
                    }
                    Next::Empty => {
                        ready.clear_ready();
                        break;
                    }
                    Next::Failed(error) => errors.pause(&self.address, &error).await,
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// A slot among the simultaneous sessions. While none is free, clients wait in the accept queue.
    async fn permit(&self, errors: &mut AcceptErrors) -> OwnedSemaphorePermit {
        loop {
            let slots = self.cx.slots.clone();
            if let Ok(permit) = slots.clone().try_acquire_owned() {
                return permit;
            }
            errors.note_full(&self.address, self.cx.most_sessions);
            // It fails only on a closed semaphore, and this one is never closed.
            if let Ok(permit) = slots.acquire_owned().await {
                return permit;
            }
        }
    }

    /// Runs after the last wake-up: connections with a completed handshake are still in the queue, and closing would
    /// reset them.
    fn accept_the_rest(&self) {
        while let Ok(permit) = self.cx.slots.clone().try_acquire_owned() {
            match self.accept() {
                Next::Taken(incoming) => self.hand_over(incoming, permit),
                Next::Empty | Next::Failed(_) => return,
            }
        }
    }

    fn accept(&self) -> Next {
        let mut failed = 0;
        loop {
            match transport::accept(&self.socket, &self.address) {
                Ok(incoming) => return Next::Taken(incoming),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Next::Empty,
                // accept(2): an error of the connection at the head of the queue; the next is not affected. But where a policy
                // refuses the call itself, each says the same and the queue stays as it is.
                Err(e) if is_about_one_connection(&e) && failed < MAX_FAILED => failed += 1,
                Err(e) => return Next::Failed(e),
            }
        }
    }

    fn hand_over(&self, incoming: Incoming, permit: OwnedSemaphorePermit) {
        let serves = lock(&self.serves).clone();
        let runtime = match serves {
            Serves::Route(runtime) => runtime,
            Serves::Service(service) => {
                let worker = self.cx.workers.place(self.worker);
                return service.serve(incoming, &self.cx, worker, permit);
            }
        };
        begin(incoming, runtime, &self.cx, self.worker, permit);
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINTR
                | libc::ECONNABORTED
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
                | libc::EPERM
        )
    )
}

/// Periods without accepting, each logged once, not once per client.
#[derive(Default)]
struct AcceptErrors {
    logs: bool,
    pause: Duration,
    full_logged: Option<Instant>,
}

/// How often a limit that stays reached is logged again.
const REMIND: Duration = Duration::from_secs(10);

impl AcceptErrors {
    fn note_full(&mut self, address: &Address, most: u32) {
        if self.logs && self.full_logged.is_none_or(|at| at.elapsed() >= REMIND) {
            self.full_logged = Some(Instant::now());
            tracing::warn!(
                "{most} sessions, the limit: new clients of {address} wait in the accept queue; \
                 see limits.connections and `ulimit -n`"
            );
        }
    }

    async fn pause(&mut self, address: &Address, error: &io::Error) {
        if self.logs && self.pause.is_zero() {
            tracing::warn!("cannot accept on {address}: {error}; clients wait in the accept queue");
        }
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        sleep(self.pause).await;
    }

    fn is_over(&mut self, address: &Address) {
        if !std::mem::take(&mut self.pause).is_zero() && self.logs {
            tracing::info!("accepting on {address} again");
        }
    }
}
