//! An incoming connection, accepted or handed over by code: what a route's session or a service begins with.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_oobinline};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::tcp::Tcp;
use super::{Connection, Custom, Link, Stream};
use crate::address::Address;
use crate::outcome::Client;
use crate::sys;

/// An incoming connection from which nothing has been read.
#[derive(Debug)]
pub struct Incoming {
    /// The connection.
    pub stream: Unopened,
    /// The client that connected.
    pub client: Client,
    /// How it arrived.
    pub via: Via,
    /// If it is dropped after this, it ends in a reset.
    cut: Option<CancellationToken>,
}

impl Incoming {
    /// A connection of this client.
    pub fn new(stream: impl Into<Unopened>, client: Client, via: Via) -> Incoming {
        Incoming { stream: stream.into(), client, via, cut: None }
    }

    /// A TCP connection that code of this process has accepted or made; see [`Unopened::tcp`].
    ///
    /// # Errors
    /// The errno of getpeername(2), setsockopt(2) or fcntl(2).
    pub fn tcp(stream: std::net::TcpStream, via: Via) -> io::Result<Incoming> {
        let mut client = stream.peer_addr()?;
        client.set_ip(client.ip().to_canonical());
        Ok(Incoming::new(Unopened::tcp(stream)?, Client::Net(client), via))
    }

    /// A connected Unix stream socket: accepted, or one of a pair. Its client is the process that made the other end.
    ///
    /// # Errors
    /// The errno of getsockopt(2), setsockopt(2) or fcntl(2).
    pub fn unix(stream: std::os::unix::net::UnixStream, via: Via) -> io::Result<Incoming> {
        let (pid, uid) = sys::peer_credentials(&stream)?;
        Ok(Incoming::new(Unopened::unix(stream)?, Client::Unix { pid, uid }, via))
    }

    /// The same, with a [`Connection`] that is reset if it is dropped after `cut`.
    pub(crate) fn reset_after(self, cut: CancellationToken) -> Incoming {
        Incoming { cut: Some(cut), ..self }
    }

    /// The connection to be read and written, in the poller of the current runtime.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2), if the poller cannot add it.
    pub fn open(self) -> io::Result<Connection> {
        Ok(Connection::new(self.stream.open()?, self.cut))
    }
}

/// How a connection arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// It was accepted at this address.
    Listener(Address),
    /// Code in this process handed it over, under this name.
    HandedOver(Arc<str>),
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Via::Listener(address) => address.fmt(f),
            Via::HandedOver(by) => f.write_str(by),
        }
    }
}

/// A connection that is in no runtime's poller yet.
#[derive(Debug)]
pub enum Unopened {
    /// A socket.
    Socket(Arrived),
    /// A stream that an embedder provides.
    Custom(Box<Custom>),
}

impl Unopened {
    /// A TCP connection that code of this process accepted or made. It is made non-blocking and gets TCP_NODELAY.
    ///
    /// # Errors
    /// The errno of setsockopt(2) or fcntl(2).
    pub fn tcp(stream: std::net::TcpStream) -> io::Result<Unopened> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        // Urgent data stays in the stream: out of line, its byte would be lost.
        set_socket_oobinline(&stream, true)?;
        Ok(Arrived::Tcp(stream.into()).into())
    }

    /// A connected Unix stream socket: accepted, dialled, or one of a pair.
    ///
    /// # Errors
    /// The errno of setsockopt(2) or fcntl(2).
    pub fn unix(stream: std::os::unix::net::UnixStream) -> io::Result<Unopened> {
        stream.set_nonblocking(true)?;
        set_socket_oobinline(&stream, true)?;
        Ok(Arrived::Unix(stream.into()).into())
    }

    /// Puts a socket into the poller of the current runtime.
    pub(crate) fn open(self) -> io::Result<Link> {
        match self {
            Unopened::Socket(socket) => socket.open().map(Link::Socket),
            Unopened::Custom(custom) => Ok(Link::Custom(custom)),
        }
    }

    /// Its descriptor, if it is a Unix socket.
    pub(crate) fn unix_socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Unopened::Socket(Arrived::Unix(socket)) => Some(socket.as_fd()),
            _ => None,
        }
    }

    /// Refuses the connection: with a reset, if its kind has one.
    pub fn reset(self) {
        match self {
            Unopened::Socket(socket) => socket.reset(),
            Unopened::Custom(mut custom) => custom.reset(),
        }
    }
}

impl From<Arrived> for Unopened {
    fn from(socket: Arrived) -> Unopened {
        Unopened::Socket(socket)
    }
}

impl From<Custom> for Unopened {
    fn from(custom: Custom) -> Unopened {
        Unopened::Custom(Box::new(custom))
    }
}

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
