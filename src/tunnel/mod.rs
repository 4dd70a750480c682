//! The tunnels of a plan, running: controls, carriers, and what each end may ask of the other.
//!
//! Whoever applies a plan declares [`Tunnels::services`] with its routes, and calls [`Tunnels::apply`] once that has
//! succeeded. Each tunnel then lives on a thread of its own (`thread`); the connections of those who dial us are secured on
//! the workers (`accept`), beside the sessions.

mod accept;
mod asked;
mod beginning;
mod closing;
mod control;
mod datagrams;
mod dial;
#[cfg(test)]
mod end_to_end;
pub mod explain;
mod idle;
mod link;
mod offers;
mod pool;
mod quic;
mod talk;
mod thread;
pub mod words;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::address::{ListenAddress, Protocol, TunnelName};
use crate::engine::{Handle, Service, Services};
use crate::plan::Plan;
use crate::transport::tunnel::identity::{Accepting, PublicKey};
use crate::transport::tunnel::line::{FlowsBy, Handshakes};
use accept::{Accept, Book, Door, MAX_NEWCOMERS};
pub use beginning::InVain;
pub use dial::{JoinFault, Joined, join};
use link::{Link, Terms};
use quic::Quic;
use thread::{Role, Start, Thread};

/// The name of the service that listens for other Loopgates.
pub const SERVICE: &str = "tunnel";

/// The tunnels of a program.
pub struct Tunnels {
    engine: Handle,
    accept: Arc<Accept>,
    book: Arc<Book>,
    quic: Arc<Quic>,
    stopping: CancellationToken,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    /// Started with the first plan that has tunnels.
    thread: Option<Thread>,
    links: BTreeMap<TunnelName, Open>,
}

/// A tunnel that runs, and who decides about those that come, where it is they who dial.
struct Open {
    link: Arc<Link>,
    newcomers: Option<mpsc::Sender<accept::Newcomer>>,
}

impl Tunnels {
    /// No tunnel yet.
    pub fn new(engine: Handle) -> Tunnels {
        let book = Arc::<Book>::default();
        Tunnels {
            engine,
            accept: Arc::new(Accept::new(book.clone())),
            book,
            quic: Arc::default(),
            stopping: CancellationToken::new(),
            running: Mutex::default(),
        }
    }

    /// The services to be declared together with the routes of this plan: the listener of `[tunnel] listen`, if it has one.
    ///
    /// # Errors
    /// The thread of the tunnels cannot be started; nothing has changed then.
    pub fn services(&self, plan: &Plan) -> io::Result<Services> {
        let tunnels = &plan.tunnels;
        let mut running = self.running();
        if running.thread.is_none() && !(tunnels.listen.is_empty() && tunnels.links.is_empty()) {
            let (accept, book) = (self.accept.clone(), self.book.clone());
            running.thread = Some(Thread::start(accept, book, self.stopping.clone())?);
        }
        if tunnels.listen.is_empty() {
            return Ok(Services::new());
        }
        let service = Service::new(tunnels.listen.iter().cloned(), self.accept.clone());
        let service = service.congestion(tunnels.loopback.clone());
        let service = match tunnels.datagrams {
            FlowsBy::Quic => service.datagrams(self.quic.sockets.clone()),
            FlowsBy::Tls => service,
        };
        Ok(Services::from([(SERVICE.into(), Arc::new(service))]))
    }

    /// Follows a plan whose routes and services were declared. What a key holds that the plan no longer has ends before this
    /// returns, or a moment later where it is on its way.
    pub fn apply(&self, plan: &Plan) {
        let mut running = self.running();
        let plan = Arc::new(plan.clone());
        let Running { thread, links } = &mut *running;
        let stays = |name: &TunnelName, open: &Open| {
            plan.tunnels
                .links
                .get(name)
                .is_some_and(|tunnel| tunnel.connect.is_empty() == open.newcomers.is_some())
        };
        links.retain(|name, open| {
            stays(name, open) || {
                open.link.retire();
                false
            }
        });
        for (name, tunnel) in &plan.tunnels.links {
            let terms = Terms::new(plan.clone(), tunnel.clone());
            match (links.get(name), &*thread) {
                (Some(open), _) => open.link.follow(terms),
                (None, Some(thread)) => {
                    let (open, start) = self.open(terms);
                    links.insert(name.clone(), open);
                    thread.begin(start);
                }
                // `services` has started it.
                (None, None) => {}
            }
        }
        self.book.set_doors(doors(links));
        self.accept.follow(&plan.tunnels);
        let own = plan.tunnels.private_key.as_ref();
        self.quic.desk.follow(own.map(|own| Accepting::new(own, self.book.clone())));
        if let Some(thread) = thread {
            thread.nudge();
        }
    }

