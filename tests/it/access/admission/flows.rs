//! The same limits for the flows of datagrams.

use loopgate::outcome::{End, Limit, Phase};

use super::{phase_of, proxy};
use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, socket};

#[test]
fn new_flows_have_a_rate_as_well() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "protocol = 'udp'\nconnection_rate = '2/h'");
    let (one, two, three) = (client(proxy.address), client(proxy.address), client(proxy.address));
    assert_eq!((ask(&one, b"1"), ask(&two, b"2")), (b"1".to_vec(), b"2".to_vec()));

    three.send(b"3").unwrap();

    assert_eq!(ask(&one, b"4"), b"4");
    assert_eq!(phase_of(&proxy, End::Limited(Limit::Rate)), Phase::Admit);
    assert!(is_silent(&three));
}

#[test]
fn flows_are_counted_for_each_client_address_too() {
    let echo = EchoDatagrams::start();
    let limits = "protocol = 'udp'\nmax_connections_per_client = 2\nconnection_rate = '100/h'";
    let proxy = proxy(echo.address, limits);
    let (one, two, three) = (client(proxy.address), client(proxy.address), client(proxy.address));
    assert_eq!((ask(&one, b"1"), ask(&two, b"2")), (b"1".to_vec(), b"2".to_vec()));

    three.send(b"3").unwrap();
    let elsewhere = socket("127.0.0.2:0");
    elsewhere.connect(proxy.address).unwrap();

    assert_eq!(ask(&elsewhere, b"4"), b"4");
    assert!(is_silent(&three));
    assert_eq!(phase_of(&proxy, End::Limited(Limit::PerClient)), Phase::Admit);
    assert_eq!(ask(&one, b"5"), b"5");
}
