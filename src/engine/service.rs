//! Services, which listen like routes but answer connections themselves; and the owner of an address.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::address::ListenAddress;
use crate::plan::{RouteId, Source};
use crate::transport::{BindPolicy, Congestion, Incoming, SocketFile};
use crate::units::shown;

/// The future that serves one connection.
pub type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What answers the connections of a service: a control socket, a page, the server end of a tunnel.
pub trait Serve: Send + Sync {
    /// Returns a future that serves one connection until it resolves. It runs on a worker beside the sessions of
    /// routes, so it must not block. It calls [`Incoming::open`].
    ///
    /// `draining` is cancelled once the connection should end: the service is retired or replaced, or the engine stops.
    /// A connection that continues is left alone as long as the engine runs, and reset when the patience of a stop
    /// ends. A panic ends only the connection, with a reset.
    fn serve(&self, incoming: Incoming, draining: CancellationToken) -> Served;
}

/// What reads and answers the datagrams of a service, with sockets that the engine has bound.
pub trait ServeDatagrams: Send + Sync {
    /// Takes a socket, which is nonblocking, and is used until `retired` is cancelled; a second descriptor of it stays with the
    /// engine. It must not block. What it returns resolves, or is dropped, once the socket is closed; the engine waits a second
    /// for that.
    ///
    /// # Errors
    /// The socket cannot be used; the declaration is refused with this error.
    fn serve(&self, socket: UdpSocket, retired: CancellationToken) -> io::Result<oneshot::Receiver<()>>;
}

/// A listener that is not a route. It is declared with a source's routes, and bound, kept and retired like them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Service {
    /// The addresses it listens on, in the order written.
    pub listen: Vec<ListenAddress>,
    /// The mode and owner of the files of its Unix listeners; by default, only the owner may connect.
    pub socket_file: SocketFile,
    /// What happens if an address cannot be bound.
    pub bind: BindPolicy,
    /// The congestion control of its connections on loopback.
    pub congestion: Congestion,
    /// What answers its connections. Two services are equal only if this is the same object.
    pub serve: Arc<dyn Serve>,
    /// What answers its datagrams, if it takes any: it has a UDP socket for each IP address of `listen` then, of the same number
    /// (another, if the kernel chooses). Two services are equal only if this is the same object.
    pub datagrams: Option<Arc<dyn ServeDatagrams>>,
}

/// Every service of a source by its name.
pub type Services = BTreeMap<Arc<str>, Arc<Service>>;

impl Service {
    /// A service on these addresses, with default settings.
    pub fn new(listen: impl IntoIterator<Item = ListenAddress>, serve: Arc<dyn Serve>) -> Service {
        let listen = listen.into_iter().collect();
        let (socket_file, bind, congestion) = Default::default();
        Service { listen, socket_file, bind, congestion, serve, datagrams: None }
    }

    /// The same with these attributes of its Unix sockets' files.
    #[must_use]
    pub fn socket_file(mut self, file: SocketFile) -> Service {
        self.socket_file = file;
        self
    }

    /// The same with UDP sockets, whose datagrams this answers.
    #[must_use]
    pub fn datagrams(mut self, serve: Arc<dyn ServeDatagrams>) -> Service {
        self.datagrams = Some(serve);
        self
    }

    /// The same with this policy for a failed bind.
    #[must_use]
    pub fn bind(mut self, policy: BindPolicy) -> Service {
        self.bind = policy;
        self
    }

    /// The same with this congestion control of its connections on loopback.
    #[must_use]
    pub fn congestion(mut self, control: Congestion) -> Service {
        self.congestion = control;
        self
    }
}

impl PartialEq for Service {
    fn eq(&self, other: &Service) -> bool {
        let Service { listen, socket_file, bind, congestion, serve, datagrams } = self;
        let is_serve_same = std::ptr::addr_eq(Arc::as_ptr(serve), Arc::as_ptr(&other.serve));
        let are_datagrams_same = match (datagrams, &other.datagrams) {
            (Some(one), Some(other)) => std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)),
            (one, other) => one.is_none() && other.is_none(),
        };
        is_serve_same
            && are_datagrams_same
            && (listen, socket_file) == (&other.listen, &other.socket_file)
            && (bind, congestion) == (&other.bind, &other.congestion)
    }
}

impl Eq for Service {}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Service");
        shown.field("listen", &self.listen).field("socket_file", &self.socket_file).field("bind", &self.bind);
        shown.finish_non_exhaustive()
    }
}

/// The new services, but each that equals an old one is that old one.
pub(super) fn keep_equal(old: &Services, new: Services) -> Services {
    let kept = |name: &Arc<str>, service| match old.get(name) {
        Some(old) if *old == service => old.clone(),
        _ => service,
    };
    new.into_iter().map(|(name, service)| (name.clone(), kept(&name, service))).collect()
}

/// A service among those of all sources, printed as `control` or `control@edge`, like a [`RouteId`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId {
    /// The source that declares it.
    pub source: Source,
    /// Its name there.
    pub name: Arc<str>,
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.name, usize::MAX))?;
        self.source.name().map_or(Ok(()), |source| write!(f, "@{source}"))
    }
}

/// What has an address, or wants one; printed as `route web` or `service control`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A route.
    Route(RouteId),
    /// A service.
    Service(ServiceId),
}

/// What an [`Owner`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A route.
    Route,
    /// A service.
    Service,
}

impl Owner {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Owner::Route(_) => Kind::Route,
            Owner::Service(_) => Kind::Service,
        }
    }

    /// The source that declares it.
    pub fn source(&self) -> &Source {
        match self {
            Owner::Route(id) => &id.source,
            Owner::Service(id) => &id.source,
        }
    }

    /// Its name as it is printed, as `web@edge`.
    pub fn name(&self) -> String {
        match self {
            Owner::Route(id) => id.to_string(),
            Owner::Service(id) => id.to_string(),
        }
    }

    /// The route; `None` for a service.
    pub fn route(&self) -> Option<&RouteId> {
        match self {
            Owner::Route(id) => Some(id),
            Owner::Service(_) => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Route => "route",
            Kind::Service => "service",
        })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

impl From<RouteId> for Owner {
    fn from(id: RouteId) -> Owner {
        Owner::Route(id)
    }
}
