//! Connections that no listener accepted: an embedder hands over a socket, or a stream within its process.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use loopgate::engine::{CarryRefused, RouteId, Source};
use loopgate::outcome::{Client, Denial, End, Limit, Side};
use loopgate::plan::RouteName;
use loopgate::transport::{Custom, Incoming, Via};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::harness::tls::{Authority, Blocking};
use crate::harness::{Close, ClosedPort, Connection, HelloBuilder, Proxy, Target, pattern, wait_until};

const MIB: usize = 1 << 20;

fn web() -> RouteId {
    RouteId { source: Source::file(), name: RouteName("test".into()) }
}

fn via() -> Via {
    Via::HandedOver("the test".into())
}

/// An address that is none of this machine's.
fn somebody() -> SocketAddr {
    "192.0.2.7:4711".parse().unwrap()
}

/// A client inside this process.
struct Inside {
    stream: DuplexStream,
    resets: Arc<AtomicUsize>,
}

/// A client in this process, and the end that is handed over.
fn inside() -> (Inside, Incoming) {
    let (ours, theirs) = duplex(4096);
    let resets = Arc::new(AtomicUsize::new(0));
    let count = resets.clone();
    let custom = Custom::new(theirs, move || {
        count.fetch_add(1, Relaxed);
    });
    (Inside { stream: ours, resets }, Incoming::new(custom, somebody().into(), via()))
}

/// Carries a client of this process.
fn carried(proxy: &Proxy) -> Inside {
    let (client, incoming) = inside();
    proxy.carry(&web(), incoming).unwrap();
    client
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Sends bytes and expects to receive them again.
fn echoed(client: &mut Inside) {
    block_on(async {
        client.stream.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        client.stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
    });
}

/// Waits until the session of this client has given its stream back.
fn is_closed(client: &mut Inside) {
    let read = block_on(client.stream.read(&mut [0; 1]));
    assert_eq!(read.unwrap(), 0);
}

fn test_route(target: SocketAddr, more: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\n{more}\n")
}

#[test]
fn a_stream_of_this_process_is_carried_like_any_client() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let Inside { stream, resets } = carried(&proxy);

    let (mut from, mut to) = tokio::io::split(stream);
    let said: Vec<u8> = (0..MIB).map(|n| pattern::at(1, n, 1)[0]).collect();
    let heard = block_on(async {
        let say = async {
            to.write_all(&said).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let (_, read) = tokio::join!(say, from.read_to_end(&mut heard));
        read.unwrap();
        heard
    });

    assert!(heard == said, "{} bytes", heard.len());
    let record = proxy.record();
    let traffic = record.outcome.traffic;
    assert_eq!((&*record.route, record.client), ("test", Client::Net(somebody())));
    assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Client)));
    assert_eq!((traffic.up.read, traffic.up.delivered), (MIB as u64, MIB as u64));
    assert_eq!((traffic.down.read, traffic.down.delivered), (MIB as u64, MIB as u64));
    assert_eq!(resets.load(Relaxed), 0);
}

#[test]
fn a_target_that_says_all_first_is_heard_by_a_stream_that_speaks_later() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let mut client = carried(&proxy);
    let mut served = target.accept();

    served.send(b"welcome");
    served.finish();
    block_on(async {
        let mut heard = String::new();
        client.stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "welcome");
        client.stream.write_all(b"thanks").await.unwrap();
        client.stream.shutdown().await.unwrap();
    });

    assert_eq!(served.receive_all(), (b"thanks".to_vec(), Close::Fin));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Target)));
}

#[test]
fn a_stream_that_is_dropped_in_the_middle_is_a_client_that_reset() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let mut client = carried(&proxy);
    let mut served = target.accept();
    block_on(client.stream.write_all(b"hello")).unwrap();
    assert_eq!(served.receive(5), b"hello");

    let resets = client.resets.clone();
    drop(client);
    served.send(b"an answer that nobody takes");

    assert_eq!(served.receive_close(), Close::Fin, "what it has said before was all");
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.traffic.up.delivered), (End::ClientReset, 5));
    wait_until("it was told", || (resets.load(Relaxed) == 1).then_some(()));
}

