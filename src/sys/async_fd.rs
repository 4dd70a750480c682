//! Registers a descriptor of this process with tokio's poller.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a shared socket with the current runtime, to wait until it is readable.
///
/// # Errors
/// The errno of the registration: ENOMEM, ENOSPC (epoll_ctl(2)).
pub(crate) fn readable(socket: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the Arc keeps the descriptor open as long as the registration lives, an OwnedFd behind a shared pointer
    // cannot be replaced, and it reports the same descriptor each time.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map_err(io::Error::from)
}

/// Waits for these states of a socket, on the current runtime, and owns it.
pub(crate) fn watched(socket: OwnedFd, interests: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the AsyncFd owns the descriptor and gives no mutable access to it, so it stays open, and the same, as long
    // as the registration lives.
    unsafe { AsyncFd::register_with_interest(socket, interests) }.map_err(io::Error::from)
}
