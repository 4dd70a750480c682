//! A UDP socket of a service: the engine binds, keeps and retires it; the service reads and writes it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::service::{ServeDatagrams, Service};
use crate::transport;

/// How long a service may take to close its descriptor.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bound socket that a service uses.
pub(crate) struct GivenSocket {
    /// The address it is bound to.
    pub(crate) address: SocketAddr,
    /// Our own descriptor of it.
    pub(crate) socket: OwnedFd,
    user: Mutex<User>,
}

/// What uses it. It is asked to stop when this is dropped.
struct User {
    serve: Arc<dyn ServeDatagrams>,
    closed: oneshot::Receiver<()>,
    _retires: DropGuard,
}

impl GivenSocket {
    /// Gives a bound socket to a service.
    ///
    /// # Errors
    /// The service cannot use it, or takes no datagrams.
    pub(crate) fn give(socket: OwnedFd, service: &Service) -> io::Result<GivenSocket> {
        let address = transport::local_address(&socket)?;
        let serve = service.datagrams.clone().ok_or(io::ErrorKind::Unsupported)?;
        let user = Mutex::new(User::new(serve, &socket)?);
        Ok(GivenSocket { address, socket, user })
    }

    /// Gives it to another service, or to the same as it is now; what has it and stays keeps it.
    pub(crate) fn give_again(&self, service: &Service) {
        let mut user = self.user();
        let Some(serve) = &service.datagrams else { return };
        if std::ptr::addr_eq(Arc::as_ptr(serve), Arc::as_ptr(&user.serve)) {
            return;
        }
        match User::new(serve.clone(), &self.socket) {
            Ok(new) => *user = new,
            Err(error) => tracing::error!("{}/udp cannot be served anew: {error}", self.address),
        }
    }

    /// Resolves once the service has closed its descriptor, and ours is closed.
    pub(crate) async fn retire(self) {
        let User { closed, _retires, .. } = self.user.into_inner().unwrap_or_else(PoisonError::into_inner);
        drop(_retires);
        // An error means that it is closed; a service that takes longer holds the port, and a bind after it says so.
        let _ = timeout(PATIENCE, closed).await;
    }

    fn user(&self) -> MutexGuard<'_, User> {
        self.user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl User {
    fn new(serve: Arc<dyn ServeDatagrams>, socket: &OwnedFd) -> io::Result<User> {
        let retired = CancellationToken::new();
        let closed = serve.serve(UdpSocket::from(socket.try_clone()?), retired.clone())?;
        Ok(User { serve, closed, _retires: retired.drop_guard() })
    }
}
