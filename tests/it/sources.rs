//! Several sources of routes in one engine: each speaks for its own, whatever the others call theirs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent};
use crate::harness::{Closed, Ending, Gate, Target, Wire};

/// A route `web`, which each source calls so.
fn web(listen: impl std::fmt::Display, target: SocketAddr, more: &str) -> String {
    format!("[routes.web]\nlisten = '{listen}'\ntarget = '{target}'\n{more}\n")
}

/// Where the route of this name, as it is printed, listens.
fn listens(declared: &loopgate::engine::Declared, route: &str) -> SocketAddr {
    let of_route = declared.listening.iter().find(|it| it.route.to_string() == route);
    of_route.and_then(|it| it.address.net()).unwrap_or_else(|| panic!("{route} is not in {declared:?}"))
}

/// Speaks with an echo, and ends.
fn visit(mut client: Wire) {
    client.say(b"hello");
    assert_eq!(client.hear(5), b"hello");
    client.finish();
    assert_eq!(client.hear_end(), Ending::Fin);
}

#[test]
fn two_sources_with_a_route_of_one_name_serve_each_its_own_target() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let (first, second) = (Closed::port(), Closed::port());
    let gate = Gate::builder().with(&web(first.address, one.address, ""));
    gate.declare_as("edge", &web(second.address, two.address, "")).unwrap();

    gate.declare(&web(first.address, one.address, "reset_linger = '1s'")).unwrap();

    assert_eq!(Wire::to(first.address).hear(1), b"1");
    assert_eq!(Wire::to(second.address).hear(1), b"2");
    gate.declare_as("edge", &web(second.address, two.address, "reset_linger = '1s'")).unwrap();
    assert_eq!(Wire::to(first.address).hear(1), b"1");
    assert_eq!(Wire::to(second.address).hear(1), b"2");
}

#[test]
fn a_port_that_the_kernel_chose_belongs_to_its_own_source() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let gate = Gate::builder().with(&web("127.0.0.1:0", one.address, ""));

    let declared = gate.declare_as("edge", &web("127.0.0.1:0", two.address, "")).unwrap();

    let second = listens(&declared, "web@edge");
    assert_eq!(listens(&declared, "web"), gate.address);
    assert_ne!(second, gate.address);
    assert_eq!(Wire::to(gate.address).hear(1), b"1");
    assert_eq!(Wire::to(second).hear(1), b"2");
}

#[test]
fn records_tell_the_routes_of_two_sources_apart() {
    let target = Target::echo();
    let gate = Gate::builder().with(&web("127.0.0.1:0", target.address, ""));
    let declared = gate.declare_as("edge", &web("127.0.0.1:0", target.address, "")).unwrap();

    for route in ["web", "web@edge"] {
        visit(Wire::to(listens(&declared, route)));
        assert_eq!(*gate.record().route, *route);
    }
}

#[test]
fn a_limit_of_connections_counts_those_of_its_own_source_alone() {
    let target = Target::echo();
    let limit = "max_connections = 1";
    let gate = Gate::builder().with(&web("127.0.0.1:0", target.address, limit));
    let declared = gate.declare_as("edge", &web("127.0.0.1:0", target.address, limit)).unwrap();
    let second = listens(&declared, "web@edge");

    let mut held = gate.connect();
    held.say(b"here");
    assert_eq!(held.hear(4), b"here");
    assert!(Wire::is_turned_away("127.0.0.1", gate.address));

    visit(Wire::to(second));
    // What one source declares again leaves the limits of the other as they are.
    gate.declare_as("edge", &web("127.0.0.1:0", target.address, "")).unwrap();
    assert!(Wire::is_turned_away("127.0.0.1", gate.address));
}

#[test]
fn a_limit_of_flows_by_client_counts_those_of_its_own_source_alone() {
    let target = EchoDatagrams::start();
    let limit = "protocol = 'udp'\nmax_connections_per_client = 1";
    let gate = Gate::builder().with(&web("127.0.0.1:0", target.address, limit));
    let declared = gate.declare_as("edge", &web("127.0.0.1:0", target.address, limit)).unwrap();
    let second = listens(&declared, "web@edge");

    assert_eq!(ask(&client(gate.address), b"one"), b"one");
    let turned_away = client(gate.address);
    turned_away.send(b"two").unwrap();
    assert!(is_silent(&turned_away));

    assert_eq!(ask(&client(second), b"three"), b"three");
}

#[test]
fn two_sources_do_not_share_a_bandwidth() {
    let target = Target::sending(1, 1 << 20);
    // What may move at once is 16 KiB; everything after it takes a second for each 1000 bytes.
    let slow = "bandwidth = '8kbit'";
    let gate = Gate::builder().with(&web("127.0.0.1:0", target.address, slow));
    let declared = gate.declare_as("edge", &web("127.0.0.1:0", target.address, slow)).unwrap();
    let second = listens(&declared, "web@edge");

    let began = Instant::now();
    let mut hungry = [gate.connect(), Wire::to(second)];
    hungry.iter_mut().for_each(|client| drop(client.hear(14 << 10)));

    assert!(began.elapsed() < Duration::from_secs(8), "the second waited for what the first had used up");
}
