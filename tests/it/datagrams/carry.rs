//! Datagrams: each whole and alone, in order, to the right end and to no other; and what becomes of the others.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;

use loopgate::outcome::{Cause, DropReason, End};

use crate::harness::datagrams::{
    EchoDatagrams, ask, client, is_silent, receive, receive_from, receive_trains, send_trains_of, socket,
};
use crate::harness::namespace::alone;
use crate::harness::{Proxy, wait_until};

/// A proxy with one UDP route to `target`, with more keys.
fn proxy(target: SocketAddr, more: &str) -> Proxy {
    let listen = if target.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    listening(listen, target, more)
}

fn listening(listen: &str, target: SocketAddr, more: &str) -> Proxy {
    let route = format!("listen = '{listen}'\ntarget = '{target}'\nprotocol = 'udp'\n{more}");
    Proxy::builder().with(&format!("[routes.test]\n{route}\n"))
}

#[test]
fn every_size_arrives_whole_and_alone_both_ways() {
    for (any, longest) in [("127.0.0.1:0", 65_507), ("[::1]:0", 65_527)] {
        let echo = EchoDatagrams::on(any.parse().unwrap());
        let proxy = proxy(echo.address, "");
        let client = client(proxy.address);

        for length in [0, 1, 64, 1_400, 1_472, 1_473, 2_048, 8_192, 9_012, 16_384, 16_385, 65_000, longest] {
            let datagram: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            assert_eq!(ask(&client, &datagram), datagram, "{length} bytes");
        }

        assert!(is_silent(&client));
        proxy.stop(std::time::Duration::ZERO);
        let datagrams = proxy.record().outcome.datagrams.unwrap();
        assert_eq!((datagrams.up, datagrams.down), (13, 13));
    }
}

#[test]
fn what_the_other_family_cannot_carry_is_counted_and_hurts_nobody() {
    let echo = EchoDatagrams::start();
    let proxy = listening("[::1]:0", echo.address, "");
    let client = client(proxy.address);

    client.send(&[0; 65_527]).unwrap();
    assert_eq!(ask(&client, b"small"), b"small");

    proxy.stop(std::time::Duration::ZERO);
    let record = proxy.record();
    let datagrams = record.outcome.datagrams.clone().unwrap();
    assert_eq!((datagrams.up, datagrams.up_dropped.count(DropReason::TooBig)), (1, 1));
    assert!(record.to_string().contains(" up_dropped=too_big:1"), "{record}");
}

#[test]
fn a_flow_keeps_its_order_and_its_source_port() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "");
    let client = client(proxy.address);
    let mut source = None;

    for round in 0..20_u32 {
        for n in 0..20 {
            client.send(&(round * 20 + n).to_be_bytes()).unwrap();
        }
        for n in 0..20 {
            let (datagram, from) = receive_from(&target);
            assert_eq!(datagram, (round * 20 + n).to_be_bytes());
            assert_eq!(*source.get_or_insert(from), from);
        }
    }
}

#[test]
fn each_of_many_clients_hears_its_own_answers_and_no_others() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "");
    // What so many send fits the receive buffer of a target that reads later.
    let clients: Vec<UdpSocket> = (0..100).map(|_| client(proxy.address)).collect();

    for (n, client) in clients.iter().enumerate() {
        client.send(&n.to_be_bytes()).unwrap();
    }
    let mut asked: Vec<_> = clients.iter().map(|_| receive_from(&target)).collect();
    asked.reverse();
    for (question, from) in &asked {
        target.send_to(question, from).unwrap();
    }

    for (n, client) in clients.iter().enumerate() {
        assert_eq!(receive(client), n.to_be_bytes());
        assert!(is_silent(client));
    }
    let mut ports: Vec<u16> = asked.iter().map(|(_, from)| from.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), clients.len(), "no two flows share a port");
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let echo = EchoDatagrams::start();
    let proxy = listening("0.0.0.0:0", echo.address, "");
    let client = socket("127.0.0.1:0");

    for ip in ["127.0.0.1", "127.0.0.7", "127.3.2.1"] {
        let asked = SocketAddr::new(ip.parse().unwrap(), proxy.address.port());
        client.send_to(b"question", asked).unwrap();

        assert_eq!(receive_from(&client), (b"question".to_vec(), asked));
    }
}

