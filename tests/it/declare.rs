//! What a declaration does to sockets: kept while their address is wanted, moved between routes, closed in order.

use std::net::SocketAddr;
use std::thread;

use loopgate::address::ListenAddress;
use loopgate::engine::Refused;
use loopgate::outcome::End;
use loopgate::probe::sockets::listening;

use crate::harness::{Closed, Ending, Gate, Target, Wire, listening_inode};

fn route(name: &str, listen: SocketAddr, target: &Target) -> String {
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{}'\n", target.address)
}

/// The same port on another address.
fn on(ip: &str, port: SocketAddr) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port.port())
}

#[test]
fn an_address_that_moves_to_another_route_keeps_its_socket() {
    let (one, two, port) = (Target::greeting(b"1"), Target::greeting(b"2"), Closed::port());
    let gate = Gate::builder().with(&route("one", port.address, &one));
    let inode = listening_inode(port.address).unwrap();

    let declared = gate.declare(&route("two", port.address, &two)).unwrap();

    assert_eq!((declared.change.added.len(), declared.change.removed.len()), (1, 1));
    assert_eq!(listening_inode(port.address), Some(inode));
    assert_eq!(Wire::to(port.address).hear(1), b"2");
}

#[test]
fn a_specific_address_and_every_address_replace_each_other() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    for (specific, every) in [("127.0.0.1", "0.0.0.0"), ("::1", "::")] {
        let port = Closed::port_of_every_address(specific);
        let gate = Gate::builder().with(&route("one", port.address, &one));
        for (ip, target, words) in [(every, &two, b"2"), (specific, &one, b"1"), (every, &two, b"2")] {
            let address = on(ip, port.address);

            gate.declare(&route("one", address, target)).unwrap();

            assert_eq!(Wire::to(port.address).hear(1), words, "{address}");
            assert!(listening_inode(address).is_some());
            let other = on(if ip == every { specific } else { every }, port.address);
            assert_eq!(listening_inode(other), None, "{other} is left open");
        }
    }
}

#[test]
fn after_an_overlap_the_port_is_as_taken_as_before() {
    let (one, port) = (Target::greeting(b"1"), Closed::port_of_every_address("127.0.0.1"));
    let gate = Gate::builder().with(&route("one", port.address, &one));
    let every = on("0.0.0.0", port.address);

    gate.declare(&route("one", every, &one)).unwrap();

    for address in [every, port.address] {
        assert!(std::net::TcpListener::bind(address).is_err(), "a second copy would get some of the clients");
    }
}

#[test]
fn a_port_that_the_kernel_chose_is_not_given_to_a_second_route() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let any = "127.0.0.1:0".parse().unwrap();
    let gate = Gate::builder().with(&route("one", any, &one));

    let both = route("one", any, &one) + &route("two", gate.address, &two);
    let refused = gate.declare(&both).unwrap_err();

    assert!(
        matches!(&refused, Refused::Bind(failures) if failures[0].address == gate.address.into()),
        "{refused}"
    );
    for _ in 0..20 {
        assert_eq!(Wire::to(gate.address).hear(1), b"1");
    }
}

#[test]
fn one_address_that_is_taken_refuses_the_whole_declaration() {
    let (target, new) = (Target::greeting(b"1"), Closed::port());
    let gate = Gate::to(target.address);
    let taken = [Target::echo(), Target::echo()];
    let any = "127.0.0.1:0".parse().unwrap();

    let mut text = route("test", any, &target) + &route("new", new.address, &target);
    text += &(route("a", taken[0].address, &target) + &route("b", taken[1].address, &target));
    let refused = gate.declare(&text).unwrap_err();

    let Refused::Bind(mut failures) = refused else { panic!("{refused}") };
    failures.sort_by_key(|it| it.route.to_string());
    assert_eq!(
        failures.iter().map(|it| it.address.clone()).collect::<Vec<_>>(),
        taken.each_ref().map(|it| ListenAddress::from(it.address))
    );
    assert!(!listening(new.address).unwrap(), "it runs half");
    assert_eq!(gate.connect().hear(1), b"1");
}

#[test]
fn sessions_of_a_route_that_goes_live_on_and_nobody_new_gets_in() {
    let (old, new) = (Target::echo(), Target::greeting(b"new"));
    let gate = Gate::to(old.address);
    let mut client = gate.connect();
    client.say(b"before");
    assert_eq!(client.hear(6), b"before");

    gate.declare(&route("other", "127.0.0.1:0".parse().unwrap(), &new)).unwrap();

    assert!(Wire::try_to(gate.address).is_err());
    client.say(b"after");
    assert_eq!(client.hear(5), b"after");
    client.finish();
    assert_eq!(client.hear_end(), Ending::Fin);
    let record = gate.record();
    assert_eq!((&*record.route, record.outcome.end), ("test", End::Done));
}

#[test]
fn who_waited_in_the_accept_queue_of_a_route_that_goes_is_served() {
    let (old, new) = (Target::greeting(b"old"), Target::greeting(b"new"));
    let port = Closed::port();
    for _ in 0..20 {
        let gate = Gate::builder().with(&route("old", port.address, &old));
        thread::scope(|scope| {
            let waiting: Vec<Wire> = (0..50).map(|_| Wire::to(port.address)).collect();
            scope.spawn(|| gate.declare(&route("other", "127.0.0.1:0".parse().unwrap(), &new)).unwrap());
            for mut client in waiting {
                assert_eq!(client.hear(3), b"old");
            }
        });
    }
}
