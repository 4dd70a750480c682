//! Flows and their sockets over a start, a reload and a stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use loopgate::outcome::End;

use super::{proxy, route};
use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, receive, receive_from, socket};
use crate::harness::{Program, Target, wait_until};

#[test]
fn a_reload_keeps_sockets_and_flows() {
    let (before, after) = (EchoDatagrams::start(), socket("127.0.0.1:0"));
    let proxy = proxy(before.address, "");
    let listen = proxy.address;
    let declare = |target: SocketAddr| {
        let fixed = route(target, "").replace("127.0.0.1:0", &listen.to_string());
        proxy.declare(&fixed).unwrap()
    };
    declare(before.address);
    let old = client(listen);
    ask(&old, b"x");

    declare(after.local_addr().unwrap());

    assert_eq!(ask(&old, b"the old flow"), b"the old flow", "it keeps its target");
    let new = client(listen);
    new.send(b"the new").unwrap();
    assert_eq!(receive(&after), b"the new");
}

#[test]
fn a_removed_route_takes_no_new_client_and_lets_its_flows_live() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "");
    let listen = proxy.address;
    let old = client(listen);
    ask(&old, b"x");
    let other = route(echo.address, "").replace("routes.test", "routes.other");

    proxy.declare(&other).unwrap();
    let new = client(listen);
    let _ = new.send(b"new");
    assert_eq!(ask(&old, b"lives"), b"lives");
    assert!(is_silent(&new));

    let again = route(echo.address, "").replace("127.0.0.1:0", &listen.to_string());
    proxy.declare(&again).unwrap_or_else(|refused| panic!("{refused}"));
    let late = client(listen);
    assert_eq!(ask(&late, b"back in service"), b"back in service");
}

#[test]
fn the_port_of_a_removed_route_is_free_once_its_flows_have_ended() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "idle_timeout = '200ms'");
    let listen = proxy.address;
    ask(&client(listen), b"x");
    let other = route(echo.address, "").replace("routes.test", "routes.other");

    proxy.declare(&other).unwrap();

    assert_eq!(proxy.record().outcome.end, End::Idle);
    wait_until("the port is free", || std::net::UdpSocket::bind(listen).ok());
}

#[test]
fn a_wildcard_takes_over_from_a_specific_address_without_a_gap() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "");
    let specific = proxy.address;
    let wildcard = route(echo.address, "").replace("127.0.0.1:0", &format!("0.0.0.0:{}", specific.port()));
    ask(&client(specific), b"x");

    proxy.declare(&wildcard).unwrap_or_else(|refused| panic!("{refused}"));
    let elsewhere = SocketAddr::new("127.0.0.9".parse().unwrap(), specific.port());
    let new = client(elsewhere);

    assert_eq!(ask(&new, b"new"), b"new");
}

#[test]
fn a_new_client_of_the_specific_address_is_served_while_old_flows_keep_its_socket_open() {
    let (before, after) = (EchoDatagrams::start(), socket("127.0.0.1:0"));
    let proxy = proxy(before.address, "");
    let specific = proxy.address;
    let everywhere = format!("0.0.0.0:{}", specific.port());
    let wide = |target| route(target, "").replace("127.0.0.1:0", &everywhere);
    let old = client(specific);
    ask(&old, b"x");

    proxy.declare(&wide(before.address)).unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(ask(&client(specific), b"new"), b"new", "it reaches the socket of the old flow");
    assert_eq!(ask(&old, b"the old flow"), b"the old flow");
    proxy.declare(&wide(after.local_addr().unwrap())).unwrap();
    let newer = client(specific);
    newer.send(b"newer").unwrap();
    assert_eq!(receive(&after), b"newer", "it follows the wide one");

    let elsewhere = route(before.address, "").replace("routes.test", "routes.other");
    proxy.declare(&elsewhere).unwrap();
    let last = client(specific);
    let _ = last.send(b"last");
    assert!(is_silent(&last), "with the wide socket it closes too");
    assert_eq!(ask(&old, b"lives"), b"lives");
}

#[test]
fn a_socket_that_only_old_flows_need_is_closed_after_the_last() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "idle_timeout = '200ms'");
    let specific = proxy.address;
    ask(&client(specific), b"x");

    let everywhere = format!("0.0.0.0:{}", specific.port());
    let wide = route(echo.address, "").replace("127.0.0.1:0", &everywhere);
    proxy.declare(&wide).unwrap_or_else(|refused| panic!("{refused}"));

    let sockets = || loopgate::probe::sockets::udp_on_port(specific.port()).rows.len();
    wait_until("one socket is left", || (sockets() == 1).then_some(()));
    assert_eq!(ask(&client(specific), b"new"), b"new");
}

#[test]
fn a_stop_waits_for_the_answer_that_is_due_and_not_for_quiet_flows() {
    let target = socket("127.0.0.1:0");
    let proxy = Arc::new(proxy(target.local_addr().unwrap(), ""));
    let client = client(proxy.address);
    client.send(b"question").unwrap();
    let (_, flow) = receive_from(&target);

    let stopping = proxy.clone();
    let stop = thread::spawn(move || stopping.stop(Duration::from_secs(60)));
    target.send_to(b"answer", flow).unwrap();

    assert_eq!(receive(&client), b"answer");
    assert_eq!(stop.join().unwrap(), 0, "nothing had to be cut off");
    assert_eq!(proxy.record().outcome.end, End::Drained);
}

#[test]
fn a_taken_port_is_exit_4_and_tells_its_holder() {
    let taken = socket("127.0.0.1:0");
    let spec = format!("{}:9/udp", taken.local_addr().unwrap());

    let mut program = Program::start(["run", "-L", &spec]);

    assert_eq!(program.exit_code(), Some(4));
    let said = program.log().join("\n");
    assert!(said.contains(&format!("pid {}", std::process::id())), "{said}");
}

#[test]
fn tcp_and_udp_share_a_port() {
    let (datagrams, stream) = (EchoDatagrams::start(), Target::echo());
    // Another test's connection may have the number of the port: then another is tried.
    let proxy = wait_until("a port that is free for both", || {
        let proxy = proxy(datagrams.address, "");
        let tcp = format!("[routes.tcp]\nlisten = '{}'\ntarget = '{}'\n", proxy.address, stream.address);
        let udp = route(datagrams.address, "").replace("127.0.0.1:0", &proxy.address.to_string());
        proxy.declare(&(tcp + &udp)).ok().map(|_| proxy)
    });

    let mut connection = proxy.connect();
    connection.send(b"bytes");
    assert_eq!(connection.receive(5), b"bytes");
    assert_eq!(ask(&client(proxy.address), b"datagram"), b"datagram");
}
