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
