//! The client that a header names: lists, limits and balance are about it.

use loopgate::outcome::{Denial, End, Limit, Phase};

use super::{LINE, proxy_with, say_and_hear_nothing};
use crate::harness::{Close, Connection, Proxy, Target};

fn line_of(ip: &str) -> Vec<u8> {
    format!("PROXY TCP4 {ip} 198.51.100.2 56324 443\r\n").into_bytes()
}

/// A client that was named and is served.
fn served(proxy: &Proxy, ip: &str) -> Connection {
    let mut client = proxy.connect();
    client.send(&line_of(ip));
    client.send(b"ping");
    assert_eq!(client.receive(4), b"ping");
    client
}

/// Why a client that was named was turned away.
fn refused(proxy: &Proxy, ip: &str) -> End {
    let mut client = proxy.connect();
    client.send(&line_of(ip));
    assert_eq!(client.receive_close(), Close::Reset);
    let record = proxy.record();
    assert_eq!(record.client.to_string(), format!("{ip}:56324"));
    assert_eq!((record.via, record.outcome.phase), (Some(client.local().into()), Phase::Admit));
    record.outcome.end
}

#[test]
fn lists_are_about_the_client_that_is_named() {
    let target = Target::echo();
    let lists = "allow = '203.0.113.0/24', deny = '203.0.113.9'";
    let proxy = proxy_with(&format!("accept_proxy = 'localhost', {lists}"), target.address);

    let _client = served(&proxy, "203.0.113.5");

    assert_eq!(refused(&proxy, "192.0.2.1"), End::Denied(Denial::Unlisted));
    assert_eq!(refused(&proxy, "203.0.113.9"), End::Denied(Denial::Listed));
}

#[test]
fn a_proxy_that_is_denied_speaks_for_nobody() {
    let target = Target::echo();
    let proxy = proxy_with("accept_proxy = 'localhost', deny = '127.0.0.1'", target.address);

    say_and_hear_nothing(&proxy, LINE);

    assert_eq!(proxy.record().outcome.end, End::Denied(Denial::Listed));
}

#[test]
fn the_limits_of_one_client_are_those_of_the_one_that_is_named() {
    let target = Target::echo();
    let proxy = proxy_with("accept_proxy = 'localhost', max_connections_per_client = 1", target.address);

    let _first = served(&proxy, "192.0.2.1");
    let _second = served(&proxy, "192.0.2.2");

    assert_eq!(refused(&proxy, "192.0.2.1"), End::Limited(Limit::PerClient));
}

#[test]
fn a_client_that_is_named_keeps_its_target() {
    let targets = [Target::manual(), Target::manual()];
    let [one, other] = [0, 1].map(|n: usize| targets[n].address);
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = ['{one}', '{other}'], balance = 'source_hash', \
         accept_proxy = 'localhost'}}"
    ));
    let target_of = |ip: &str| {
        let mut client = proxy.connect();
        client.send(&line_of(ip));
        client.reset();
        proxy.record().outcome.target.unwrap()
    };

    let clients: Vec<String> = (1..=32).map(|n| format!("192.0.2.{n}")).collect();
    let chosen: Vec<_> = clients.iter().map(|ip| target_of(ip)).collect();

    assert!(clients.iter().map(|ip| target_of(ip)).eq(chosen.iter().cloned()));
    assert!(chosen.iter().any(|target| *target != chosen[0]), "all go to {}", chosen[0]);
}
