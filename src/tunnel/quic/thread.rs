//! The thread on which QUIC runs: one runtime of one thread for all tunnels, apart from the thread of their controls, so that a
//! flood of datagrams delays no control. (Two threads cost 1.7 times as much: connections go back and forth between them.)

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, TokioRuntime};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The thread, which is started when it is first needed.
#[derive(Default)]
pub(super) struct OwnThread(Mutex<Option<Arc<Thread>>>);

/// The thread; it ends when this is dropped, and all that runs on it.
pub(super) struct Thread {
    pub(super) handle: Handle,
    _over: DropGuard,
}

impl OwnThread {
    /// The thread.
    ///
    /// # Errors
    /// It cannot be started: no thread, or no poller for it.
    pub(super) fn get(&self) -> io::Result<Arc<Thread>> {
        let mut started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*started {
            return Ok(thread.clone());
        }
        let thread = Arc::new(Thread::start()?);
        *started = Some(thread.clone());
        Ok(thread)
    }
}

impl Thread {
    fn start() -> io::Result<Thread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, over) = (runtime.handle().clone(), CancellationToken::new());
        let until = over.clone();
        thread::Builder::new()
            .name("datagrams".into())
            .spawn(move || runtime.block_on(until.cancelled_owned()))?;
        Ok(Thread { handle, _over: over.drop_guard() })
    }

    /// What QUIC starts its tasks with, wherever it is called.
    pub(super) fn runtime(&self) -> Arc<dyn quinn::Runtime> {
        Arc::new(There(self.handle.clone()))
    }
}

/// Everything runs on the thread, whoever calls.
struct There(Handle);

impl quinn::Runtime for There {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let _there = self.0.enter();
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        // It ends with its connection or endpoint, or with the thread.
        drop(self.0.spawn(future));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _there = self.0.enter();
        TokioRuntime.wrap_udp_socket(socket)
    }
}

impl fmt::Debug for There {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("There")
    }
}
