//! Each source has its own: targets, ports, limits, words in records.

use std::time::{Duration, Instant};

use super::{listens, visit, web};
use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent};
use crate::harness::{ClosedPort, Connection, Proxy, Target};

#[test]
fn two_sources_with_a_route_of_one_name_serve_each_its_own_target() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let (first, second) = (ClosedPort::port(), ClosedPort::port());
    let proxy = Proxy::builder().with(&web(first.address, one.address, ""));
    proxy.declare_as("edge", &web(second.address, two.address, "")).unwrap();

    proxy.declare(&web(first.address, one.address, "reset_linger = '1s'")).unwrap();

    assert_eq!(Connection::to(first.address).receive(1), b"1");
    assert_eq!(Connection::to(second.address).receive(1), b"2");
    proxy.declare_as("edge", &web(second.address, two.address, "reset_linger = '1s'")).unwrap();
    assert_eq!(Connection::to(first.address).receive(1), b"1");
    assert_eq!(Connection::to(second.address).receive(1), b"2");
}

#[test]
fn a_port_that_the_kernel_chose_belongs_to_its_own_source() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", one.address, ""));

    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", two.address, "")).unwrap();

    let second = listens(&declared, "web@edge");
    assert_eq!(listens(&declared, "web"), proxy.address);
    assert_ne!(second, proxy.address);
    assert_eq!(Connection::to(proxy.address).receive(1), b"1");
    assert_eq!(Connection::to(second).receive(1), b"2");
}

#[test]
fn records_tell_the_routes_of_two_sources_apart() {
    let target = Target::echo();
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, ""));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, "")).unwrap();

    for route in ["web", "web@edge"] {
        visit(Connection::to(listens(&declared, route)));
        assert_eq!(*proxy.record().route, *route);
    }
}

#[test]
fn a_limit_of_connections_counts_those_of_its_own_source_alone() {
    let target = Target::echo();
    let limit = "max_connections = 1";
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, limit));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, limit)).unwrap();
    let second = listens(&declared, "web@edge");

    let mut held = proxy.connect();
    held.send(b"here");
    assert_eq!(held.receive(4), b"here");
    assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));

    visit(Connection::to(second));
    // What one source declares again leaves the limits of the other as they are.
    proxy.declare_as("edge", &web("127.0.0.1:0", target.address, "")).unwrap();
    assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));
}

#[test]
fn a_limit_of_flows_by_client_counts_those_of_its_own_source_alone() {
    let target = EchoDatagrams::start();
    let limit = "protocol = 'udp'\nmax_connections_per_client = 1";
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, limit));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, limit)).unwrap();
    let second = listens(&declared, "web@edge");

    assert_eq!(ask(&client(proxy.address), b"one"), b"one");
    let turned_away = client(proxy.address);
    turned_away.send(b"two").unwrap();
    assert!(is_silent(&turned_away));

    assert_eq!(ask(&client(second), b"three"), b"three");
}

#[test]
fn two_sources_do_not_share_a_bandwidth() {
    let target = Target::sending(1, 1 << 20);
    // What may move at once is 16 KiB; everything after it takes a second for each 1000 bytes.
    let slow = "bandwidth = '8kbit'";
    let proxy = Proxy::builder().with(&web("127.0.0.1:0", target.address, slow));
    let declared = proxy.declare_as("edge", &web("127.0.0.1:0", target.address, slow)).unwrap();
    let second = listens(&declared, "web@edge");

    let began = Instant::now();
    let mut hungry = [proxy.connect(), Connection::to(second)];
    hungry.iter_mut().for_each(|client| drop(client.receive(14 << 10)));

    assert!(began.elapsed() < Duration::from_secs(8), "the second waited for what the first had used up");
}
