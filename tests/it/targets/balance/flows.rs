//! Flows of datagrams: which target each has, and that it keeps it.

use std::net::SocketAddr;

use loopgate::outcome::End;

use super::{plain, proxy};
use crate::harness::datagrams::{self, EchoDatagrams, ask};
use crate::harness::{Proxy, wait_until};

/// A UDP proxy with these targets.
fn datagram_proxy(targets: &[SocketAddr], more: &str) -> Proxy {
    let targets: Vec<String> = targets.iter().map(|target| plain(*target)).collect();
    proxy(&targets, &format!("protocol = 'udp'\n{more}"))
}

/// Which targets the flows that live have.
fn flows(proxy: &Proxy) -> Vec<String> {
    let mut all: Vec<String> = proxy.live().iter().map(|live| live.target().to_string()).collect();
    all.sort();
    all
}

#[test]
fn flows_are_shared_out_and_each_stays_with_its_target() {
    let (one, other) = (EchoDatagrams::start(), EchoDatagrams::start());
    let proxy = datagram_proxy(&[one.address, other.address], "");
    let clients: Vec<_> = (0..6).map(|_| datagrams::client(proxy.address)).collect();

    for round in 0..5_u8 {
        for client in &clients {
            assert_eq!(ask(client, &[round]), [round]);
        }
    }

    let mut expected: Vec<String> =
        [one.address, other.address].iter().flat_map(|it| vec![it.to_string(); 3]).collect();
    expected.sort();
    assert_eq!(flows(&proxy), expected);
}

#[test]
fn every_flow_of_a_client_has_the_target_of_its_address() {
    let echoes = [EchoDatagrams::start(), EchoDatagrams::start(), EchoDatagrams::start()];
    let proxy = datagram_proxy(&echoes.each_ref().map(|echo| echo.address), "balance = 'source_hash'");
    let clients: Vec<_> = (0..8).map(|_| datagrams::client(proxy.address)).collect();

    for client in &clients {
        ask(client, b"x");
    }

    let flows = flows(&proxy);
    assert!(flows.len() == 8 && flows.iter().all(|target| *target == flows[0]), "{flows:?}");
}

#[test]
fn a_client_whose_datagrams_are_refused_is_carried_to_the_next_target() {
    let (echo, refusing) = (EchoDatagrams::start(), datagrams::socket("127.0.0.1:0"));
    let gone = refusing.local_addr().unwrap();
    let proxy = datagram_proxy(&[gone, echo.address], "balance = 'first'");
    drop(refusing);
    let client = datagrams::client(proxy.address);
    client.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();

    // The refusal arrives after the first datagram, which is lost as it would be without a proxy.
    wait_until("the next one answers", || {
        client.send(b"again").unwrap();
        client.recv(&mut [0; 16]).ok()
    });

    assert!(flows(&proxy).contains(&echo.address.to_string()));
}

#[test]
fn a_client_whose_target_has_no_address_is_sent_to_no_other_where_none_is_allowed() {
    let echo = EchoDatagrams::start();
    let targets = format!("'nowhere.invalid:7', '{}'", echo.address);
    let proxy = |more: &str| {
        proxy(std::slice::from_ref(&targets), &format!("protocol = 'udp'\nbalance = 'first'\n{more}"))
    };

    let anywhere = proxy("");
    let client = datagrams::client(anywhere.address);
    assert_eq!(ask(&client, b"x"), b"x");
    let one = proxy("next_target = 'off'");
    datagrams::client(one.address).send(b"x").unwrap();

    assert!(matches!(one.record().outcome.end, End::NoTarget(_)));
}
