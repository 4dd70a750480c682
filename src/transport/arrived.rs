//! A connected socket before and after its time in a poller.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::net::UnixStream;

use super::Stream;
use super::tcp::Tcp;

/// A connected socket that is in no runtime's poller yet: non-blocking, close-on-exec.
#[derive(Debug)]
pub enum Arrived {
    /// TCP.
    Tcp(OwnedFd),
    /// A Unix stream socket.
    Unix(OwnedFd),
}

impl Arrived {
    /// Puts the connection into the poller of the current runtime.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2), if the poller cannot add it.
    pub fn open(self) -> io::Result<Stream> {
        match self {
            Arrived::Tcp(socket) => Tcp::new(socket).map(Stream::Tcp),
            Arrived::Unix(socket) => UnixStream::from_std(socket.into()).map(Stream::Unix),
        }
    }

    /// Takes a connection out of the poller, so that another runtime can have it.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    pub(crate) fn leaving(stream: Stream) -> io::Result<Arrived> {
        Ok(match stream {
            Stream::Tcp(socket) => Arrived::Tcp(socket.leave()),
            Stream::Unix(socket) => Arrived::Unix(socket.into_std()?.into()),
        })
    }

    /// Refuses the connection: with a reset, as far as the kernel has one. (See `Stream::reset_on_close`.)
    pub fn reset(self) {
        if let Arrived::Tcp(socket) = &self {
            // It fails only on a dead socket, whose peer is already gone.
            let _ = set_socket_linger(socket, Some(Duration::ZERO));
        }
    }
}

impl AsFd for Arrived {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Arrived::Tcp(socket) | Arrived::Unix(socket) => socket.as_fd(),
        }
    }
}
