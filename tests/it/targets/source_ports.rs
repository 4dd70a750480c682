//! The source ports towards one target are limited: their exhaustion is named, is not attributed to the target, and
//! passes.

use std::fs;
use std::net::SocketAddr;

use loopgate::outcome::{Cause, End};

use crate::harness::{Close, Connection, Proxy, Target, namespace};

/// How many source ports the namespace has left towards one address.
const PORTS: usize = 20;

/// Leaves few ports to the kernel's choice. The test's own connections use a separate source address.
fn leave_few_ports() {
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", format!("40000 {}", 40_000 + PORTS - 1)).unwrap();
}

/// Clients from 127.0.0.9, whose ports are counted apart, to a proxy whose port is outside the range.
fn client(proxy: SocketAddr, n: u16) -> Connection {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let from: SocketAddr = ([127, 0, 0, 9], 20_000 + n).into();
    bind(&socket, &from).unwrap();
    connect(&socket, &proxy).unwrap();
    std::net::TcpStream::from(socket).into()
}

fn proxy(target: &Target, more: &str) -> Proxy {
    let listen: SocketAddr = ([127, 0, 0, 1], 10_080).into();
    let route = format!("listen = '{listen}', target = '{}'{more}", target.address);
    Proxy::builder().with(&format!("routes.test = {{{route}}}"))
}

#[test]
#[ignore = "needs root"]
fn the_end_of_source_ports_is_named_and_passes() {
    namespace::alone("targets::source_ports::the_end_of_source_ports_is_named_and_passes", || {
        leave_few_ports();
        let target = Target::manual_on(([127, 0, 0, 1], 10_081).into());
        let proxy = proxy(&target, "");
        let mut held: Vec<(Connection, Connection)> =
            (0..PORTS as u16).map(|n| (client(proxy.address, n), target.accept())).collect();

        assert_eq!(client(proxy.address, 100).receive_close(), Close::Reset);
        let record = proxy.record();
        assert_eq!(record.outcome.end, End::NoTarget(Cause::NoSourcePort));
        assert!(record.to_string().contains("source"), "{record}");

        // The target is not at fault: it counts as up, and the first freed port is used.
        let (client_end, served) = held.pop().unwrap();
        served.reset();
        drop(client_end);
        proxy.record();
        let mut again = client(proxy.address, 101);
        target.accept().send(b"again");
        assert_eq!(again.receive(5), b"again");
    });
}

#[test]
#[ignore = "needs root"]
fn further_source_addresses_bring_their_own_ports() {
    namespace::alone("targets::source_ports::further_source_addresses_bring_their_own_ports", || {
        leave_few_ports();
        let target = Target::manual_on(([127, 0, 0, 1], 10_081).into());
        let proxy = proxy(&target, ", source = ['127.0.0.2', '127.0.0.3', '127.0.0.4']");

        let held: Vec<(Connection, Connection)> =
            (0..3 * PORTS as u16).map(|n| (client(proxy.address, n), target.accept())).collect();

        for (_, served) in &held {
            assert!(["127.0.0.2", "127.0.0.3", "127.0.0.4"].contains(&&*served.peer().ip().to_string()));
        }
        assert_eq!(client(proxy.address, 200).receive_close(), Close::Reset);
        assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::NoSourcePort));
    });
}
