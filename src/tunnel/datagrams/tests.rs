//! By which means flows go, and that none is broken where it changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::means::Means;
use crate::address::{Protocol, There};
use crate::engine::{self, Declaration, Settings};
use crate::ledger::{Ledger, Record};
use crate::outcome::{Cause, SessionId, Way};
use crate::plan::{self, Plan, Source};
use crate::proxy_protocol::{Ends, Header, Tlvs};
use crate::transport::tunnel::carrier::testing::until;
use crate::transport::tunnel::flows::{FlowCarrier, FlowEnded, FlowNumber, FlowSink};
use crate::transport::tunnel::frame::Reason;
use crate::transport::tunnel::line::{DatagramDropped, Direction, FlowsBy};
use crate::transport::tunnel::message::End;
use crate::transport::tunnel::open::Open;
use crate::tunnel::link::{Link, Terms};

/// The secret key of the first test of RFC 8032, section 7.1, and the public key of the second.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const HOME: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

/// What a connection or a sink was told, in words.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Means for Told {
    fn begin(&self, flow: FlowNumber, _: &Open) {
        self.note(format!("begin {}", flow.0));
    }

    fn send(&self, flow: FlowNumber, datagram: Bytes) -> bool {
        self.note(format!("{}: {}", flow.0, String::from_utf8_lossy(&datagram)));
        true
    }

    fn end(&self, flow: FlowNumber, why: &FlowEnded) {
        self.note(format!("end {} {why:?}", flow.0));
    }
}

impl FlowSink for Told {
    fn arrived(&self, datagram: Bytes) {
        self.note(String::from_utf8_lossy(&datagram).into_owned());
    }

    fn dropped(&self, count: u64) {
        if count > 0 {
            self.note(format!("dropped {count}"));
        }
    }

    fn ended(&self, why: FlowEnded) {
        self.note(format!("{why:?}"));
    }
}

fn plan(more: &str, routes: &str) -> Arc<Plan> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("tunnel.key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text =
        format!("tunnel.listen = '127.0.0.1:4433'\n[tunnels.home]\npublic_key = '{HOME}'\n{more}\n{routes}");
    let name = folder.path().join("f.toml").display().to_string();
    Arc::new(plan::parse(&name, &text, &[]).unwrap_or_else(|problems| panic!("{}", problems.render(false))))
}

/// The flows of the tunnel `home` at the accepting end, and what keeps them alive.
struct Flows {
    hub: Arc<Hub>,
    link: Arc<Link>,
    plan: Arc<Plan>,
    _running: JoinSet<()>,
}

fn flows(more: &str, routes: &str) -> Flows {
    let plan = plan(more, routes);
    let engine = engine::start(Settings::fitting(&plan), Ledger::new(Box::new(|_: &Record| {}))).unwrap();
    let line = engine.lines().get(&"home".parse().unwrap());
    let terms = Terms::new(plan.clone(), plan.tunnels.links[&"home".parse().unwrap()].clone());
    let (link, _) = Link::new(engine, line, CancellationToken::new(), terms, Arc::default());
    let link = Arc::new(link);
    let (hub, inbox) = Hub::new(link.clone(), link.pass(&HOME.parse().unwrap()).unwrap(), End::Accepting);
    let mut running = JoinSet::new();
    running.spawn(hub.clone().run(inbox));
    Flows { hub, link, plan, _running: running }
}

