//! Headers that clients send: which are taken, and how those end whose are not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use loopgate::outcome::{Client, Denial, End, Outcome, Phase, Way};

use super::vectors::{Answer, V4, Vector, tlv, v2, version_1, version_2};
use super::{LINE, accepting, header_on, named, net, proxy_with, say_and_hear_nothing};
use crate::harness::{Close, Connection, Proxy, TIMEOUT, Target};

/// Sends a vector in every two pieces, all at the same time, so that the first pieces arrive before the second ones; then
/// something behind it. Says how many were refused.
fn send_in_pieces(proxy: &Proxy, vector: &Vector, behind: &[u8]) -> u64 {
    let length = vector.bytes.len();
    // Long ones are long of one and the same thing.
    let splits = (0..length.min(120)).chain(length.saturating_sub(3)..length);
    let mut clients: Vec<(usize, Connection)> = splits.map(|split| (split, proxy.connect())).collect();
    for (split, client) in &mut clients {
        client.send(&vector.bytes[..*split]);
    }
    for (split, client) in &mut clients {
        let rest = [&vector.bytes[*split..], behind].concat();
        // One that is refused early may have been reset by now.
        let said = client.try_send(&rest);
        assert!(vector.answer == Answer::Refused || said.unwrap() == rest.len(), "{}", vector.rule);
    }
    let count = clients.len() as u64;
    for (split, mut client) in clients {
        if vector.answer == Answer::Refused {
            let mut received = [0; 1];
            assert!(!matches!(client.try_receive(&mut received), Ok(1)), "{} split at {split}", vector.rule);
            continue;
        }
        client.finish();
        assert_eq!(client.receive_all(), (behind.to_vec(), Close::Fin), "{} split at {split}", vector.rule);
        let record = proxy.record();
        let Outcome { end, traffic, .. } = record.outcome;
        assert_eq!((end, traffic.up.delivered), (End::Done, behind.len() as u64), "{}", vector.rule);
        match vector.answer {
            Answer::Between(named, _) => assert_eq!(record.client.to_string(), named, "{}", vector.rule),
            _ => assert_eq!(record.via, None, "{}", vector.rule),
        }
    }
    if vector.answer == Answer::Refused { count } else { 0 }
}

#[test]
fn every_rule_of_the_text_is_kept_on_a_socket_wherever_the_bytes_are_cut() {
    let target = Target::echo();
    // The records of refusals are folded, so their time is not fixed.
    let [taking, refusing] = [accepting(&target), accepting(&target)];

    let vectors = version_1().into_iter().chain(version_2());
    let refused: u64 = vectors
        .map(|vector| {
            let proxy = if vector.answer == Answer::Refused { &refusing } else { &taking };
            send_in_pieces(proxy, &vector, b"PROXY after it")
        })
        .sum();

    refusing.stop(TIMEOUT);
    let records = refusing.records();
    assert!(refused > 1000, "only {refused}");
    assert!(records.iter().all(|record| record.outcome.end == End::BadHeader));
    assert!(records.iter().all(|record| record.outcome.phase == Phase::Identify));
    assert_eq!(records.iter().map(|record| record.count).sum::<u64>(), refused);
}

#[test]
fn the_record_names_the_client_and_the_proxy_it_came_by() {
    let target = Target::echo();
    let proxy = accepting(&target);
    let mut client = proxy.connect();
    let sender = client.local();

    client.send(LINE);
    client.finish();

    assert_eq!(client.receive_close(), Close::Fin);
    let record = proxy.record();
    assert_eq!((record.client, record.via), (named(), Some(sender.into())));
    let text = record.to_string();
    assert!(text.contains(&format!("client=192.0.2.1:56324 via={sender} ")), "{text}");
}

#[test]
fn whoever_is_not_listed_is_denied_whatever_it_says() {
    let target = Target::echo();
    let proxy = proxy_with("accept_proxy = ['192.0.2.0/24', '::1']", target.address);

    say_and_hear_nothing(&proxy, LINE);

    let record = proxy.record();
    assert!(record.via.is_none() && record.client != named(), "{record}");
    assert_eq!(record.outcome.end, End::Denied(Denial::NoProxy));
}

#[test]
fn without_a_list_a_header_is_what_a_client_says() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let mut client = proxy.connect();

    client.send(LINE);
    client.finish();

    assert_eq!(client.receive_all(), (LINE.to_vec(), Close::Fin));
    assert_eq!(proxy.record().via, None);
}