#[test]
fn a_strangers_datagram_never_reaches_a_client() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "");
    let client = client(proxy.address);
    client.send(b"question").unwrap();
    let (_, flow) = receive_from(&target);

    let stranger = socket("127.0.0.1:0");
    stranger.send_to(b"forged", flow).unwrap();
    target.send_to(b"answer", flow).unwrap();

    assert_eq!(receive(&client), b"answer");
    assert!(is_silent(&client));
}

#[test]
fn a_train_goes_on_as_a_train_both_ways() {
    for length in [64, 1_200] {
        let target = socket("127.0.0.1:0");
        receive_trains(&target);
        let proxy = proxy(target.local_addr().unwrap(), "");
        let client = client(proxy.address);
        receive_trains(&client);
        let train: Vec<u8> = (0..length * 15 + 10).map(|n| (n / length) as u8).collect();

        send_trains_of(&client, length);
        client.send(&train).unwrap();
        let (came, flow) = receive_from(&target);
        assert_eq!(came, train, "one passage for sixteen datagrams of {length} bytes");

        send_trains_of(&target, length);
        target.send_to(&train, flow).unwrap();
        assert_eq!(receive(&client), train);

        proxy.stop(std::time::Duration::ZERO);
        let datagrams = proxy.record().outcome.datagrams.unwrap();
        assert_eq!((datagrams.up, datagrams.down), (16, 16));
    }
}

#[test]
fn the_datagrams_of_a_train_arrive_apart_where_trains_are_not_asked_for() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "");
    let client = client(proxy.address);
    send_trains_of(&client, 64);

    client.send(&[7; 64 * 16]).unwrap();

    for _ in 0..16 {
        assert_eq!(receive(&target), [7; 64]);
    }
    assert!(is_silent(&target));
}

/// Sends bursts until two datagrams arrive together at a socket that asks for trains. All arrive, in order.
fn bursts_until_some_arrive_together(to: &UdpSocket, send: impl Fn(&[u8])) {
    for _ in 0..2_000 {
        let sent: Vec<u8> = (0..40).flat_map(|n| [n; 64]).collect();
        sent.chunks(64).for_each(&send);
        let (mut arrived, mut together) = (Vec::new(), false);
        while arrived.len() < sent.len() {
            let some = receive(to);
            together |= some.len() > 64;
            arrived.extend(some);
        }
        assert_eq!(arrived, sent);
        if together {
            return;
        }
    }
    panic!("no two datagrams left together");
}

#[test]
fn datagrams_of_one_flow_that_wait_together_go_on_as_one_train_both_ways() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "");
    let client = client(proxy.address);
    client.send(b"who").unwrap();
    let (_, flow) = receive_from(&target);
    receive_trains(&target);
    receive_trains(&client);

    bursts_until_some_arrive_together(&target, |datagram| assert!(client.send(datagram).is_ok()));
    bursts_until_some_arrive_together(&client, |datagram| assert!(target.send_to(datagram, flow).is_ok()));
}

#[test]
fn datagrams_that_wait_together_arrive_apart_where_trains_are_not_asked_for() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "");
    let client = client(proxy.address);

    for round in 0..50_u8 {
        for n in 0..40 {
            client.send(&[round, n]).unwrap();
        }
        for n in 0..40 {
            let (question, flow) = receive_from(&target);
            assert_eq!(question, [round, n]);
            target.send_to(&question, flow).unwrap();
        }
        for n in 0..40 {
            assert_eq!(receive(&client), [round, n]);
        }
    }

    proxy.stop(std::time::Duration::ZERO);
    let datagrams = proxy.record().outcome.datagrams.unwrap();
    assert_eq!((datagrams.up, datagrams.down), (2_000, 2_000));
}

#[test]
#[ignore = "needs root"]
fn datagrams_that_must_be_fragmented_are_carried_apart_and_none_is_lost() {
    alone("datagrams::carry::datagrams_that_must_be_fragmented_are_carried_apart_and_none_is_lost", || {
        // Joined they would be refused: each must fit the path whole.
        let narrow = Command::new("ip").args(["link", "set", "lo", "mtu", "1500"]).status();
        assert!(narrow.is_ok_and(|status| status.success()));
        let target = socket("127.0.0.1:0");
        let proxy = proxy(target.local_addr().unwrap(), "");
        let client = client(proxy.address);

        for _ in 0..200 {
            for n in 0..16 {
                client.send(&[n; 2_000]).unwrap();
            }
            for n in 0..16 {
                let (question, flow) = receive_from(&target);
                assert_eq!(question, [n; 2_000]);
                target.send_to(&question, flow).unwrap();
            }
            for n in 0..16 {
                assert_eq!(receive(&client), [n; 2_000]);
            }
        }

        proxy.stop(std::time::Duration::ZERO);
        let datagrams = proxy.record().outcome.datagrams.unwrap();
        assert_eq!((datagrams.up, datagrams.down), (3_200, 3_200));
        assert_eq!((datagrams.up_dropped.total(), datagrams.down_dropped.total()), (0, 0));
    });
}

