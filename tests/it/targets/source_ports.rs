//! The source ports towards one target are limited: their exhaustion is named, is not attributed to the target, and
//! passes.

use std::fs;
use std::net::SocketAddr;

use loopgate::outcome::{Cause, End};

use crate::harness::datagrams::client as datagrams_to;
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

#[test]
fn a_source_that_is_no_address_of_this_machine_is_not_called_a_lack_of_ports() {
    let target = Target::echo();
    // The first is of documentation (RFC 5737) and of no interface; the second reaches no other machine.
    for (source, to) in [("192.0.2.77", target.address.to_string()), ("127.0.0.1", "192.0.2.1:9".to_owned())]
    {
        let route = format!("routes.test = {{listen = '127.0.0.1:0', target = '{to}', source = '{source}'}}");
        let proxy = Proxy::builder().with(&route);

        assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));

        let record = proxy.record();
        assert_eq!(record.outcome.end, End::NoTarget(Cause::NoSourceAddress), "{record}");
        assert!(record.to_string().contains("correct `source`"), "{record}");
    }
}

#[test]
fn nor_is_that_of_datagrams() {
    let route = "listen = '127.0.0.1:0', target = '127.0.0.1:9', source = '192.0.2.77', protocol = 'udp'";
    let proxy = Proxy::builder().with(&format!("routes.test = {{{route}}}"));

    datagrams_to(proxy.address).send(b"question").unwrap();

    assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::NoSourceAddress));
}

#[test]
#[ignore = "needs root"]
fn a_machine_without_ipv6_is_not_said_to_lack_ports_towards_it() {
    namespace::alone(
        "targets::source_ports::a_machine_without_ipv6_is_not_said_to_lack_ports_towards_it",
        || {
            fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
            let proxy = Proxy::builder().with("routes.test = {listen = '127.0.0.1:0', target = '[::1]:9'}");

            assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));

            assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::NoSourceAddress));
        },
    );
}

#[test]
#[ignore = "needs root and nft"]
fn what_a_firewall_on_the_way_prohibits_is_not_called_a_policy_of_ours() {
    let name = "targets::source_ports::what_a_firewall_on_the_way_prohibits_is_not_called_a_policy_of_ours";
    namespace::alone(name, || {
        let rules = "add table ip6 t; add chain ip6 t c { type filter hook input priority 0; }; \
                     add rule ip6 t c meta l4proto { tcp, udp } th dport 9 reject with icmpv6 type admin-prohibited";
        assert!(std::process::Command::new("nft").arg(rules).status().unwrap().success());
        let stream = Proxy::builder().with("routes.test = {listen = '127.0.0.1:0', target = '[::1]:9'}");
        let udp = "routes.test = {listen = '127.0.0.1:0', target = '[::1]:9', protocol = 'udp'}";
        let datagrams = Proxy::builder().with(udp);

        assert!(Connection::is_reset_at_once("127.0.0.1", stream.address));
        datagrams_to(datagrams.address).send(b"question").unwrap();

        for proxy in [stream, datagrams] {
            assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::Unreachable));
        }
    });
}