#[test]
fn the_target_speaks_to_nobody_before_the_header_is_there() {
    let target = Target::greeting(b"220 hello");
    let proxy = accepting(&target);
    let mut client = proxy.connect();

    client.send(&LINE[..LINE.len() - 1]);
    proxy.only_session();
    let mut received = [0; 1];
    client.stream().set_nonblocking(true).unwrap();
    assert_eq!(client.try_receive(&mut received).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    client.stream().set_nonblocking(false).unwrap();
    client.send(&LINE[LINE.len() - 1..]);

    assert_eq!(client.receive(9), b"220 hello");
}

#[test]
fn a_header_that_does_not_come_in_time_is_waited_for_no_longer() {
    let target = Target::echo();
    for said in [&b""[..], b"PROXY TCP4 \x1b"] {
        let proxy = proxy_with("accept_proxy = '127.0.0.1', accept_proxy_timeout = '2s'", target.address);
        let mut client = proxy.connect();
        // The last byte is an escape, which would be refused at once.
        client.send(&said[..said.len().saturating_sub(1)]);

        assert_eq!(client.receive_close(), Close::Reset);

        let record = proxy.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::BadHeader, Phase::Identify));
        let hint = record.hint().unwrap();
        assert!(hint.contains("it did not arrive within 2s (accept_proxy_timeout)"), "{hint}");
        let quoted = if said.is_empty() { "it sent nothing" } else { "it sent \"PROXY TCP4 \"" };
        assert!(hint.ends_with(quoted), "{hint}");
    }
}

#[test]
fn a_client_that_says_something_else_is_reset_and_quoted() {
    let target = Target::echo();
    let proxy = accepting(&target);
    let mut client = proxy.connect();

    client.send(b"GET / HTTP/1.1\r\n\x1b[2J");

    assert_eq!(client.receive_close(), Close::Reset);
    let text = proxy.record().to_string();
    assert!(text.contains(r"it is none; it sent 'GET / HTTP/1.1\r\n\x1b[2J'"), "{text}");
    assert!(text.contains("end=bad_header phase=identify up=0 down=0 "), "{text}");
}

#[test]
fn a_header_cut_short_by_fin_is_bad_and_by_reset_a_client_gone() {
    let target = Target::echo();
    for (said, reset, wanted) in [
        (&b""[..], false, End::BadHeader),
        (b"PROXY TCP4 192", false, End::BadHeader),
        (b"", true, End::ClientGone),
        (b"PROXY TCP4 192", true, End::ClientGone),
    ] {
        let proxy = accepting(&target);
        let mut client = proxy.connect();
        client.send(said);

        if reset {
            client.reset();
        } else {
            client.finish();
            assert_eq!(client.receive_close(), Close::Reset);
        }

        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.phase), (wanted, Phase::Identify), "{said:?}");
    }
}

#[test]
fn what_follows_a_header_at_once_may_be_the_end() {
    let target = Target::echo();
    let proxy = accepting(&target);

    let mut client = proxy.connect();
    client.send(LINE);
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    let mut client = proxy.connect();
    client.send(LINE);
    client.reset();

    let [first, second] = [proxy.record(), proxy.record()].map(|record| record.outcome.end);
    assert_eq!(first, End::Done);
    assert!(matches!(second, End::ClientGone | End::ClientReset), "{second:?}");
}

#[test]
fn a_stream_behind_a_header_is_spliced() {
    const LENGTH: usize = 8 << 20;
    let target = Target::manual();
    let proxy = proxy_with("accept_proxy = 'localhost', send_proxy = 'v2'", target.address);
    let mut client = proxy.connect();
    client.send(LINE);
    let mut served = target.accept();
    assert_eq!(net(&header_on(&mut served)).0.to_string(), "192.0.2.1:56324");

    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send_stream(7, LENGTH);
            client.finish();
        });
        served.receive_stream(7, LENGTH);
    });
    served.finish();

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
    assert_eq!(outcome.traffic.up.delivered, LENGTH as u64);
}

#[test]
fn clients_of_a_unix_socket_can_be_listed_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy");
    let target = Target::echo();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = 'unix:{}', target = '{}', accept_proxy = 'unix', accept_proxy_timeout = '1m'}}",
        path.display(),
        target.address
    ));
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();

    for byte in v2(0x21, 0x11, &[V4, &tlv(4, &[0; 200])].concat()) {
        client.write_all(&[byte]).unwrap();
    }
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();

    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"hello");
    let record = proxy.record();
    assert_eq!(record.client, named());
    assert!(matches!(record.via, Some(Client::Unix { .. })), "{:?}", record.via);
}

#[test]
fn a_client_without_its_header_keeps_its_route_and_is_cut_by_a_stop() {
    let target = Target::echo();
    let proxy = accepting(&target);
    let mut client = proxy.connect();
    let _silent = proxy.connect();
    client.send(&LINE[..5]);
    crate::harness::wait_until("both are waited for", || (proxy.live().len() == 2).then_some(()));

    let port = proxy.address.port();
    let route = format!("routes.test = {{listen = '127.0.0.1:{port}', target = '{}'}}", target.address);
    proxy.declare(&route).unwrap();
    client.send(&LINE[5..]);
    client.finish();

    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!(proxy.record().client, named());
    assert_eq!(proxy.stop(Duration::ZERO), 1);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::Drained, Phase::Identify));
}
