//! The hello itself: cut anywhere, too long, too slow, broken off.

use std::thread;
use std::time::Duration;

use loopgate::client_hello::MAX_BYTES;
use loopgate::outcome::{End, Phase, Way};

use super::{proxy, reaches, telling};
use crate::harness::{Close, ClosedPort, Connection, HelloBuilder, Proxy, Target};

/// The fatal alert decode_error.
const DECODE_ERROR: &[u8] = b"\x15\x03\x03\x00\x02\x02\x32";

#[test]
fn a_hello_arrives_whole_wherever_it_was_cut() {
    let (a, others) = (telling("a"), telling("others"));
    let proxy = proxy(&format!("target = '{}'\nnames = {{ 'a.example' = '{}' }}", others.address, a.address));
    let hello = HelloBuilder::default().name(b"a.example").protocols(&["h2"]).records_of(50);

    for cut in 1..hello.len() {
        let mut client = proxy.connect();
        client.send(&hello[..cut]);
        client.send(&hello[cut..]);
        client.finish();
        let (received, _) = client.receive_all();
        assert!(received == [b"a", &hello[..]].concat(), "cut at {cut}");
    }
    let mut client = proxy.connect();
    hello.iter().for_each(|byte| client.send(&[*byte]));
    client.finish();
    assert_eq!(client.receive_all().0.len(), 1 + hello.len());
}

#[test]
fn the_hello_of_curl_arrives_whole_over_two_segments() {
    let hello = include_bytes!("../../../vectors/hellos/curl.bin");
    let (a, others) = (telling("a"), telling("others"));
    let proxy = proxy(&format!("target = '{}'\nnames = {{ 'a.example' = '{}' }}", others.address, a.address));

    // All first pieces are there before any second one is sent.
    let mut clients: Vec<(usize, Connection)> =
        (1..hello.len()).step_by(3).map(|cut| (cut, proxy.connect())).collect();
    clients.iter_mut().for_each(|(cut, client)| client.send(&hello[..*cut]));
    clients.iter_mut().for_each(|(cut, client)| client.send(&hello[*cut..]));

    for (cut, mut client) in clients {
        client.finish();
        assert!(client.receive_all() == ([b"a", &hello[..]].concat(), Close::Fin), "cut at {cut}");
    }
}

#[test]
fn the_longest_hello_is_read_and_a_longer_one_told_that_it_is_none() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    let long = |bytes: usize| {
        let with = |padding: usize| HelloBuilder::default().name(b"a.example").padding(padding).records();
        // 60,000 bytes need as many extensions and records as the requested length.
        with(60_000 + bytes - with(60_000).len())
    };

    for bytes in [2_000, 20_000, MAX_BYTES] {
        let hello = if bytes < MAX_BYTES {
            HelloBuilder::default().name(b"a.example").padding(bytes).records()
        } else {
            long(bytes)
        };
        reaches(&proxy, &hello, "a");
        assert_eq!(proxy.record().outcome.traffic.up.delivered, hello.len() as u64);
    }
    assert_eq!(long(MAX_BYTES).len(), MAX_BYTES);
    let mut client = proxy.connect();
    // Its own word for its length is enough.
    client.send(&HelloBuilder::default().padding(65_500).records()[..1000]);
    assert_eq!(client.receive_all(), (DECODE_ERROR.to_vec(), Close::Reset));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::TlsFailed, Phase::Secure));
    assert_eq!(record.hint(), Some("the TLS hello is longer than 64 KiB"));
}

#[test]
fn a_hello_that_never_ends_is_cut_at_the_bound() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    // Each record is in order and has one byte of a hello that is in order, too.
    let hello = HelloBuilder::default().name(b"a.example").padding(60_000).records_of(1);

    let mut client = proxy.connect();
    let mut said = 0;
    while said < hello.len() {
        match client.try_send(&hello[said..]) {
            Ok(more) => said += more,
            Err(_) => break,
        }
    }
    drop(client);

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.traffic.up.read), (End::TlsFailed, 0));
    assert_eq!(record.hint(), Some("the TLS hello is longer than 64 KiB"));
}

#[test]
fn who_is_slow_with_its_hello_is_reset() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}\nhello_timeout = '50ms'", a.address));

    for (said, told) in [
        (&b""[..], "it sent nothing for 50ms: see hello_timeout"),
        (&HelloBuilder::to("a.example")[..20], "it sent 20 bytes of a hello in 50ms: see hello_timeout"),
    ] {
        let mut client = proxy.connect();
        client.send(said);
        assert_eq!(client.receive_close(), Close::Reset);
        let record = proxy.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::SlowClient, Phase::Secure));
        assert_eq!(record.hint(), Some(told));
    }
}

#[test]
fn a_client_that_goes_before_its_hello_is_whole_is_told_as_it_went() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    let half = &HelloBuilder::to("a.example")[..20];

    let ends = |client: Connection| {
        drop(client);
        proxy.record().outcome.end
    };
    assert_eq!(ends(proxy.connect()), End::ClientGone);
    let mut client = proxy.connect();
    client.send(half);
    assert_eq!(ends(client), End::TlsFailed);
    let mut client = proxy.connect();
    client.send(half);
    client.reset();
    assert_eq!(proxy.record().outcome.end, End::ClientGone);
}

#[test]
fn what_follows_the_hello_moves_inside_the_kernel() {
    let a = Target::manual();
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    let (hello, length) = (HelloBuilder::to("a.example"), 16 << 20);

    let mut client = proxy.connect();
    client.send(&hello);
    let mut target = a.accept();
    let sending = thread::spawn(move || {
        client.send_stream(1, length);
        client.finish();
        client
    });
    assert_eq!(target.receive(hello.len()), hello);
    target.receive_stream(1, length);
    assert_eq!(target.receive_close(), Close::Fin);
    drop((sending.join().unwrap(), target));

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
    assert_eq!(outcome.traffic.up.delivered, (hello.len() + length) as u64);
}

#[test]
fn a_client_that_is_half_way_through_its_hello_keeps_the_route_it_began_with() {
    let (old, new) = (telling("old"), telling("new"));
    let port = ClosedPort::port();
    let config = |target: &Target| {
        format!(
            "routes.test = {{listen = '{}', names = {{ 'a.example' = '{}' }}}}",
            port.address, target.address
        )
    };
    let proxy = Proxy::builder().with(&config(&old));
    let hello = HelloBuilder::to("a.example");

    let mut client = proxy.connect();
    client.send(&hello[..30]);
    proxy.only_session();
    proxy.declare(&config(&new)).unwrap();
    client.send(&hello[30..]);
    client.finish();

    assert_eq!(client.receive_all().0, [b"old", &hello[..]].concat());
    reaches(&proxy, &hello, "new");
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}\nhello_timeout = '1h'", a.address));

    let crowd: Vec<Connection> = (0..300).map(|_| proxy.connect()).collect();
    reaches(&proxy, &HelloBuilder::to("a.example"), "a");

    assert_eq!(proxy.stop(Duration::ZERO), crowd.len());
    for mut silent in crowd {
        assert_eq!(silent.receive_close(), Close::Reset);
    }
    let drained = proxy.records().into_iter().filter(|record| record.outcome.end == End::Drained);
    assert!(drained.map(|record| record.outcome.phase).all(|phase| phase == Phase::Secure));
}
