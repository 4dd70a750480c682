//! A connection that has come to us, however it came: what a route's session or a service begins with.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{Connection, Stream};
use crate::address::Address;
use crate::outcome::Client;

/// A connection that has come to us. Nothing of it has been read.
#[derive(Debug)]
pub struct Incoming {
    /// The connection.
    pub stream: Arrived,
    /// Who connected.
    pub client: Client,
    /// How it came.
    pub via: Via,
    /// After this it is to end in a reset.
    cut: Option<CancellationToken>,
}

impl Incoming {
    /// A connection of this client.
    pub fn new(stream: Arrived, client: Client, via: Via) -> Incoming {
        Incoming { stream, client, via, cut: None }
    }

    /// The same, whose [`Connection`] is reset when it is dropped after `cut`.
    pub(crate) fn reset_after(self, cut: CancellationToken) -> Incoming {
        Incoming { cut: Some(cut), ..self }
    }

    /// The connection to be read and written, in the poller of the current runtime.
    ///
    /// # Errors
    /// Where the poller does not take it.
    pub fn open(self) -> io::Result<Connection> {
        Ok(Connection::new(self.stream.open()?, self.cut))
    }
}

/// How a connection came to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// It was accepted at this address.
    Listener(Address),
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Via::Listener(address) => address.fmt(f),
        }
    }
}

/// A connected socket that no runtime knows yet: non-blocking, close-on-exec.
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
    /// Where the poller does not take it.
    pub fn open(self) -> io::Result<Stream> {
        match self {
            Arrived::Tcp(socket) => TcpStream::from_std(socket.into()).map(Stream::Tcp),
            Arrived::Unix(socket) => UnixStream::from_std(socket.into()).map(Stream::Unix),
        }
    }

    /// Turns the connection away: a reset, as far as the kernel has one. (See `Stream::reset_on_close`.)
    pub fn reset(self) {
        if let Arrived::Tcp(socket) = &self {
            // It fails only on a dead socket, and then there is nobody to reset.
            let _ = set_socket_linger(socket, Some(Duration::ZERO));
        }
    }
}
