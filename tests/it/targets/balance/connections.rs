//! Connections: which target each client gets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use loopgate::outcome::{Cause, End};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::{carried_to, plain, proxy, reached, route, visit, with};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, listening_inode, wait_until};

/// A client from this address of the machine.
fn from(ip: Ipv4Addr, proxy: SocketAddr) -> Connection {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(ip.into(), 0)).unwrap();
    connect(&socket, &proxy).unwrap();
    TcpStream::from(socket).into()
}

#[test]
fn each_target_gets_its_weight_of_the_clients() {
    let targets = [Target::echo(), Target::echo(), Target::echo()];
    let [a, b, c] = targets.each_ref().map(|target| target.address);
    let proxy = proxy(&[plain(a), with(b, "weight = 2"), plain(c)], "");

    let mut counts = BTreeMap::<SocketAddr, u32>::new();
    for _ in 0..40 {
        *counts.entry(carried_to(&proxy)).or_default() += 1;
    }

    assert_eq!(counts, [(a, 10), (b, 20), (c, 10)].into());
}

#[test]
fn the_fewest_sessions_draw_the_next_client() {
    let (one, other) = (Target::manual(), Target::manual());
    let proxy = proxy(&[plain(one.address), plain(other.address)], "balance = 'least_connections'");

    let clients: Vec<Connection> = (0..8).map(|_| proxy.connect()).collect();
    let at_one: Vec<Connection> = (0..4).map(|_| one.accept()).collect();
    let _at_other: Vec<Connection> = (0..4).map(|_| other.accept()).collect();
    // All clients of one target leave, and the next clients all go to that target.
    for end in at_one {
        end.reset();
    }
    for _ in 0..4 {
        assert_eq!(proxy.record().outcome.target, Some(one.address.into()));
    }
    let _more: Vec<Connection> = (0..4).map(|_| proxy.connect()).collect();

    let _at_one: Vec<Connection> = (0..4).map(|_| one.accept()).collect();
    drop(clients);
}

#[test]
fn a_client_that_one_target_refuses_is_carried_to_the_next() {
    let (closed, closed_too, echo) = (ClosedPort::port(), ClosedPort::port(), Target::echo());
    let proxy =
        proxy(&[plain(closed.address), plain(closed_too.address), plain(echo.address)], "balance = 'first'");

    for _ in 0..20 {
        assert_eq!(carried_to(&proxy), echo.address);
    }
}

#[test]
fn no_more_other_targets_are_tried_than_the_route_allows() {
    let closed: Vec<ClosedPort> = (0..3).map(|_| ClosedPort::port()).collect();
    let echo = Target::echo();
    let mut targets: Vec<String> = closed.iter().map(|it| plain(it.address)).collect();
    targets.push(plain(echo.address));
    // No target is down after one failure, so that each client begins with the first.
    let tried = |next: &str| {
        let more = format!("balance = 'first'\n{next}\nhealth = {{check = 'none', fall = 9}}");
        let proxy = proxy(&targets, &more);
        let client = Connection::try_to(proxy.address);
        client.into_iter().for_each(|client| client.finish());
        let outcome = proxy.record().outcome;
        (outcome.end, outcome.attempts.len())
    };

    assert_eq!(tried("next_target = 'off'"), (End::NoTarget(Cause::Refused), 1));
    assert_eq!(tried("next_target = 1"), (End::NoTarget(Cause::Refused), 2));
    assert_eq!(tried("next_target = 3"), (End::Done, 4));
    assert_eq!(tried(""), (End::Done, 4));
}

#[test]
fn a_client_that_shows_whether_a_target_is_back_gets_another_all_the_same() {
    let (closed, echo) = (ClosedPort::port(), Target::echo());
    let more = "balance = 'first'\nnext_target = 'off'\nhealth = {check = 'none', interval = '1ms'}";
    let proxy = proxy(&[plain(closed.address), plain(echo.address)], more);

    // The first finds out that the target is down; each that comes after is sent there first, as a trial.
    let first = Connection::try_to(proxy.address);
    assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::Refused));
    drop(first);
    let attempts = (0..20).map(|_| {
        visit(proxy.connect());
        let outcome = proxy.record().outcome;
        assert_eq!(outcome.end, End::Done);
        outcome.attempts.len()
    });

    assert!(attempts.max() == Some(2), "at least one of them was a trial");
}

