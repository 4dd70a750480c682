//! Ports at the other end that somebody else has.

use std::net::TcpListener;

use crate::harness::{Connection, Target, wait_until};
use crate::pair::{Pair, message};

#[test]
fn a_port_that_is_taken_there_is_told_once_and_listened_on_once_it_is_free() {
    let service = Target::echo();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, free) = (holder.local_addr().unwrap(), crate::harness::ClosedPort::port());
    let route = |name: &str, at| {
        format!("[routes.{name}]\nlisten = \"tunnel:vps/{at}\"\ntarget = \"{}\"\n", service.address)
    };
    let routes = route("web", taken) + &route("beside", free.address);
    let permits = format!("may_listen = [\"{taken}\", \"{}\"]", free.address);
    let mut pair = Pair::start(&permits, "", &routes);

    let mut visitor = Connection::to(pair.there("beside"));
    visitor.send(b"x");
    assert_eq!(visitor.receive(1), b"x");
    let is_told = |line: &serde_json::Value| {
        matches!(line["level"].as_str(), Some("warn" | "WARN" | "error" | "ERROR"))
            && message(line).contains(&taken.to_string())
    };
    pair.home.line("the port is taken there", is_told);

    drop(holder);
    wait_until("it listens once the port is free", || Connection::try_to(taken).ok().map(drop));
    assert_eq!(pair.there("web"), taken);
    let mut visitor = Connection::to(taken);
    visitor.send(b"y");
    assert_eq!(visitor.receive(1), b"y");
    let told = pair.home.lines().iter().filter(|line| is_told(line)).count();
    assert_eq!(told, 1, "it is told once");
}