    fn open(&self, terms: Terms) -> (Open, Start) {
        let is_dialling = !terms.tunnel.connect.is_empty();
        let line = self.engine.lines().get(&terms.tunnel.name);
        let (link, asked) =
            Link::new(self.engine.clone(), line, self.stopping.clone(), terms, self.quic.clone());
        let link = Arc::new(link);
        let (newcomers, role) = match is_dialling {
            true => (None, Role::Dialling),
            false => {
                let (newcomers, inbox) = mpsc::channel(MAX_NEWCOMERS);
                (Some(newcomers), Role::Accepting(inbox))
            }
        };
        (Open { link: link.clone(), newcomers }, Start { link, asked, role })
    }

    /// Resolves if nothing that was asked for at the other end of this tunnel listens there, and nothing will until somebody
    /// changes something there; never once a route has listened there, and never for a tunnel that does not run. Cancel safe.
    pub async fn in_vain(&self, tunnel: &TunnelName) -> InVain {
        let link = self.running().links.get(tunnel).map(|open| open.link.clone());
        match link {
            Some(link) => link.beginning.in_vain().await,
            None => std::future::pending().await,
        }
    }

    /// The handshakes that others began at the listener of tunnels and that failed; of no tunnel, as nobody was proven to be
    /// its other end.
    pub fn handshakes(&self) -> &Handshakes {
        self.accept.handshakes()
    }

    /// Has tunnels give up the addresses that a plan needs: what is written here goes before what others ask for. Returns
    /// whether any was held, so that it is worth to declare again.
    pub async fn make_room(&self, plan: &Plan) -> bool {
        let addresses = addresses(plan);
        let links: Vec<_> = self.running().links.values().map(|open| open.link.clone()).collect();
        let mut any = false;
        for link in links {
            any |= link.asked.yield_to(&addresses).await;
        }
        any
    }

    /// Says goodbye to every other end, and waits at most so long until all have been told. Sessions go on; new ones come
    /// through a tunnel no longer.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.cancel();
        let thread = self.running().thread.take();
        if let Some(thread) = thread {
            // What has not been told by then is not told.
            let _ = timeout(patience, thread.ended()).await;
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of those that may dial us.
fn doors(links: &BTreeMap<TunnelName, Open>) -> Vec<(PublicKey, Door)> {
    let of = |open: &Open| {
        let door = open.newcomers.clone().map(|newcomers| Door { link: open.link.clone(), newcomers });
        let keys = open.link.terms().tunnel.public_keys.clone();
        door.into_iter()
            .flat_map(move |door| keys.clone().into_iter().map(move |key| (key, door.clone())))
            .collect::<Vec<_>>()
    };
    links.values().flat_map(of).collect()
}

/// Every address that a plan listens on here.
fn addresses(plan: &Plan) -> Vec<(Protocol, ListenAddress)> {
    let of_routes = plan
        .routes
        .values()
        .flat_map(|route| route.listen.iter().map(|address| (route.carries.protocol(), address.clone())));
    let protocols = match plan.tunnels.datagrams {
        FlowsBy::Quic => &[Protocol::Tcp, Protocol::Udp][..],
        FlowsBy::Tls => &[Protocol::Tcp],
    };
    let of_tunnel = plan
        .tunnels
        .listen
        .iter()
        .flat_map(|address| protocols.iter().map(|protocol| (*protocol, address.clone())));
    let here = |(_, address): &(Protocol, ListenAddress)| !matches!(address, ListenAddress::There(_));
    of_routes.chain(of_tunnel).filter(here).collect()
}