#[test]
fn a_socket_that_somebody_else_accepted_is_carried_with_its_client() {
    let (target, own) = (Target::echo(), TcpListener::bind("127.0.0.1:0").unwrap());
    let proxy = Proxy::to(target.address);
    let mut client = Connection::to(own.local_addr().unwrap());

    proxy.carry(&web(), Incoming::tcp(own.accept().unwrap().0, via()).unwrap()).unwrap();

    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    let record = proxy.record();
    assert_eq!((record.client, record.outcome.end), (Client::Net(client.local()), End::Done));
}

#[test]
fn a_process_at_the_other_end_of_a_socket_pair_is_known_also_where_its_first_byte_is_waited_for() {
    let target = Target::echo();
    let proxy = Proxy::builder().with(&test_route(target.address, "client_timeout = '20s'"));
    let (mut ours, theirs) = UnixStream::pair().unwrap();

    proxy.carry(&web(), Incoming::unix(theirs, via()).unwrap()).unwrap();

    ours.write_all(b"hello").unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    ours.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(proxy.record().client, Client::Unix { pid: std::process::id(), uid: user });
}

#[test]
fn the_first_bytes_of_a_stream_inside_are_looked_at_as_those_of_a_socket() {
    let (shop, others) = (Target::echo(), Target::echo());
    let keys = format!(
        "accept_proxy = ['192.0.2.0/24']\nclient_timeout = '20s'\nhello_timeout = '20s'\nnames = {{'shop.example' = '{}'}}",
        shop.address
    );
    let proxy = Proxy::builder().with(&test_route(others.address, &keys));
    let hello = HelloBuilder::to("shop.example");
    let mut client = carried(&proxy);
    let sent = [b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n", &hello[..]].concat();

    let heard = block_on(async {
        for byte in &sent {
            client.stream.write_all(&[*byte]).await.unwrap();
        }
        client.stream.write_all(pattern::at(1, 0, 60_000)).await.unwrap();
        client.stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        client.stream.read_to_end(&mut heard).await.unwrap();
        heard
    });

    assert!(heard == [&hello[..], pattern::at(1, 0, 60_000)].concat());
    let record = proxy.record();
    assert_eq!(record.client, Client::Net("203.0.113.9:4711".parse().unwrap()));
    assert_eq!((record.via, record.name.as_deref()), (Some(Client::Net(somebody())), Some("shop.example")));
    assert_eq!(record.outcome.target.unwrap().to_string(), shop.address.to_string());
    assert_eq!(client.resets.load(Relaxed), 0);
}

#[test]
fn a_stream_inside_that_says_nothing_is_reset_and_one_that_ends_counts_as_gone() {
    let target = Target::echo();
    let proxy = Proxy::builder().with(&test_route(target.address, "client_timeout = '200ms'"));
    let silent = carried(&proxy);
    assert_eq!(proxy.record().outcome.end, End::SlowClient);
    assert_eq!(silent.resets.load(Relaxed), 1);

    let (gone, incoming) = inside();
    drop(gone.stream);
    let proxy = Proxy::builder().with(&test_route(target.address, "hello_timeout = '20s'\nnot_tls = '1'"));
    proxy.carry(&web(), incoming).unwrap();
    assert_eq!(proxy.record().outcome.end, End::ClientGone);
}

#[test]
fn tls_with_a_stream_inside_ends_here() {
    let (authority, target) = (Authority::new(), Target::echo());
    authority.issue("web", &["localhost"]);
    let proxy =
        Proxy::builder().with(&test_route(target.address, &format!("tls = {{{}}}", authority.tls("web"))));
    let client = carried(&proxy);
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(authority.client(None), name).unwrap();
    let mut tls = rustls::StreamOwned::new(connection, Blocking(client.stream));

    for n in 0..30 {
        let piece = pattern::at(n, 0, 50_000);
        tls.write_all(piece).unwrap();
        tls.flush().unwrap();
        let mut heard = vec![0; piece.len()];
        tls.read_exact(&mut heard).unwrap();
        assert!(heard == piece);
    }
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    assert_eq!(tls.read_to_end(&mut Vec::new()).unwrap(), 0);

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.no_close_notify), (End::Done, None));
    assert!(record.client_tls.is_some());
    assert_eq!(record.outcome.traffic.down.delivered, 1_500_000);
    assert_eq!(client.resets.load(Relaxed), 0);
}

