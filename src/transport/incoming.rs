//! An incoming connection, accepted or handed over by code: what a route's session or a service begins with.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::net::sockopt::set_socket_oobinline;
use tokio_util::sync::CancellationToken;

use super::tunnel::carrier::Carrier;
use super::tunnel::open::Open;
use super::{Arrived, Connection, Custom, Link};
use crate::address::{Address, TunnelName};
use crate::ledger::Through;
use crate::outcome::{Client, SessionId};
use crate::proxy_protocol::{Ends, Header, Tlvs};
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
    /// What the opener of a session through a tunnel said of it.
    visitor: Option<Box<Visitor>>,
}

/// A client behind the other end of a tunnel, as that end describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Visitor {
    /// The session's number there.
    pub id: SessionId,
    /// When it connected, by the clock there.
    pub came: SystemTime,
    /// Its ends, and what its own proxy said of it.
    pub header: Header,
}

impl Visitor {
    /// What an opener says of its client, and that client. Without `trust_client` nothing of it counts but the session's
    /// number and time.
    pub(crate) fn of(open: Open, trust_client: bool) -> (Visitor, Client) {
        let Open { id, came, header, .. } = open;
        let header =
            if trust_client { header } else { Header { ends: Ends::Unnamed, tlvs: Tlvs::default() } };
        let client = match header.ends {
            Ends::Net { client, .. } => Client::Net(client),
            // The names of its socket say nothing about its user, who would be one of another machine.
            Ends::Own | Ends::Unnamed | Ends::Unix(_) => Client::Unknown,
        };
        (Visitor { id, came, header }, client)
    }
}

impl Incoming {
    /// A connection of this client.
    pub fn new(stream: impl Into<Unopened>, client: Client, via: Via) -> Incoming {
        Incoming { stream: stream.into(), client, via, cut: None, visitor: None }
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

    /// A session that the other end of a tunnel has opened on a carrier. Its client is the visitor that `open` names; one
    /// that it names without an address is [`Client::Unknown`]. Without `trust_client` nothing that it says of the visitor
    /// counts, and every client of the tunnel is unknown.
    pub fn carried(carrier: Carrier, open: Open, tunnel: TunnelName, trust_client: bool) -> Incoming {
        let (visitor, client) = Visitor::of(open, trust_client);
        let visitor = Some(Box::new(visitor));
        let stream = Unopened::Carrier(Box::new(carrier));
        Incoming { stream, client, via: Via::Tunnel(tunnel), cut: None, visitor }
    }

    /// The tunnel by which it came.
    pub fn tunnel(&self) -> Option<&TunnelName> {
        match &self.via {
            Via::Tunnel(tunnel) => Some(tunnel),
            Via::Listener(_) | Via::HandedOver(_) => None,
        }
    }

    /// How its client came, if by a tunnel.
    pub(crate) fn through(&self) -> Option<Through> {
        let (tunnel, visitor) = self.tunnel().zip(self.visitor.as_ref())?;
        Some(Through { tunnel: tunnel.clone(), id: visitor.id })
    }

    /// What the opener said, if it came by a tunnel.
    pub(crate) fn take_visitor(&mut self) -> Option<Box<Visitor>> {
        self.visitor.take()
    }

    /// The same, with a [`Connection`] that is reset if it is dropped after `cut`.
    pub(crate) fn reset_after(self, cut: CancellationToken) -> Incoming {
        Incoming { cut: Some(cut), ..self }
    }

    /// The connection to be read and written, in the poller of the current runtime.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2), if the poller cannot add it; `Unsupported` for a session through a tunnel, which routes
    /// alone carry.
    pub fn open(self) -> io::Result<Connection> {
        Connection::new(self.stream.open()?, self.cut)
    }
}

/// How a connection arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// It was accepted at this address.
    Listener(Address),
    /// Code in this process handed it over, under this name.
    HandedOver(Arc<str>),
    /// The other end of this tunnel opened it.
    Tunnel(TunnelName),
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Via::Listener(address) => address.fmt(f),
            Via::HandedOver(by) => f.write_str(by),
            Via::Tunnel(name) => write!(f, "tunnel:{name}"),
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
    /// A connection of a tunnel, on which a session was opened, or is to be.
    Carrier(Box<Carrier>),
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
            Unopened::Carrier(carrier) => Ok(Link::Carrier(Box::new(carrier.engage()?))),
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
            Unopened::Carrier(carrier) => carrier.discard(),
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
