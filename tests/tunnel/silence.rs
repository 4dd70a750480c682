//! A way on which nothing passes for a while, or passes late.

use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{ClosedPort, Connection, Target, wait_until};
use crate::pair::Pair;

#[test]
fn a_tunnel_whose_way_falls_silent_is_down_and_comes_back_while_its_port_refuses_nobody() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]\nping = \"1s\"", port.address), "", &route);
    let visitors = pair.there("web");

    pair.relay.hold();
    pair.home.state("vps", "down");
    pair.vps.state("home", "down");
    drop(TcpStream::connect(visitors).unwrap());

    pair.relay.release();
    wait_until("the tunnel is up again", || (pair.home.times("vps", "up") == 2).then_some(()));
    Connection::to(visitors).expect_whole_echo(1, 100_000);
}

#[test]
fn a_way_that_takes_long_loses_nothing() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route);
    let visitors = pair.there("web");
    pair.relay.delay(Duration::from_millis(50));

    for seed in 0..4 {
        Connection::to(visitors).expect_whole_echo(seed, 200_000);
    }

    for end in [&mut pair.vps, &mut pair.home] {
        for record in end.recorded(4) {
            assert_eq!(record["end"], "done", "{record}");
        }
    }
}