#[test]
fn a_client_that_every_target_refuses_is_reset_with_every_attempt_recorded() {
    let closed = [ClosedPort::port(), ClosedPort::port(), ClosedPort::port()];
    let drained = Target::echo();
    let mut targets: Vec<String> = closed.iter().map(|it| plain(it.address)).collect();
    targets.push(with(drained.address, "drain = true"));
    let proxy = proxy(&targets, "");

    // It may be over before its connect(2) returns.
    if let Ok(mut client) = Connection::try_to(proxy.address) {
        assert_eq!(client.receive_close(), Close::Reset);
    }

    let record = proxy.record();
    assert_eq!(record.outcome.end, End::NoTarget(Cause::Refused));
    let mut tried: Vec<String> =
        record.outcome.attempts.iter().map(|attempt| attempt.address.to_string()).collect();
    let mut all: Vec<String> = closed.iter().map(|it| it.address.to_string()).collect();
    tried.sort();
    all.sort();
    assert_eq!(tried, all, "{record}");
}

#[test]
fn no_new_client_notices_that_a_target_dies_and_other_sessions_live_on() {
    let (dying, living) = (Target::echo(), Target::echo());
    let proxy = proxy(&[plain(dying.address), plain(living.address)], "");
    let mut staying: Vec<Connection> = (0..2).map(|_| proxy.connect()).collect();
    let at: Vec<String> = wait_until("two sessions are relayed", || {
        let live = proxy.live();
        let at: Vec<String> = live.iter().map(|live| live.target().to_string()).collect();
        (at.len() == 2 && at.iter().all(|target| !target.contains(','))).then_some(at)
    });
    assert!(at.contains(&living.address.to_string()) && at.contains(&dying.address.to_string()), "{at:?}");

    let address = dying.address;
    drop(dying);
    // Else a target of another test may get the port.
    let _held = ClosedPort::port_of(address);

    for _ in 0..20 {
        visit(proxy.connect());
    }
    let others = (0..20).map(|_| reached(&proxy)).filter(|target| *target == address);
    assert_eq!(others.count(), 0, "nobody listens there");
    let answered = staying.iter_mut().filter_map(|client| {
        client.send(b"still");
        client.try_receive(&mut [0; 5]).ok().filter(|n| *n == 5)
    });
    assert!(answered.count() >= 1, "the neighbour's session lives");
}

#[test]
fn a_backup_has_clients_only_while_no_primary_is_up() {
    let (primary, backup) = (ClosedPort::port(), Target::echo());
    let proxy = proxy(&[with(backup.address, "backup = true"), plain(primary.address)], "");

    assert_eq!(carried_to(&proxy), backup.address);
    let target = Target::echo_on(primary.address);
    wait_until("the primary has clients again", || (carried_to(&proxy) == target.address).then_some(()));

    for _ in 0..10 {
        assert_eq!(carried_to(&proxy), target.address);
    }
    drop(target);
    wait_until("the backup stands in", || (carried_to(&proxy) == backup.address).then_some(()));
}

#[test]
fn a_target_that_drains_keeps_its_sessions_and_gets_no_new_ones() {
    let (leaving, staying) = (Target::echo(), Target::echo());
    let port = ClosedPort::port();
    let before = route(port.address, &[plain(leaving.address), plain(staying.address)], "balance = 'first'");
    let proxy = Proxy::builder().with(&before);
    let mut old = proxy.connect();
    old.send(b"a");
    assert_eq!(old.receive(1), b"a");
    let inode = listening_inode(port.address);

    let drained = [with(leaving.address, "drain = true"), plain(staying.address)];
    proxy.declare(&route(port.address, &drained, "balance = 'first'")).unwrap();

    for _ in 0..10 {
        assert_eq!(carried_to(&proxy), staying.address);
    }
    old.send(b"b");
    assert_eq!(old.receive(1), b"b");
    assert_eq!(proxy.only_session().target().to_string(), leaving.address.to_string());
    assert_eq!(listening_inode(port.address), inode, "the listener stays");
}

