//! Flows that end by what their client sends.

use std::net::UdpSocket;
use std::time::Duration;

use loopgate::outcome::{Cause, End};

use super::proxy;
use crate::harness::datagrams::{client, is_silent, receive, receive_from, send_trains_of, socket};
use crate::harness::{Proxy, wait_until};

fn target() -> (UdpSocket, std::net::SocketAddr) {
    let target = socket("127.0.0.1:0");
    let address = target.local_addr().unwrap();
    (target, address)
}

#[test]
fn a_flow_of_which_no_answer_is_expected_is_done_once_its_datagram_is_sent() {
    let (target, address) = target();
    let proxy = proxy(address, "answers = 0");
    let client = client(proxy.address);

    let mut from = Vec::new();
    for n in 0..3 {
        client.send(&[n; 10]).unwrap();
        let (datagram, flow) = receive_from(&target);
        assert_eq!(datagram, [n; 10]);
        from.push(flow);
        let record = proxy.record();
        let datagrams = record.outcome.datagrams.unwrap();
        assert_eq!((record.outcome.end, datagrams.up, datagrams.down), (End::Done, 1, 0));
    }

    proxy.wait_until_empty();
    target.send_to(b"an answer", from[2]).unwrap();
    assert!(is_silent(&client), "its flow is over");
}

#[test]
fn a_refusal_that_comes_at_once_is_no_done_flow() {
    let address = socket("127.0.0.1:0").local_addr().unwrap();
    let proxy = proxy(address, "answers = 0");
    let client = client(proxy.address);

    wait_until("the refusal is met", || {
        client.send(b"anybody?").unwrap();
        let end = proxy.record().outcome.end;
        assert!([End::Done, End::NoTarget(Cause::Refused)].contains(&end), "{end:?}");
        (end != End::Done).then_some(())
    });
}

#[test]
fn after_its_requests_the_next_opens_another_flow_and_answers_still_come_to_the_first() {
    let (target, address) = target();
    let proxy = proxy(address, "requests = 2\nanswers = 1");
    let client = client(proxy.address);

    for question in [b"1?", b"2?", b"3?"] {
        client.send(question).unwrap();
    }
    let [(_, first), (_, second), (third, other)] = [(); 3].map(|()| receive_from(&target));
    assert_eq!((first, &*third), (second, &b"3?"[..]));
    assert_ne!(first, other);

    target.send_to(b"3!", other).unwrap();
    assert_eq!(receive(&client), b"3!");
    for answer in [b"1!", b"2!"] {
        assert_eq!(proxy.live().len(), 2, "one waits for its answers, the other for its second request");
        target.send_to(answer, first).unwrap();
        assert_eq!(receive(&client), answer);
    }

    let record = proxy.record();
    let datagrams = record.outcome.datagrams.unwrap();
    assert_eq!((record.outcome.end, datagrams.up, datagrams.down), (End::Done, 2, 2));
    client.send(b"4?").unwrap();
    assert_eq!(receive_from(&target), (b"4?".to_vec(), other), "the second flow has room for one more");
}

#[test]
fn each_request_of_one_client_goes_to_the_target_whose_turn_it_is() {
    let targets = [target(), target()];
    let [(one, first), (two, second)] = &targets;
    let config = format!(
        "routes.test = {{listen = '127.0.0.1:0', target = ['{first}', '{second}'], protocol = 'udp', requests = 1, \
         answers = 0}}"
    );
    let proxy = Proxy::builder().with(&config);
    let client = client(proxy.address);

    for n in 0..6 {
        client.send(&[n]).unwrap();
    }

    let of = |target: &UdpSocket| [(); 3].map(|()| receive(target)[0]);
    let mut got = [of(one), of(two)];
    got.sort_unstable();
    assert_eq!(got, [[0, 2, 4], [1, 3, 5]]);
}

#[test]
fn a_train_is_divided_between_the_flows_that_carry_it() {
    let (target, address) = target();
    let proxy = proxy(address, "requests = 2");
    let client = client(proxy.address);
    send_trains_of(&client, 100);

    client.send(&[9; 450]).unwrap();

    let got: Vec<_> = (0..5).map(|_| receive_from(&target)).collect();
    assert_eq!(got.iter().map(|(datagram, _)| datagram.len()).collect::<Vec<_>>(), [100, 100, 100, 100, 50]);
    let from: Vec<_> = got.iter().map(|(_, from)| *from).collect();
    assert!(from[0] == from[1] && from[2] == from[3] && from[1] != from[2] && from[3] != from[4], "{from:?}");
    proxy.stop(Duration::ZERO);
    let mut carried: Vec<_> = (0..3).map(|_| proxy.record().outcome.datagrams.unwrap().up).collect();
    carried.sort_unstable();
    assert_eq!(carried, [1, 2, 2]);
}
