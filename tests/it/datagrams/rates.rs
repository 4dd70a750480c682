//! Datagrams beyond the bandwidth of their route or flow: dropped, counted, and no others.

use std::net::SocketAddr;
use std::time::Duration;

use loopgate::outcome::{Datagrams, DropReason};

use crate::harness::datagrams::{client, is_silent, receive, receive_from, send_trains_of, socket};
use crate::harness::{Proxy, wait_until};

/// At a byte a second, nothing more than the burst passes while a test runs.
fn proxy(target: SocketAddr, key: &str, direction: &str) -> Proxy {
    let rate = format!("{key} = {{{direction} = '8bit', burst = '1000B'}}");
    let route = format!("listen = '127.0.0.1:0', target = '{target}', protocol = 'udp', {rate}");
    Proxy::builder().with(&format!("routes.test = {{{route}}}"))
}

/// The datagrams of the only flow, after a stop.
fn counted(proxy: &Proxy) -> Box<Datagrams> {
    proxy.stop(Duration::ZERO);
    proxy.record().outcome.datagrams.unwrap()
}

const KEYS: [&str; 2] = ["bandwidth", "bandwidth_per_connection"];

#[test]
fn questions_beyond_the_bandwidth_are_dropped_and_counted_and_answers_are_not() {
    for key in KEYS {
        let target = socket("127.0.0.1:0");
        let proxy = proxy(target.local_addr().unwrap(), key, "up");
        let client = client(proxy.address);

        for n in 0..10 {
            client.send(&[n; 400]).unwrap();
        }
        let (first, flow) = receive_from(&target);
        assert_eq!((first, receive(&target)), (vec![0; 400], vec![1; 400]));
        for n in 0..10 {
            target.send_to(&[n; 400], flow).unwrap();
            assert_eq!(receive(&client), [n; 400]);
        }

        let flow = proxy.only_session();
        wait_until("all are read", || (flow.meter.traffic().up.read == 4_000).then_some(()));
        let datagrams = counted(&proxy);
        assert!(is_silent(&target), "{key}");
        assert_eq!((datagrams.up, datagrams.down), (2, 10), "{key}");
        assert_eq!(datagrams.up_dropped.count(DropReason::OverRate), 8, "{key}");
    }
}

#[test]
fn answers_beyond_the_bandwidth_are_dropped_and_counted_and_questions_are_not() {
    for key in KEYS {
        let target = socket("127.0.0.1:0");
        let proxy = proxy(target.local_addr().unwrap(), key, "down");
        let client = client(proxy.address);

        for n in 0..10 {
            client.send(&[n; 400]).unwrap();
            let (question, flow) = receive_from(&target);
            assert_eq!(question, [n; 400]);
            target.send_to(&question, flow).unwrap();
        }

        assert_eq!((receive(&client), receive(&client)), (vec![0; 400], vec![1; 400]));
        let flow = proxy.only_session();
        wait_until("all are read", || (flow.meter.traffic().down.read == 4_000).then_some(()));
        let datagrams = counted(&proxy);
        assert_eq!((datagrams.up, datagrams.down + datagrams.down_dropped.total()), (10, 10), "{key}");
        assert_eq!((datagrams.down, is_silent(&client)), (2, true), "{key}");
    }
}

#[test]
fn of_a_train_those_that_fit_pass() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "bandwidth", "up");
    let client = client(proxy.address);
    send_trains_of(&client, 300);

    client.send(&[7; 2_000]).unwrap();

    for _ in 0..3 {
        assert_eq!(receive(&target), [7; 300]);
    }
    let datagrams = counted(&proxy);
    assert_eq!((datagrams.up, datagrams.up_dropped.count(DropReason::OverRate)), (3, 4));
    assert!(is_silent(&target));
}

#[test]
fn flows_share_the_bandwidth_of_their_route_and_each_has_its_own() {
    for (key, passing) in [("bandwidth", 1), ("bandwidth_per_connection", 3)] {
        let target = socket("127.0.0.1:0");
        let proxy = proxy(target.local_addr().unwrap(), key, "up");

        let clients: Vec<_> = (0..3).map(|_| client(proxy.address)).collect();
        for client in &clients {
            client.send(&[1; 800]).unwrap();
        }
        wait_until("each has a flow", || (proxy.live().len() == 3).then_some(()));

        (0..passing).for_each(|_| assert_eq!(receive(&target), [1; 800]));
        proxy.stop(Duration::ZERO);
        let passed: u64 = (0..3).map(|_| proxy.record().outcome.datagrams.unwrap().up).sum();
        assert_eq!(passed, passing, "{key}");
    }
}
