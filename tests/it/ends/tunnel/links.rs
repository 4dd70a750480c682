//! Connections of a tunnel: who has them while no session does, and a test that speaks frames on one.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};

use loopgate::address::{Protocol, There, TunnelName};
use loopgate::engine::{self, CarryRefused, RouteId};
use loopgate::outcome::SessionId;
use loopgate::proxy_protocol::{Ends, Header, Tlvs};
use loopgate::transport::tunnel::carrier::{Broken, Carrier, FrameLink, Home, Received, Stay};
use loopgate::transport::tunnel::frame::Frame;
use loopgate::transport::tunnel::identity::{
    Accepting, Dialling, Known, PrivateKey, PublicKey, accept_handshake, dial_handshake,
};
use loopgate::transport::tunnel::line::Line;
use loopgate::transport::tunnel::open::Open;
use loopgate::transport::{Incoming, Stream, Unopened};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;

use super::id;
use crate::harness::{Proxy, TIMEOUT, wait_until};

static KEYS: LazyLock<[PrivateKey; 2]> =
    LazyLock::new(|| [PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap()]);

#[derive(Debug)]
struct Only(PublicKey);

impl Known for Only {
    fn knows(&self, key: &PublicKey) -> bool {
        *key == self.0
    }
}

/// The two ends of a secured connection, in the poller of this runtime.
async fn links() -> (FrameLink, FrameLink) {
    let [one, other] = &*KEYS;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialled = stream(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let accepted = stream(listener.accept().unwrap().0);
    let dials = Dialling::new(one, &[other.public()]);
    let accepts = Accepting::new(other, Arc::new(Only(one.public())));
    let (ours, theirs) =
        tokio::join!(dial_handshake(&dialled, &dials, "localhost"), accept_handshake(&accepted, &accepts));
    let (ours, theirs) = (ours.unwrap().records, theirs.unwrap().records);
    (FrameLink::new(dialled, ours), FrameLink::new(accepted, theirs))
}

fn stream(socket: TcpStream) -> Stream {
    let Unopened::Socket(arrived) = Unopened::tcp(socket).unwrap() else { panic!("it is a socket") };
    arrived.open().unwrap()
}

/// A carrier and the other end of it.
async fn carrier(home: Arc<dyn Home>) -> (Carrier, FrameLink) {
    let (ours, theirs) = links().await;
    let peer = ours.peer().unwrap();
    (Carrier { link: ours.park().unwrap().into(), peer, carried: 0, home }, theirs)
}

/// The idle connections of an opener.
#[derive(Clone)]
pub(super) struct Pool(Arc<InPool>);

struct InPool {
    line: Arc<Line>,
    runtime: Handle,
    freed: AtomicUsize,
    lost: AtomicUsize,
}

impl Pool {
    /// Those of this tunnel, which is up from now on.
    pub(super) fn of(proxy: &Proxy, tunnel: &str) -> Pool {
        let line = proxy.engine().lines().get(&tunnel.parse().unwrap());
        line.set_up();
        let (freed, lost) = Default::default();
        Pool(Arc::new(InPool { line, runtime: proxy.runtime().clone(), freed, lost }))
    }

    pub(super) fn line(&self) -> &Line {
        &self.0.line
    }

    /// How many sessions have left their connection clean.
    pub(super) fn freed(&self) -> usize {
        self.0.freed.load(Relaxed)
    }

    /// How many have not.
    pub(super) fn lost(&self) -> usize {
        self.0.lost.load(Relaxed)
    }

    pub(super) fn wait_for(&self, freed: usize, lost: usize) {
        wait_until(&format!("{freed} connections are freed and {lost} are lost"), || {
            ((self.freed(), self.lost()) == (freed, lost)).then_some(())
        });
    }

    /// A connection whose other end the test is.
    pub(super) fn spoken(&self) -> Spoken {
        let spoken = Spoken::new();
        let (carrier, link) = spoken.runtime.block_on(carrier(self.0.clone()));
        assert!(self.line().offer(carrier).is_none());
        spoken.with(link)
    }
}

impl Home for InPool {
    fn free(&self, carrier: Carrier) -> Option<Stay> {
        self.freed.fetch_add(1, Relaxed);
        // What a tunnel that is down does not keep is closed.
        drop(self.line.offer(carrier));
        None
    }

    fn lost(&self) {
        self.lost.fetch_add(1, Relaxed);
    }
}

/// The connections on which another end opens sessions.
#[derive(Clone)]
pub(super) struct OtherEnd(Arc<InOtherEnd>);

struct InOtherEnd {
    me: std::sync::Weak<InOtherEnd>,
    engine: engine::Handle,
    runtime: Handle,
    tunnel: TunnelName,
    trust_client: bool,
    freed: AtomicUsize,
    lost: AtomicUsize,
    refused: Mutex<Vec<CarryRefused>>,
}

impl OtherEnd {
    pub(super) fn of(proxy: &Proxy, tunnel: &str, trust_client: bool) -> OtherEnd {
        let (engine, runtime) = (proxy.engine().clone(), proxy.runtime().clone());
        let tunnel = tunnel.parse().unwrap();
        OtherEnd(Arc::new_cyclic(|me| InOtherEnd {
            me: me.clone(),
            engine,
            runtime,
            tunnel,
            trust_client,
            freed: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            refused: Mutex::default(),
        }))
    }

    pub(super) fn freed(&self) -> usize {
        self.0.freed.load(Relaxed)
    }

    pub(super) fn lost(&self) -> usize {
        self.0.lost.load(Relaxed)
    }

    pub(super) fn refused(&self) -> Vec<CarryRefused> {
        self.0.refused.lock().unwrap().clone()
    }

    /// A session that the test opens.
    pub(super) fn opened(&self, open: Open) -> Spoken {
        self.opened_with(open, b"")
    }

    /// The same, with these bytes behind OPEN.
    pub(super) fn opened_with(&self, open: Open, bytes: &[u8]) -> Spoken {
        let route = route_of(&open);
        let spoken = Spoken::new();
        let (carrier, link) = spoken.runtime.block_on(carrier(self.0.clone()));
        let mut spoken = spoken.with(link);
        if !bytes.is_empty() {
            spoken.send_body(bytes);
        }
        let tunnel = self.0.tunnel.clone();
        let incoming = Incoming::carried(carrier, open, tunnel, self.0.trust_client);
        if let Err(why) = self.0.engine.carry(&route, incoming) {
            self.0.refused.lock().unwrap().push(why);
        }
        spoken
    }
}

impl InOtherEnd {
    /// Waits for a session on an idle connection, and has it carried.
    async fn wait(self: Arc<Self>, carrier: Carrier) {
        let Carrier { link, peer, carried, home } = carrier;
        let mut link = link.open().unwrap();
        let Ok(Received::Frame(Frame::Open(content))) = link.receive(0).await else { return };
        let open = Open::decode(&content).unwrap();
        let route = route_of(&open);
        let carrier = Carrier { link: link.rest().unwrap(), peer, carried, home };
        let incoming = Incoming::carried(carrier, open, self.tunnel.clone(), self.trust_client);
        if let Err(why) = self.engine.carry(&route, incoming) {
            self.refused.lock().unwrap().push(why);
        }
    }
}

impl Home for InOtherEnd {
    fn free(&self, carrier: Carrier) -> Option<Stay> {
        self.freed.fetch_add(1, Relaxed);
        Some(Box::pin(self.me.upgrade()?.wait(carrier)))
    }

    fn lost(&self) {
        self.lost.fetch_add(1, Relaxed);
    }
}

fn route_of(open: &Open) -> RouteId {
    match &open.to {
        There::Service(name) => id(name),
        There::Address(address) => panic!("{address} is no route"),
    }
}

/// Adds a connection between the two ends, idle at both.
pub(super) fn join(pool: &Pool, other: &OtherEnd) {
    let (pool, other) = (pool.0.clone(), other.0.clone());
    let (ours, theirs) = pool.runtime.block_on(async {
        let (ours, theirs) = links().await;
        (
            ours.peer().map(|peer| (peer, ours.park().unwrap().into())),
            theirs.peer().map(|peer| (peer, theirs.park().unwrap().into())),
        )
    });
    let carrier = |(peer, link), home| Carrier { link, peer, carried: 0, home };
    let runtime = other.runtime.clone();
    runtime.spawn(other.clone().wait(carrier(theirs.unwrap(), other)));
    assert!(pool.line.offer(carrier(ours.unwrap(), pool.clone())).is_none());
}

/// An OPEN for the route `web` by this visitor.
pub(super) fn open(ends: Ends) -> Open {
    Open {
        id: SessionId([7; 10]),
        to: There::Service("web".into()),
        protocol: Protocol::Tcp,
        came: SystemTime::now(),
        header: Header { ends, tlvs: Tlvs::default() },
    }
}

/// The ends of a visitor at this address.
pub(super) fn visitor(client: &str) -> Ends {
    Ends::Net { client: client.parse().unwrap(), destination: "198.51.100.1:443".parse().unwrap() }
}

/// One end of a connection, on which the test speaks frames.
pub(super) struct Spoken {
    runtime: Runtime,
    link: Option<FrameLink>,
}

impl Spoken {
    fn new() -> Spoken {
        Spoken { runtime: Builder::new_current_thread().enable_all().build().unwrap(), link: None }
    }

    fn with(self, link: FrameLink) -> Spoken {
        Spoken { link: Some(link), ..self }
    }

    pub(super) fn send(&mut self, frame: &Frame) {
        let link = self.link.as_mut().unwrap();
        link.queue(frame).unwrap();
        self.runtime.block_on(link.flush()).unwrap();
    }

    pub(super) fn send_body(&mut self, bytes: &[u8]) {
        let link = self.link.as_mut().unwrap();
        link.queue_message(bytes).unwrap();
        self.runtime.block_on(link.flush()).unwrap();
    }

    /// What comes next; `None` if that is the end of the connection.
    pub(super) fn try_receive(&mut self) -> Option<Received> {
        let link = self.link.as_mut().unwrap();
        let receive = async { timeout(TIMEOUT, link.receive(64 << 10)).await.expect("nothing came") };
        match self.runtime.block_on(receive) {
            Ok(received) => Some(received),
            Err(Broken::Closed | Broken::Io(_)) => None,
            Err(broken) => panic!("{broken}"),
        }
    }

    pub(super) fn receive(&mut self) -> Received {
        self.try_receive().expect("the connection ended")
    }

    pub(super) fn receive_frame(&mut self) -> Frame {
        match self.receive() {
            Received::Frame(frame) => frame,
            Received::Message(bytes) => panic!("{:?} came instead", String::from_utf8_lossy(&bytes)),
        }
    }

    /// The OPEN that comes next.
    pub(super) fn receive_open(&mut self) -> Open {
        match self.receive_frame() {
            Frame::Open(content) => Open::decode(&content).unwrap(),
            frame => panic!("{frame:?} came instead"),
        }
    }

    /// `length` bytes of the session.
    pub(super) fn receive_body(&mut self, length: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < length {
            match self.receive() {
                Received::Message(bytes) => received.extend(bytes),
                Received::Frame(frame) => panic!("{frame:?} came instead"),
            }
        }
        received
    }

    /// Closes the connection without a word.
    pub(super) fn close(self) {
        drop(self);
    }

    /// Closes it with RST.
    pub(super) fn reset(self) {
        let link = self.link.as_ref().unwrap();
        rustix::net::sockopt::set_socket_linger(link, Some(Duration::ZERO)).unwrap();
    }
}

/// Waits until this many clients wait for a connection.
pub(super) fn wait_for_waiting(pool: &Pool, waiting: usize) {
    wait_until("clients wait", || (pool.line().demand(Instant::now()).waiting == waiting).then_some(()));
}
