use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use super::*;
use crate::sys::sockopt;

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
    Departure { bytes, segment: 0, to: None, from: None, joins: false }
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
fn what_may_be_joined_leaves_as_one_train_and_arrives_as_it_was() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let Some((a, b)) = pair(any) else { continue };
        join_trains(&b).unwrap();
        let bytes = [7; 3_000];
        let of = |length: usize| Departure { joins: true, ..alone(&bytes[..length]) };
        let train = Departure { segment: 100, ..of(200) };
        let long = [0; 40_000];
        let long = Departure { joins: true, ..alone(&long) };
        let cases: &[(&[Departure<'_>], &[usize])] = &[
            (&[of(100), of(100), of(100)], &[300]),
            (&[of(100), of(100), of(40), of(100)], &[240, 100]),
            (&[of(100), of(101), of(100), of(100)], &[100, 301 - 100, 100]),
            (&[of(100), of(0), of(0), of(100)], &[100, 0, 0, 100]),
            (&[of(100), train, of(30)], &[330]),
            (&[Departure { segment: 100, ..of(150) }, of(100)], &[150, 100]),
            (&[alone(&bytes[..100]), of(100), of(100)], &[100, 200]),
            (&[long, long], &[40_000, 40_000]),
        ];

        for (departures, lengths) in cases {
            assert_eq!(send(&a, departures), departures.len());

            let mut arrivals = Arrivals::new(8);
            assert_eq!(arrivals.receive(&b, 0, 8).unwrap(), lengths.len(), "{lengths:?}");
            let read: Vec<usize> = (0..lengths.len()).map(|place| arrivals.get(place).bytes.len()).collect();
            assert_eq!(read, *lengths);
        }
        let many = Departures::new(80).send(&a, 80, |_| of(10)).unwrap();
        let mut arrivals = Arrivals::new(8);
        assert_eq!((many, arrivals.receive(&b, 0, 8).unwrap()), (80, 2), "no train has more than 64");
        assert_eq!((arrivals.get(0).count(), arrivals.get(1).count()), (64, 16));
    }
}

#[test]
fn what_goes_to_two_addresses_is_not_joined() {
    let [sender, one, other] = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = |socket: &UdpSocket| Departure { to: socket.local_addr().ok(), joins: true, ..alone(b"x") };
    join_trains(&one).unwrap();

    assert_eq!(send(&sender, &[to(&one), to(&one), to(&other), to(&one)]), 4);

    let mut arrivals = Arrivals::new(8);
    assert_eq!(arrivals.receive(&one, 0, 8).unwrap(), 2);
    assert_eq!((arrivals.get(0).count(), arrivals.get(1).count()), (2, 1));
    assert_eq!(arrivals.receive(&other, 0, 8).unwrap(), 1);
}

#[test]
fn what_is_refused_as_a_train_is_told_as_such_and_sent_apart() {
    let (a, b) = pair("127.0.0.1:0").unwrap();
    // Without checksums there are no trains.
    sockopt::set_number(a.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    let mut departures = Departures::new(8);

    let error = departures.send(&a, 2, |_| Departure { joins: true, ..alone(b"x") }).unwrap_err();
    assert!(is_of_a_train(&error), "{error}");
    assert_eq!(departures.send(&a, 2, |_| alone(b"x")).unwrap(), 2);

    assert_eq!(Arrivals::new(8).receive(&b, 0, 8).unwrap(), 2);
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
