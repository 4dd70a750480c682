//! Two ends over loopback, with a way between them that can be bad.

mod flows;
mod relay;
mod strangers;

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Accepting, By, Dialling, Flows, Quic, Seated};
use crate::address::{Protocol, There};
use crate::engine::ServeDatagrams;
use crate::outcome::SessionId;
use crate::proxy_protocol::{Ends, Header, Tlvs};
use crate::transport::tunnel::flows::{FlowEnded, FlowNumber};
use crate::transport::tunnel::identity::{self, Known, PrivateKey, PublicKey};
use crate::transport::tunnel::message::{Datagrams, Message};
use crate::transport::tunnel::open::Open;
use crate::tunnel::control;
use crate::tunnel::datagrams::means::{Arrivals, Means};
use relay::Relay;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a connection brings.
#[derive(Debug, PartialEq)]
enum Event {
    Began(u64, Open),
    Arrived(u64, Bytes),
    Dropped(u64, u64),
    Ended(u64, FlowEnded),
}

struct Sink(mpsc::UnboundedSender<Event>);

impl Arrivals for Sink {
    fn began(&self, flow: FlowNumber, open: Open) {
        let _ = self.0.send(Event::Began(flow.0, open));
    }

    fn arrived(&self, flow: FlowNumber, datagram: Bytes) {
        let _ = self.0.send(Event::Arrived(flow.0, datagram));
    }

    fn dropped(&self, flow: FlowNumber, count: u64) {
        let _ = self.0.send(Event::Dropped(flow.0, count));
    }

    fn ended(&self, flow: FlowNumber, why: FlowEnded) {
        let _ = self.0.send(Event::Ended(flow.0, why));
    }
}

/// The flows of one end, as a test sees them.
struct Seen {
    events: mpsc::UnboundedReceiver<Event>,
    quic: watch::Receiver<Option<Arc<dyn Means>>>,
}

impl Seen {
    fn new() -> (Flows, Seen) {
        let (to, events) = mpsc::unbounded_channel();
        let (set, quic) = watch::channel(None);
        let set_quic = Arc::new(move |means| drop(set.send_replace(means)));
        (Flows { arrivals: Arc::new(Sink(to)), set_quic }, Seen { events, quic })
    }

    /// Waits until datagrams go by QUIC.
    async fn up(&mut self) -> Arc<dyn Means> {
        let up = timeout(PATIENCE, self.quic.wait_for(Option::is_some)).await;
        up.expect("no QUIC").unwrap().clone().unwrap()
    }

    /// Waits until they do not.
    async fn down(&mut self) {
        timeout(PATIENCE, self.quic.wait_for(Option::is_none)).await.expect("still QUIC").unwrap();
    }

    async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("nothing comes").unwrap()
    }

    async fn arrived(&mut self) -> (u64, Bytes) {
        loop {
            if let Event::Arrived(flow, datagram) = self.next().await {
                return (flow, datagram);
            }
        }
    }
}

/// Knows these keys, and forgets them.
#[derive(Debug)]
struct Knows(Mutex<Vec<PublicKey>>);

impl Known for Knows {
    fn knows(&self, key: &PublicKey) -> bool {
        key.is_one_of(&*self.0.lock().unwrap())
    }
}

/// The accepting end.
struct Server {
    quic: Arc<Quic>,
    key: PrivateKey,
    known: Arc<Knows>,
    at: SocketAddr,
    _retires: DropGuard,
}

impl Server {
    fn start(known: &[&PrivateKey]) -> Server {
        let (quic, key) = (Arc::new(Quic::default()), PrivateKey::generate().unwrap());
        let known = Arc::new(Knows(Mutex::new(known.iter().map(|key| key.public()).collect())));
        quic.desk.follow(Some(identity::Accepting::new(&key, known.clone())));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (at, retired) = (socket.local_addr().unwrap(), CancellationToken::new());
        quic.sockets.serve(socket, retired.clone()).unwrap();
        Server { quic, key, known, at, _retires: retired.drop_guard() }
    }
}

/// Both ends of one control, and what is between them. Everything ends with it.
struct Pair {
    server: Server,
    seated: Arc<Seated>,
    relay: Relay,
    here: Seen,
    there: Seen,
    nudges: watch::Sender<u64>,
    home: Arc<PrivateKey>,
    /// Packets of a connection that has ended leave as long as this is there.
    _dials: Arc<Quic>,
    by: Arc<Mutex<By>>,
    accepting: JoinSet<()>,
    dialling: JoinSet<()>,
}

impl Pair {
    async fn start() -> Pair {
        Pair::start_with(|_| {}).await
    }

    /// The way is made ready before the first packet.
    async fn start_with(ready: impl FnOnce(&Relay)) -> Pair {
        let home = Arc::new(PrivateKey::generate().unwrap());
        let server = Server::start(&[&home]);
        let relay = Relay::to(server.at).await;
        ready(&relay);
        let (seated, inbox) = server.quic.desk.seat(home.public(), "127.0.0.1".parse().unwrap());
        let seated = Arc::new(seated);
        let ((to_here, here), (to_there, there)) = (Seen::new(), Seen::new());
        let accepting = Accepting {
            quic: server.quic.clone(),
            name: "home".parse().unwrap(),
            flows: to_there,
            by: Arc::default(),
        };
        let (control, mut asked) = control::channel();
        let by = Arc::<Mutex<By>>::default();
        let dials = Arc::new(Quic::default());
        let dialling = Dialling {
            quic: dials.clone(),
            name: "vps".parse().unwrap(),
            own: home.clone(),
            peer: server.at,
            host: "vps.example.com".into(),
            key: server.key.public(),
            control,
            flows: to_here,
            by: by.clone(),
        };
        let port = relay.port;
        let offer = offer_of(&seated, port);
        let (offers, offered) = watch::channel(None);
        let (nudges, nudged) = watch::channel(0);
        let (mut one, mut other) = (JoinSet::new(), JoinSet::new());
        one.spawn(async move { accepting.keep(inbox).await });
        other.spawn(async move { dialling.keep(offer, offered, nudged).await });
        let asks = seated.clone();
        other.spawn(async move {
            while let Some(Message::AskDatagrams) = asked.next().await {
                offers.send_replace(offer_of(&asks, port));
            }
        });
        Pair {
            server,
            seated,
            relay,
            here,
            there,
            nudges,
            home,
            _dials: dials,
            by,
            accepting: one,
            dialling: other,
        }
    }

    /// The network has changed, as far as the dialling end knows.
    fn nudge(&self) {
        self.nudges.send_modify(|count| *count += 1);
    }
}

fn offer_of(seated: &Seated, port: u16) -> Option<Datagrams> {
    seated.offer(0).map(|offer| Datagrams { port, ..offer })
}

fn open(name: &str) -> Open {
    Open {
        id: SessionId(*b"0123456789"),
        to: There::service(name).unwrap(),
        protocol: Protocol::Udp,
        came: UNIX_EPOCH + Duration::from_millis(77),
        header: Header { ends: Ends::Unnamed, tlvs: Tlvs::default() },
    }
}