#[test]
fn a_target_that_comes_with_a_reload_moves_few_clients_and_no_session() {
    let targets = [Target::echo(), Target::echo(), Target::echo()];
    let [a, b, c] = targets.each_ref().map(|target| target.address);
    let port = ClosedPort::port();
    let hash = "balance = 'source_hash'";
    let proxy = Proxy::builder().with(&route(port.address, &[plain(a), plain(b)], hash));
    let clients: Vec<Ipv4Addr> = (0..60).map(|n| Ipv4Addr::new(127, 9, 0, 1 + n)).collect();
    let carried = || -> Vec<SocketAddr> {
        let carried = |ip: &Ipv4Addr| {
            visit(from(*ip, port.address));
            reached(&proxy)
        };
        clients.iter().map(carried).collect()
    };
    let before = carried();
    assert_eq!(carried(), before, "each client comes to its own target again");
    let mut session = from(clients[0], port.address);
    session.send(b"a");
    assert_eq!(session.receive(1), b"a");

    proxy.declare(&route(port.address, &[plain(c), plain(a), plain(b)], hash)).unwrap();

    let after = carried();
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    // A third on average; which third hangs on the ports the kernel gave.
    assert!(moved.iter().all(|(_, after)| **after == c), "between the others nobody moves");
    assert!((1..=40).contains(&moved.len()), "{} of 60 moved", moved.len());
    session.send(b"b");
    assert_eq!(session.receive(1), b"b");
}

#[test]
fn behind_a_proxy_the_address_it_names_decides() {
    let targets = [Target::echo(), Target::echo(), Target::echo()];
    let plain = targets.each_ref().map(|target| plain(target.address));
    let proxy = proxy(&plain, "balance = 'source_hash'\naccept_proxy = '127.0.0.1'");
    let carried = |n: u8| {
        let mut client = proxy.connect();
        client.send(format!("PROXY TCP4 192.0.2.{n} 192.0.2.200 4000 80\r\n").as_bytes());
        visit(client);
        reached(&proxy)
    };

    let first: Vec<SocketAddr> = (0..16).map(carried).collect();
    let again: Vec<SocketAddr> = (0..16).map(carried).collect();

    assert_eq!(first, again);
    assert!(first.iter().any(|target| *target != first[0]), "all of sixteen at one of three");
}

#[test]
fn clients_are_held_until_one_of_several_targets_is_back() {
    let (down, back) = (ClosedPort::port(), ClosedPort::port());
    let proxy = proxy(&[plain(down.address), plain(back.address)], "wait_for_target = '1h'");
    let mut clients: Vec<Connection> = (0..5).map(|_| proxy.connect()).collect();
    wait_until("all are there", || (proxy.live().len() == 5).then_some(()));

    let _target = Target::echo_on(back.address);

    for client in &mut clients {
        client.send(b"x");
        assert_eq!(client.receive(1), b"x");
    }
}

#[test]
fn a_target_that_swallows_every_packet_costs_its_clients_one_timeout() {
    let silent = ClosedPort::port();
    let address = silent.address;
    let _full = silent.fill_up();
    let echo = Target::echo();
    let proxy = proxy(&[plain(address), plain(echo.address)], "balance = 'first'\nconnect_timeout = '100ms'");

    assert_eq!(carried_to(&proxy), echo.address);
    // Then its state is known, and it is tried last.
    wait_until("the silent one is known", || {
        visit(proxy.connect());
        (proxy.record().outcome.attempts.len() == 1).then_some(())
    });
}

#[test]
fn ranges_in_a_list_pair_up_port_by_port() {
    let echoes = [Target::echo(), Target::echo()];
    let [first, second] = echoes.each_ref().map(|echo| echo.address);
    let range = |address: SocketAddr| format!("'127.0.0.1:{}-{}'", address.port(), address.port());
    let proxy = proxy(&[range(first), range(second)], "");

    let targets = &proxy.declared.listening[0].targets;

    assert_eq!(
        targets.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [first, second].map(|it| it.to_string())
    );
    assert_ne!(carried_to(&proxy), carried_to(&proxy));
}

#[test]
fn a_target_of_an_ipv6_list_and_a_name_are_reached_too() {
    let (v6, named) = (Target::echo_on("[::1]:0".parse().unwrap()), Target::echo());
    let localhost = format!("'localhost:{}'", named.address.port());
    let proxy = proxy(&[plain(v6.address), localhost], "");

    let reached = [carried_to(&proxy), carried_to(&proxy)];

    assert!(reached.contains(&v6.address));
    assert!(
        reached.iter().any(|it| it.port() == named.address.port() && it.ip() != IpAddr::from([0, 0, 0, 0]))
    );
}
