//! A descriptor of our own in tokio's poller.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for a socket to become readable, on the current runtime, without owning it alone.
pub(crate) fn readable(socket: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the Arc keeps the descriptor open as long as the registration lives, an OwnedFd behind a shared pointer
    // cannot be exchanged for another, and it reports the same descriptor each time.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map_err(io::Error::from)
}
