//! One port for a web site and for a tunnel: an ordinary route tells them apart, and names who connects to each.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;

use rustix::process::Signal;

use crate::harness::tls::{Authority, TlsConnection};
use crate::harness::{ClosedPort, Connection, Target, wait_until};
use crate::pair::{Pair, message};

/// How many connections of one address the tunnel's listener takes before their key is proven.
const MAX_PER_ADDRESS: usize = 8;

/// The front with a web site behind it, which ends TLS and reads the header, and the tunnel.
struct Front {
    pair: Pair,
    port: SocketAddr,
    authority: Authority,
    _web: Target,
    _ports: [ClosedPort; 3],
}

impl Front {
    fn start(service: &Target) -> Front {
        let (front, site, visitors) = (ClosedPort::port(), ClosedPort::port(), ClosedPort::port());
        let authority = Authority::new();
        authority.issue("site", &["localhost"]);
        let web = Target::echo();
        let vps_routes = format!(
            "[routes.front]\nlisten = \"{}\"\ntarget = \"{}\"\nsend_proxy = \"v2\"\nalpn = {{ \"loopgate/1\" = \"LISTENER\" }}\n\
             [routes.site]\nlisten = \"{}\"\ntarget = \"{}\"\naccept_proxy = [\"127.0.0.1\"]\ntls = {{ {} }}\n",
            front.address,
            site.address,
            site.address,
            web.address,
            authority.tls("site")
        );
        let home_routes = format!(
            "[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n",
            visitors.address, service.address
        );
        let permits = format!("may_listen = [\"{}\"]", visitors.address);
        let pair = Pair::start_behind(Some(front.address), &permits, &vps_routes, &home_routes);
        Front { pair, port: front.address, authority, _web: web, _ports: [front, site, visitors] }
    }
}

#[test]
fn a_web_site_and_a_tunnel_share_a_port_and_everyone_keeps_the_true_address() {
    let service = Target::echo();
    let mut front = Front::start(&service);

    let mut browser = TlsConnection::naming("localhost", front.port, &front.authority.client(None));
    let browser_address = browser.tls.sock.local_addr().unwrap().to_string();
    browser.send(b"GET");
    assert_eq!(browser.receive(3), b"GET");
    drop(browser);
    let mut visitor = Connection::to(front.pair.there("web"));
    let visitor_address = visitor.local().to_string();
    visitor.send(b"hello");
    assert_eq!(visitor.receive(5), b"hello");
    drop(visitor);

    // The machine at home is known by the address from which it came to the front, as the front's own record has it.
    let up = front.pair.vps.state("home", "up");
    let from = message(&up).split_once(" from=").unwrap().1.split(' ').next().unwrap().to_owned();
    front.pair.home.program.signal(Signal::TERM);
    assert_eq!(front.pair.home.program.exit_code(), Some(0));
    let of_front = |records: &[serde_json::Value], route: &str| -> BTreeSet<String> {
        let of_route = records.iter().filter(|record| record["route"] == route);
        of_route.map(|record| record["client"].as_str().unwrap().to_owned()).collect()
    };
    wait_until("the front's records of both", || {
        let records = front.pair.vps.records();
        let clients = of_front(&records, "front");
        (clients.contains(&from) && clients.contains(&browser_address)).then_some(())
    });
    assert_eq!(of_front(&front.pair.vps.records(), "site"), BTreeSet::from([browser_address]));
    assert_eq!(of_front(&front.pair.home.records(), "web"), BTreeSet::from([visitor_address]));
}

/// A connection of the proxy that names an address, and then says nothing.
fn named(listener: SocketAddr, address: &str) -> Connection {
    let mut proxy = Connection::to(listener);
    proxy.send(format!("PROXY TCP4 {address} 198.51.100.2 40000 443\r\n").as_bytes());
    proxy
}

fn is_closed(connection: &Connection) -> bool {
    let stream = connection.stream();
    stream.set_nonblocking(true).unwrap();
    let seen = stream.peek(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    !matches!(seen, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn strangers_behind_a_proxy_are_limited_by_their_own_address_and_not_by_the_proxys() {
    let service = Target::echo();
    let front = Front::start(&service);
    let listener = front.pair.listener();

    let many: Vec<_> = (0..=MAX_PER_ADDRESS).map(|_| named(listener, "192.0.2.5")).collect();
    let others: Vec<_> = (6..16).map(|n| named(listener, &format!("192.0.2.{n}"))).collect();

    let closed = || many.iter().filter(|connection| is_closed(connection)).count();
    wait_until("one is too many", || (closed() > 0).then_some(()));
    assert_eq!(closed(), 1, "of {} of one address", many.len());
    assert_eq!(others.iter().filter(|connection| is_closed(connection)).count(), 0, "of other addresses");
}

#[test]
fn only_a_listed_proxy_names_others_and_it_always_does() {
    let service = Target::echo();
    let mut front = Front::start(&service);
    let listener = front.pair.listener();

    // Whoever is not listed is a stranger with something that is no handshake.
    let mut other = Connection::from_to("127.0.0.9", listener);
    other.send(b"PROXY TCP4 192.0.2.5 198.51.100.2 40000 443\r\n");
    let told = |log: &[serde_json::Value], words: &str| log.iter().any(|line| message(line).contains(words));
    wait_until("it is refused by its own address", || {
        told(front.pair.vps.lines(), "tunnel listener: 127.0.0.9:").then_some(())
    });
    // And the proxy that names nobody is closed.
    let mut silent = Connection::to(listener);
    silent.send(b"\x16\x03\x01\x00\x05hello");
    silent.receive_all();

    assert!(!told(front.pair.vps.lines(), "192.0.2.5"), "it has named another");
}

#[test]
fn explain_knows_the_listener_that_wants_a_header_first_as_this_machines_own() {
    let service = Target::echo();
    let front = Front::start(&service);

    let said = front.pair.vps.says(&["explain", "tunnel:home"]);

    assert_eq!(said.1, 0, "{}", said.0);
}