#[test]
fn a_refusal_ends_the_flow_and_not_the_route() {
    let echo = EchoDatagrams::start();
    let address = echo.address;
    let proxy = proxy(address, "");
    let client = client(proxy.address);
    assert_eq!(ask(&client, b"up"), b"up");

    drop(echo);
    client.send(b"lost").unwrap();
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::NoTarget(Cause::Refused));
    assert_eq!(record.client.to_string(), client.local_addr().unwrap().to_string());

    let _echo = EchoDatagrams::on(address);
    assert_eq!(ask(&client, b"the first after it is back"), b"the first after it is back");
    assert!(is_silent(&client), "a refusal is no datagram");
}

#[test]
fn the_first_datagram_after_the_target_is_back_passes_even_unnoticed() {
    let nobody = socket("127.0.0.1:0");
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let proxy = proxy(address, "");
    let client = client(proxy.address);

    for _ in 0..10 {
        client.send(b"lost").unwrap();
    }
    assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::Refused));
    let _echo = EchoDatagrams::on(address);

    // Of the ten some may still have been under way.
    client.send(b"back").unwrap();
    while receive(&client) != b"back" {}
}

#[test]
fn a_name_is_looked_up_while_its_first_datagrams_wait() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let echo = EchoDatagrams::on(any.parse().unwrap());
        let route = format!("target = 'localhost:{}'", echo.address.port());
        let proxy = Proxy::builder()
            .with(&format!("[routes.test]\nlisten = '127.0.0.1:0'\nprotocol = 'udp'\n{route}"));
        let client = client(proxy.address);

        client.send(b"one").unwrap();
        client.send(b"two").unwrap();

        assert_eq!((receive(&client), receive(&client)), (b"one".to_vec(), b"two".to_vec()), "{any}");
    }
}

#[test]
fn a_name_without_an_address_is_no_target_and_said_so() {
    let proxy = Proxy::builder()
        .with("[routes.test]\nlisten = '127.0.0.1:0'\nprotocol = 'udp'\ntarget = 'nothing.invalid:53'");

    client(proxy.address).send(b"question").unwrap();

    assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::NoAddress));
}

#[test]
fn a_forged_client_is_sent_no_more_than_its_bytes_allow() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "max_amplification = 3");
    let client = client(proxy.address);

    client.send(&[0; 100]).unwrap();
    let (_, flow) = receive_from(&target);
    for length in [200, 101, 100] {
        target.send_to(&vec![length as u8; length], flow).unwrap();
    }
    assert_eq!(receive(&client), [200; 200]);
    assert_eq!(receive(&client), [100; 100], "the one between was one byte too much");

    client.send(&[0; 1]).unwrap();
    receive(&target);
    target.send_to(&[9; 60_000], flow).unwrap();
    assert_eq!(receive(&client).len(), 60_000, "it went on after an answer");
    proxy.stop(std::time::Duration::ZERO);
    let dropped = proxy.record().outcome.datagrams.unwrap().down_dropped;
    assert_eq!(dropped.count(DropReason::Amplified), 1);
}

#[test]
fn two_thousand_datagrams_of_new_clients_at_once_are_all_delivered() {
    let target = socket("127.0.0.1:0");
    nix::sys::socket::setsockopt(&target, nix::sys::socket::sockopt::RcvBuf, &(4 << 20)).unwrap();
    let address = target.local_addr().unwrap();
    let proxy = Proxy::builder()
        .flows(3_000)
        .with(&format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{address}'\nprotocol = 'udp'\n"));
    let clients: Vec<UdpSocket> = (0..400).map(|_| client(proxy.address)).collect();

    for client in &clients {
        for n in 0..5_u8 {
            client.send(&[n; 64]).unwrap();
        }
    }

    for _ in 0..2_000 {
        receive(&target);
    }
    wait_until("all are one flow each", || (proxy.live().len() == clients.len()).then_some(()));
}
