use std::net::UdpSocket;

use super::*;

fn pair(any: &str) -> Option<(UdpSocket, UdpSocket)> {
    let (a, b) = (UdpSocket::bind(any).ok()?, UdpSocket::bind(any).ok()?);
    a.connect(b.local_addr().unwrap()).unwrap();
    b.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    Some((a, b))
}

fn send(from: &UdpSocket, departures: &[Departure<'_>]) -> usize {
    Departures::new(8).send(from, departures.len(), |n| departures[n]).unwrap()
}

fn alone(bytes: &[u8]) -> Departure<'_> {
    Departure { bytes, segment: 0, to: None, from: None }
}

#[test]
fn a_batch_arrives_in_order_each_datagram_alone() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let Some((a, b)) = pair(any) else { continue };

        assert_eq!(send(&a, &[alone(b"one"), alone(b""), alone(b"three")]), 3);

        let mut arrivals = Arrivals::new(8);
        assert_eq!(arrivals.receive(&b, 0, 8).unwrap(), 3);
        let read: Vec<&[u8]> = (0..3).map(|place| arrivals.get(place).bytes).collect();
        assert_eq!(read, [b"one".as_slice(), b"", b"three"]);
        assert_eq!(arrivals.get(0).from, Some(a.local_addr().unwrap()));
        assert_eq!(arrivals.get(1).count(), 1);
        assert_eq!(arrivals.receive(&b, 0, 8).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn a_train_is_received_as_a_train_and_by_others_as_datagrams() {
    let (a, b) = pair("127.0.0.1:0").unwrap();
    let bytes: Vec<u8> = (0..64 * 15 + 10).map(|n| n as u8).collect();
    let train = Departure { segment: 64, ..alone(&bytes) };
    let mut arrivals = Arrivals::new(32);

    send(&a, &[train]);
    assert_eq!(arrivals.receive(&b, 0, 32).unwrap(), 16, "one by one, without UDP_GRO");
    assert_eq!(arrivals.get(15).bytes, &bytes[64 * 15..]);

    join_trains(&b).unwrap();
    send(&a, &[train]);
    assert_eq!(arrivals.receive(&b, 0, 32).unwrap(), 1);
    let arrival = arrivals.get(0);
    assert_eq!((arrival.bytes, arrival.segment, arrival.count()), (bytes.as_slice(), 64, 16));
}

#[test]
fn the_largest_datagrams_arrive_whole() {
    for (any, longest) in [("127.0.0.1:0", 65_507), ("[::1]:0", 65_527)] {
        let Some((a, b)) = pair(any) else { continue };
        let bytes = vec![7; longest];

        send(&a, &[alone(&bytes)]);

        let mut arrivals = Arrivals::new(1);
        assert_eq!(arrivals.receive(&b, 0, 1).unwrap(), 1);
        assert_eq!((arrivals.get(0).bytes.len(), arrivals.get(0).cut), (longest, false));
    }
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    for (any, asked) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
        let Ok(server) = UdpSocket::bind(any) else { continue };
        let port = server.local_addr().unwrap().port();
        let asked: IpAddr = asked.parse().unwrap();
        report_local_address(&server, asked.is_ipv4()).unwrap();
        let client = UdpSocket::bind((any.trim_end_matches(":0").trim_matches(['[', ']']), 0)).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();

        client.send_to(b"question", (asked, port)).unwrap();
        server.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        server.peek(&mut [0; 8]).unwrap();
        let mut arrivals = Arrivals::new(1);
        arrivals.receive(&server, 0, 1).unwrap();
        let question = arrivals.get(0);
        send(&server, &[Departure { to: question.from, from: question.asked, ..alone(b"answer") }]);

        let (length, from) = client.recv_from(&mut [0; 8]).unwrap();
        assert_eq!((length, from.ip(), from.port()), (6, asked, port));
    }
}

#[test]
fn a_full_receive_buffer_counts_what_it_drops() {
    let (a, b) = pair("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&b, 4096).unwrap();

    for _ in 0..100 {
        a.send(&[0; 500]).unwrap();
    }

    let backlog = backlog(&b).unwrap();
    assert!(backlog.dropped > 50 && backlog.used > 0 && backlog.most >= 4096, "{backlog:?}");
}
