//! An end that dies: its visitors and services are reset, nothing is left behind, and the tunnel comes back.

use std::net::SocketAddr;
use std::thread;

use crate::harness::{Close, ClosedPort, Connection, Target, wait_until};
use crate::pair::Pair;

/// How many sessions are in the tunnel when an end dies.
const SESSIONS: usize = 50;

/// A visitor and its connection at the service.
type Session = (Connection, Connection);

fn connected(visitors: SocketAddr, service: &Target) -> Session {
    let mut visitor = Connection::to(visitors);
    visitor.send(b"?");
    let mut there = service.accept();
    assert_eq!(there.receive(1), b"?");
    (visitor, there)
}

/// How each connection of one side ends.
fn ends(connections: impl Iterator<Item = Connection>) -> Vec<Close> {
    let threads: Vec<_> = connections.map(|mut it| thread::spawn(move || it.receive_close())).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn reverse(service: &Target, port: &ClosedPort) -> Pair {
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route)
}

#[test]
fn visitors_are_reset_when_the_machine_behind_the_tunnel_dies() {
    let (service, port) = (Target::manual(), ClosedPort::port());
    let mut pair = reverse(&service, &port);
    let visitors = pair.there("web");
    let before = pair.vps.program.descriptors();
    let sessions: Vec<_> = (0..SESSIONS).map(|_| connected(visitors, &service)).collect();

    pair.home.kill();

    let (there, _services): (Vec<_>, Vec<_>) = sessions.into_iter().unzip();
    assert_eq!(ends(there.into_iter()), [Close::Reset; SESSIONS]);
    for record in pair.vps.recorded(SESSIONS) {
        assert_eq!(record["end"], "tunnel_lost", "{record}");
    }
    wait_until("its descriptors are given back", || (pair.vps.program.descriptors() <= before).then_some(()));
    pair.vps.state("home", "down");

    pair.home.restart();
    pair.home.state("vps", "up");
    wait_until("a visitor is served again", || {
        let mut visitor = Connection::try_to(visitors).ok()?;
        visitor.try_send(b"?").ok()?;
        service.try_accept()
    });
}

#[test]
fn services_are_reset_when_the_machine_in_front_of_the_tunnel_dies() {
    let (service, port) = (Target::manual(), ClosedPort::port());
    let mut pair = reverse(&service, &port);
    let visitors = pair.there("web");
    let before = pair.home.program.descriptors();
    let sessions: Vec<_> = (0..SESSIONS).map(|_| connected(visitors, &service)).collect();

    pair.vps.kill();

    let (_visitors, services): (Vec<_>, Vec<_>) = sessions.into_iter().unzip();
    assert_eq!(ends(services.into_iter()), [Close::Reset; SESSIONS]);
    for record in pair.home.recorded(SESSIONS) {
        assert_eq!(record["end"], "tunnel_lost", "{record}");
    }
    wait_until("its descriptors are given back", || {
        (pair.home.program.descriptors() <= before).then_some(())
    });
    pair.home.state("vps", "down");

    // It is dialled again, for ever, and listens at the same address.
    pair.vps.restart();
    assert_eq!(pair.there("web"), visitors);
    drop(connected(visitors, &service));
}

#[test]
fn a_way_that_is_cut_resets_both_sides_of_every_session() {
    let (service, port) = (Target::manual(), ClosedPort::port());
    let mut pair = reverse(&service, &port);
    let visitors = pair.there("web");
    let sessions: Vec<_> = (0..5).map(|_| connected(visitors, &service)).collect();

    pair.relay.cut();

    let (there, services): (Vec<_>, Vec<_>) = sessions.into_iter().unzip();
    assert_eq!(ends(there.into_iter().chain(services)), [Close::Reset; 10]);
    for end in [&mut pair.vps, &mut pair.home] {
        for record in end.recorded(5) {
            assert_eq!(record["end"], "tunnel_lost", "{record}");
        }
    }
    wait_until("the tunnel is up again", || (pair.home.times("vps", "up") == 2).then_some(()));
    drop(connected(visitors, &service));
}
