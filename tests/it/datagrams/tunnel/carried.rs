//! What is carried: each datagram whole and alone, in order, to the right client and target.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use loopgate::address::Protocol;
use loopgate::outcome::{Client, DropReason, End, Way};
use loopgate::proxy_protocol::Ends as Named;

use super::Ends;
use crate::harness::datagrams::{
    EchoDatagrams, ask, client, is_silent, receive, receive_from, receive_trains, send_trains_of, socket,
};
use crate::harness::wait_until;

#[test]
fn every_size_arrives_whole_and_alone_both_ways() {
    let echo = EchoDatagrams::start();
    let ends = Ends::to(echo.address);
    let client = client(ends.address);

    for length in [1, 64, 1_400, 1_472, 1_473, 2_048, 9_012, 16_385, 65_000, 65_507] {
        let datagram: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
        assert_eq!(ask(&client, &datagram), datagram, "{length} bytes");
    }

    assert!(is_silent(&client));
    ends.here.stop(Duration::ZERO);
    let (here, there) = (ends.here.record(), ends.there.record());
    for record in [&here, &there] {
        let datagrams = record.outcome.datagrams.as_ref().unwrap();
        assert_eq!((datagrams.up, datagrams.down), (10, 10), "{record}");
        assert_eq!((record.outcome.end, record.outcome.way), (End::Drained, Way::Quic), "{record}");
        assert_eq!(record.client, Client::Net(client.local_addr().unwrap()), "{record}");
    }
    let text = here.to_string();
    assert!(
        text.contains(" tunnel=home target=tunnel:home/game end=drained ") && text.contains(" way=quic ")
    );
    assert!(there.to_string().contains(" tunnel=office target=127.0.0.1:"), "{there}");
    assert_eq!((here.id, here.outcome.traffic.up), (there.id, there.outcome.traffic.up));
}

#[test]
fn the_other_end_is_told_of_the_client_and_where_it_sent_to() {
    let echo = EchoDatagrams::start();
    let ends = Ends::at("0.0.0.0:0", "", "", echo.address, true);
    let client = socket("127.0.0.1:0");
    let asked = SocketAddr::new([127, 0, 0, 7].into(), ends.address.port());

    client.send_to(b"question", asked).unwrap();

    assert_eq!(receive_from(&client), (b"question".to_vec(), asked));
    let open = ends.link.opened.lock().unwrap()[0].clone();
    let named = Named::Net { client: client.local_addr().unwrap(), destination: asked };
    assert_eq!((open.header.ends, open.protocol, &*open.to.to_string()), (named, Protocol::Udp, "game"));
}

#[test]
fn a_flow_keeps_its_order_and_two_clients_of_one_port_are_two_flows() {
    let target = socket("127.0.0.1:0");
    let ends = Ends::to(target.local_addr().unwrap());
    let clients = [client(ends.address), client(ends.address)];
    let mut sources = Vec::new();

    for (n, client) in clients.iter().enumerate() {
        for round in 0..10_u32 {
            for m in 0..20 {
                client.send(&[n as u8, (round * 20 + m) as u8]).unwrap();
            }
            for m in 0..20 {
                let (datagram, from) = receive_from(&target);
                assert_eq!(datagram, [n as u8, (round * 20 + m) as u8]);
                assert_eq!(*sources.get(n).unwrap_or(&from), from);
                sources.resize(n + 1, from);
            }
        }
    }
    assert_ne!(sources[0], sources[1]);
    for (n, source) in sources.iter().enumerate().rev() {
        target.send_to(&[n as u8], source).unwrap();
    }

    for (n, client) in clients.iter().enumerate() {
        assert_eq!(receive(client), [n as u8]);
        assert!(is_silent(client));
    }
    assert_eq!((ends.here.live().len(), ends.link.count()), (2, 2));
}

#[test]
fn a_train_goes_through_as_its_datagrams() {
    let target = socket("127.0.0.1:0");
    let ends = Ends::to(target.local_addr().unwrap());
    let client = client(ends.address);
    send_trains_of(&client, 1_000);
    receive_trains(&client);

    client.send(&[7; 3_500]).unwrap();

    let lengths: Vec<usize> = (0..4).map(|_| receive(&target).len()).collect();
    assert_eq!(lengths, [1_000, 1_000, 1_000, 500]);
    ends.here.stop(Duration::ZERO);
    assert_eq!(ends.here.record().outcome.datagrams.unwrap().up, 4);
}

#[test]
fn what_the_tunnel_drops_is_in_the_record() {
    let echo = EchoDatagrams::start();
    let ends = Ends::to(echo.address);
    let client = client(ends.address);
    ask(&client, b"1");

    ends.link.full.store(2, SeqCst);
    client.send(b"not taken").unwrap();
    client.send(b"not taken").unwrap();
    wait_until("both are dropped", || (ends.link.full.load(SeqCst) == 0).then_some(()));
    ends.link.lossy.store(3, SeqCst);
    for _ in 0..3 {
        client.send(b"lost on the way").unwrap();
    }
    wait_until("all are lost", || (ends.link.lossy.load(SeqCst) == 0).then_some(()));
    ask(&client, b"2");

    ends.here.stop(Duration::ZERO);
    let record = ends.here.record();
    let datagrams = record.outcome.datagrams.clone().unwrap();
    assert_eq!((datagrams.up, datagrams.up_dropped.count(DropReason::TunnelFull)), (2, 5));
    assert!(record.to_string().contains(" up_dropped=tunnel_full:5 "), "{record}");
}