#[test]
fn nothing_is_carried_where_no_session_can_begin() {
    let (target, port) = (Target::echo(), ClosedPort::port());
    let config = test_route(target.address, "")
        + &format!(
            "[routes.dns]\nprotocol = 'udp'\nlisten = '{}'\ntarget = '{}'\n",
            port.address, target.address
        );
    let proxy = Proxy::builder().connections(1).with(&config);
    let route = |name: &str| RouteId { name: RouteName(name.into()), ..web() };
    let refused = |route: &RouteId| {
        let (client, incoming) = inside();
        let why = proxy.carry(route, incoming).unwrap_err();
        assert_eq!(client.resets.load(Relaxed), 1, "{why}");
        why
    };

    assert_eq!(refused(&route("dns")), CarryRefused::NoRoute(route("dns")));
    assert_eq!(refused(&route("other")), CarryRefused::NoRoute(route("other")));
    let mut client = carried(&proxy);
    echoed(&mut client);
    assert_eq!(refused(&web()), CarryRefused::Full);
    drop(client);
    proxy.stop(Duration::from_secs(20));
    assert_eq!(refused(&web()), CarryRefused::Stopped);
}

#[test]
fn a_route_that_is_gone_carries_nobody_new_and_goes_on_with_who_is_there() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let mut client = carried(&proxy);
    echoed(&mut client);

    proxy
        .declare(&format!("routes.other = {{listen = '127.0.0.1:0', target = '{}'}}", target.address))
        .unwrap();

    let why = proxy.carry(&web(), inside().1).unwrap_err();
    assert_eq!(why, CarryRefused::NoRoute(web()));
    echoed(&mut client);
}

#[test]
fn who_is_handed_over_is_admitted_like_who_has_connected() {
    let target = Target::echo();
    let more = "deny = ['192.0.2.0/24']\nallow = ['0.0.0.0/0', '::/0']";
    let proxy = Proxy::builder().with(&test_route(target.address, more));
    let mut denied = carried(&proxy);

    is_closed(&mut denied);
    assert_eq!(proxy.record().outcome.end, End::Denied(Denial::Listed));
    assert_eq!(denied.resets.load(Relaxed), 1);

    let proxy = Proxy::builder().with(&test_route(target.address, "max_connections = 1"));
    let mut first = carried(&proxy);
    echoed(&mut first);
    assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));
    assert_eq!(proxy.record().outcome.end, End::Limited(Limit::Connections));
    is_closed(&mut carried(&proxy));
    assert_eq!(proxy.record().outcome.end, End::Limited(Limit::Connections));
}

#[test]
fn a_carried_session_is_killed_drained_and_found_idle_like_any_other() {
    let target = Target::echo();
    let proxy =
        Proxy::builder().with(&test_route(target.address, "idle_timeout = '1h'\nbandwidth = '800mbit'"));
    let (mut killed, mut drained) = (carried(&proxy), carried(&proxy));
    echoed(&mut killed);
    let id = proxy.live()[0].id;
    echoed(&mut drained);

    proxy.kill(id).unwrap();

    is_closed(&mut killed);
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.traffic.down.delivered), (End::Killed, 4));
    assert_eq!((killed.resets.load(Relaxed), drained.resets.load(Relaxed)), (1, 0));
    assert_eq!(proxy.stop(Duration::ZERO), 1);
    assert_eq!((proxy.record().outcome.end, drained.resets.load(Relaxed)), (End::Drained, 1));

    let proxy = Proxy::builder().with(&test_route(target.address, "idle_timeout = '1s'"));
    let mut idle = carried(&proxy);
    is_closed(&mut idle);
    assert_eq!((proxy.record().outcome.end, idle.resets.load(Relaxed)), (End::Idle, 1));

    let proxy = Proxy::builder().with(&test_route(target.address, "max_session_age = '100ms'"));
    let mut old = carried(&proxy);
    is_closed(&mut old);
    assert_eq!((proxy.record().outcome.end, old.resets.load(Relaxed)), (End::Expired, 1));
}

#[test]
fn a_carried_session_without_a_target_says_so() {
    let nobody = ClosedPort::port();
    let proxy = Proxy::to(nobody.address);
    let mut client = carried(&proxy);

    is_closed(&mut client);

    assert!(matches!(proxy.record().outcome.end, End::NoTarget(_)));
    assert_eq!(client.resets.load(Relaxed), 1);
}
