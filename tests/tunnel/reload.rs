//! Permissions that change while the tunnel runs.

use rustix::process::Signal;

use crate::harness::{Close, ClosedPort, Connection, Target, wait_until};
use crate::pair::{Pair, let_in, message, refuses};

fn route(name: &str, port: &ClosedPort, service: &Target) -> String {
    format!("[routes.{name}]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address)
}

fn may(ports: &[&ClosedPort]) -> String {
    let ports: Vec<String> = ports.iter().map(|port| format!("\"{}\"", port.address)).collect();
    format!("may_listen = [{}]", ports.join(", "))
}

fn echoes(visitor: &mut Connection) {
    visitor.send(b"still here?");
    assert_eq!(visitor.receive(11), b"still here?");
}

#[test]
fn a_key_that_is_withdrawn_takes_everything_with_it_and_nothing_else() {
    let (service, port, other_port) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let mut pair = Pair::start(&may(&[&port]), "", &route("web", &port, &service));
    let (mut office, office_key) = pair.another("office", &route("web", &other_port, &service));
    let office_there = let_in("office", &office_key, &may(&[&other_port]));
    pair.permit(&may(&[&port]), &office_there);
    office.state("vps", "up");
    let visitors = pair.there("web");
    // One after the other: how many carriers may be dialled at once is limited.
    let echoing = || {
        let mut visitor = Connection::to(visitors);
        echoes(&mut visitor);
        visitor
    };
    let sessions: Vec<_> = (0..100).map(|_| echoing()).collect();
    let elsewhere = pair.vps.forwarding("tunnel:office/web");
    let mut untouched = Connection::to(elsewhere);
    echoes(&mut untouched);

    pair.vps.save(&office_there);
    pair.vps.program.signal(Signal::HUP);

    for mut visitor in sessions {
        assert_eq!(visitor.receive_close(), Close::Reset);
    }
    for end in [&mut pair.vps, &mut pair.home] {
        for record in end.recorded(100) {
            assert_eq!(record["end"], "revoked", "{record}");
        }
    }
    refuses(visitors);
    let down = pair.home.state("vps", "down");
    echoes(&mut untouched);
    echoes(&mut Connection::to(elsewhere));

    // It keeps on trying, and is not let in.
    let tries = pair.relay.count();
    wait_until("it tries again", || (pair.relay.count() > tries + 1).then_some(()));
    assert_eq!(pair.home.times("vps", "up"), 1, "{}", message(&down));

    pair.permit(&may(&[&port]), &office_there);
    wait_until("it is let in again", || (pair.home.times("vps", "up") == 2).then_some(()));
    assert_eq!((office.times("vps", "up"), office.times("vps", "down")), (1, 0));
}

#[test]
fn narrower_and_wider_permissions_count_at_once_without_a_new_tunnel() {
    let (service, port, kept) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let routes = route("web", &port, &service) + &route("kept", &kept, &service);
    let mut pair = Pair::start(&may(&[&port, &kept]), "", &routes);
    let (visitors, beside) = (pair.there("web"), pair.there("kept"));
    let mut session = Connection::to(visitors);
    echoes(&mut session);

    pair.permit(&may(&[&kept]), "");
    refuses(visitors);
    echoes(&mut session);
    echoes(&mut Connection::to(beside));

    pair.permit(&may(&[&port, &kept]), "");
    let mut again = wait_until("it listens again", || Connection::try_to(visitors).ok());
    echoes(&mut again);
    echoes(&mut session);
    assert_eq!((pair.home.times("vps", "up"), pair.home.times("vps", "down")), (1, 0));
}

#[test]
fn a_route_that_may_not_listen_there_is_told_at_both_ends_and_others_listen() {
    let (service, port, kept) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let routes = route("web", &port, &service) + &route("kept", &kept, &service);
    let mut pair = Pair::start(&may(&[&kept]), "", &routes);

    echoes(&mut Connection::to(pair.there("kept")));

    let address = port.address.to_string();
    // The line to add there is printed at the end that may not.
    for end in [&mut pair.home, &mut pair.vps] {
        end.line("the line to add", |line| {
            message(line).contains("may_listen") && message(line).contains(&address)
        });
    }
    refuses(port.address);
}
