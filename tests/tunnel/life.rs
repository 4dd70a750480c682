//! Which of two machines with one key is let in.

use crate::harness::{ClosedPort, Connection, Target, wait_until};
use crate::pair::{Pair, says};

fn route(port: &ClosedPort, service: &Target) -> String {
    format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address)
}

fn permits(port: &ClosedPort) -> String {
    format!("may_listen = [\"{}\"]", port.address)
}

#[test]
fn a_second_machine_with_the_same_key_is_told_and_the_first_stays() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let mut pair = Pair::start(&permits(&port), "", &route(&port, &service));
    let visitors = pair.there("web");
    let way = pair.another_way();

    let mut second = pair.twin("second", &way, &route(&port, &service));

    second.line("it is told that the key is in use", |line| says(line, "in_use") || says(line, "in use"));
    pair.home
        .line("it is told of the second", |line| says(line, "tunnel-in-use") && says(line, "127.0.0.1:"));
    Connection::to(visitors).expect_whole_echo(1, 10_000);
    assert_eq!(second.times("vps", "up"), 0);
    assert_eq!((pair.home.times("vps", "up"), pair.home.times("vps", "down")), (1, 0));
}

#[test]
fn a_machine_that_comes_back_on_another_way_has_its_port_at_once() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let mut pair = Pair::start(&permits(&port), "", &route(&port, &service));
    let visitors = pair.there("web");
    // As when it changes its network: the connections of before are neither closed nor answered.
    pair.relay.hold();
    let way = pair.another_way();

    let mut again = pair.twin("again", &way, &route(&port, &service));

    again.state("vps", "up");
    let mut visitor = wait_until("a visitor is served", || {
        let mut visitor = Connection::try_to(visitors).ok()?;
        visitor.try_send(b"x").ok()?;
        (visitor.try_receive(&mut [0]).ok()? == 1).then_some(visitor)
    });
    visitor.send(b"y");
    assert_eq!(visitor.receive(1), b"y");
    let taken = pair.vps.lines().iter().filter(|line| says(line, "does NOT listen")).count();
    assert_eq!(taken, 0, "its own port was taken");
}