fn open(name: &str) -> Open {
    Open {
        id: SessionId([7; 10]),
        to: There::service(name).unwrap(),
        protocol: Protocol::Udp,
        came: UNIX_EPOCH,
        header: Header { ends: Ends::Unnamed, tlvs: Tlvs::default() },
    }
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn flows_are_announced_wherever_they_go_next_and_live_on() {
    let Flows { hub, link, .. } = flows("", "");
    let (sink, first, second) = (Arc::new(Told::default()), Arc::<Told>::default(), Arc::<Told>::default());
    let flow = hub.open(open("game"), sink.clone()).unwrap();
    assert_eq!((flow, hub.way()), (FlowNumber(1), Way::Tls));

    hub.set_quic(Some(first.clone()));
    assert!(hub.send(flow, text("a")) && hub.way() == Way::Quic);
    hub.set_quic(None);
    assert!(hub.send(flow, text("by TLS")), "it waits for a connection");
    hub.set_quic(Some(second.clone()));
    let other = hub.open(open("game"), sink.clone()).unwrap();
    assert!(hub.send(flow, text("b")) && hub.send(other, text("c")));
    hub.arrivals(FlowsBy::Quic).arrived(flow, text("back"));
    hub.end(flow, Reason::Idle);
    assert!(!hub.send(flow, text("late")));

    assert_eq!(first.take(), ["begin 1", "1: a"]);
    assert_eq!(second.take(), ["begin 1", "begin 3", "1: b", "3: c", "end 1 Ended(Idle)"]);
    assert_eq!(sink.take(), ["back"], "nothing else happened to it");
    let numbers = link.line.numbers();
    assert_eq!(numbers.flows.get(), 1);
    assert_eq!(FlowsBy::ALL.map(|by| numbers.datagrams(Direction::Sent, by).get()), [3, 1]);
    assert_eq!(numbers.datagrams(Direction::Received, FlowsBy::Quic).get(), 1);
    assert_eq!(numbers.datagrams_dropped(DatagramDropped::Ended).get(), 1);
}

#[tokio::test]
async fn a_flow_of_the_other_end_is_answered_where_it_was_announced_last() {
    let service = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let route = format!(
        "[routes.game]\nlisten = 'tunnel:home'\nprotocol = 'udp'\ntarget = '{}'\n",
        service.local_addr().unwrap()
    );
    let Flows { hub, link, plan, _running } = flows("", &route);
    link.engine.declare(Source::file(), Declaration::from(plan.routes.clone())).await.unwrap();
    let quic = Arc::<Told>::default();
    hub.set_quic(Some(quic.clone()));
    let arrivals = hub.arrivals(FlowsBy::Quic);

    // The first come before their flow.
    arrivals.arrived(FlowNumber(2), text("one"));
    arrivals.began(FlowNumber(2), open("game"));
    arrivals.arrived(FlowNumber(2), text("two"));

    let mut buffer = [0; 100];
    for expected in ["one", "two"] {
        let (length, from) = service.recv_from(&mut buffer).await.unwrap();
        assert_eq!(buffer[..length], *expected.as_bytes());
        service.send_to(&buffer[..length], from).await.unwrap();
    }
    let mut answers = Vec::new();
    until("both are answered", || {
        answers.extend(quic.take());
        answers.len() >= 2
    })
    .await;
    assert_eq!(answers, ["2: one", "2: two"]);

    arrivals.ended(FlowNumber(2), FlowEnded::Ended(Reason::Idle));
    arrivals.began(FlowNumber(2), open("game"));
    until("its end is said again", || !quic.0.lock().unwrap().is_empty()).await;
    assert_eq!(quic.take(), ["end 2 Ended(Reset)"], "no number begins twice");
}

#[tokio::test]
async fn a_flow_that_is_not_offered_is_refused_by_its_name_and_protocol() {
    let routes = "[routes.web]\nlisten = 'tunnel:home'\ntarget = '1'\n\
                  [routes.own]\nlisten = '127.0.0.1:0'\nprotocol = 'udp'\ntarget = '2'\n\
                  [routes.game]\nlisten = 'tunnel:home'\nprotocol = 'udp'\ntarget = '3'\n";
    let Flows { hub, link, plan, _running } = flows("", routes);
    link.engine.declare(Source::file(), Declaration::from(plan.routes.clone())).await.unwrap();
    let quic = Arc::<Told>::default();
    hub.set_quic(Some(quic.clone()));
    let stream = Open { protocol: Protocol::Tcp, ..open("web") };

    for (number, open) in [open("web"), open("own"), open("none"), stream].into_iter().enumerate() {
        hub.arrivals(FlowsBy::Quic).began(FlowNumber(2 * number as u64), open);
    }

    let mut told = Vec::new();
    until("each is answered", || {
        told.extend(quic.take());
        told.len() == 4
    })
    .await;
    told.sort();
    let refused = |number| format!("end {number} Refused({:?}, None)", Cause::TunnelRefused);
    assert_eq!(told, [0, 2, 4, 6].map(refused));
    assert_eq!(link.line.numbers().flows.get(), 0);
}

#[tokio::test]
async fn beyond_max_flows_the_oldest_idle_one_ends_at_both_ends() {
    let Flows { hub, .. } = flows("max_flows = 2", "");
    let quic = Arc::<Told>::default();
    hub.set_quic(Some(quic.clone()));
    let sinks: Vec<Arc<Told>> = (0..3).map(|_| Arc::default()).collect();
    let numbers: Vec<FlowNumber> =
        sinks[..2].iter().map(|sink| hub.open(open("game"), sink.clone()).unwrap()).collect();
    assert!(hub.send(numbers[0], text("still here")));

    hub.open(open("game"), sinks[2].clone()).unwrap();

    assert_eq!(sinks[1].take(), ["Ended(Evicted)"]);
    assert!(sinks[0].take().is_empty());
    assert!(quic.take().contains(&"end 3 Ended(Evicted)".to_owned()));
}

#[tokio::test]
async fn every_flow_ends_with_the_control_and_none_begins_behind_it() {
    for (is_withdrawn, why) in [(false, "Lost"), (true, "Revoked")] {
        let Flows { hub, link, .. } = flows("", "");
        let sink = Arc::<Told>::default();
        let flow = hub.open(open("game"), sink.clone()).unwrap();
        assert!(hub.send(flow, text("waits for a connection")));
        if is_withdrawn {
            link.retire();
        }

        hub.end_all();

        assert_eq!(sink.take(), ["dropped 1", why]);
        assert_eq!(link.line.numbers().datagrams_dropped(DatagramDropped::Full).get(), 1);
        assert!(!hub.send(flow, text("late")));
        assert_eq!(hub.open(open("game"), sink.clone()), Err(Cause::TunnelDown));
        assert_eq!(link.line.numbers().flows.get(), 0);
    }
}
