//! Clients go by the name they ask for, and nobody notices that their hello was looked at.

use std::thread;
use std::time::Duration;

use loopgate::client_hello::MAX_BYTES;
use loopgate::outcome::{End, Phase, Way};

use crate::harness::{Close, ClosedPort, Connection, HelloBuilder, Proxy, Target};

/// A fatal alert: decode_error, unrecognized_name.
const DECODE_ERROR: &[u8] = b"\x15\x03\x03\x00\x02\x02\x32";
const UNRECOGNIZED_NAME: &[u8] = b"\x15\x03\x03\x00\x02\x02\x70";

/// Says which target it is, then answers after the client's FIN with all it heard.
fn telling(which: &'static str) -> Target {
    Target::serving_anywhere(move |mut connection| {
        connection.send(which.as_bytes());
        let (received, _) = connection.receive_all();
        connection.send(&received);
    })
}

/// A proxy with these lines about names in its route, beside where it listens.
fn proxy(lines: &str) -> Proxy {
    Proxy::builder().with(&route(lines))
}

fn route(lines: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\n{lines}\n")
}

/// Says all of this and FIN; gives what was answered.
fn exchange(proxy: &Proxy, bytes: &[u8]) -> (Vec<u8>, Close) {
    let mut client = proxy.connect();
    client.send(bytes);
    client.finish();
    client.receive_all()
}

/// Whether the target that calls itself so heard just this.
fn reaches(proxy: &Proxy, bytes: &[u8], which: &str) {
    let (received, ending) = exchange(proxy, bytes);
    assert_eq!(String::from_utf8_lossy(&received[..received.len().min(which.len())]), which);
    assert!(received[which.len()..] == *bytes, "{which} received something else");
    assert_eq!(ending, Close::Fin);
}

#[test]
fn each_client_goes_to_the_target_of_its_name() {
    let (a, b, others) = (telling("a"), telling("b"), telling("others"));
    let proxy = proxy(&format!(
        "target = '{}'\n[routes.test.names]\n'a.example' = '{}'\n'*.b.example' = '{}'",
        others.address, a.address, b.address
    ));

    for (name, which) in [
        ("a.example", "a"),
        ("A.EXAMPLE", "a"),
        ("x.b.example", "b"),
        ("y.x.b.example", "b"),
        ("b.example", "others"),
        ("c.example", "others"),
    ] {
        reaches(&proxy, &HelloBuilder::to(name), which);
        let record = proxy.record();
        assert_eq!(record.name.as_deref(), Some(&*name.to_ascii_lowercase()));
        assert_eq!((record.outcome.end, record.outcome.phase), (End::Done, Phase::Relay));
    }
    reaches(&proxy, &HelloBuilder::default().records(), "others");
    assert_eq!(proxy.record().name, None);
}

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
    let hello = include_bytes!("../../vectors/hellos/curl.bin");
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
        // As many extensions and records as in what is asked for.
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
fn who_asks_for_an_unknown_name_is_told_so() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}", a.address));

    for (hello, name) in
        [(HelloBuilder::to("b.example"), Some("b.example")), (HelloBuilder::default().records(), None)]
    {
        let mut client = proxy.connect();
        client.send(&hello);
        assert_eq!(client.receive_all(), (UNRECOGNIZED_NAME.to_vec(), Close::Reset));
        let record = proxy.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::NoName, Phase::Secure));
        assert_eq!(record.name.as_deref(), name);
        assert!(record.hint().is_some_and(|hint| hint.contains("write target")), "{record}");
    }
}

#[test]
fn a_strange_name_cannot_garble_the_record() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ '*.example' = '{}' }}", a.address));

    let mut client = proxy.connect();
    client.send(&HelloBuilder::default().name(b"x\x1b[31m\n end=done \".example").records());
    assert_eq!(client.receive_all(), (UNRECOGNIZED_NAME.to_vec(), Close::Reset));

    let line = proxy.record().to_string();
    assert!(line.contains(r#" name="x\u{1b}[31m\n end=done '.example" target="#), "{line}");
}

#[test]
fn a_protocol_goes_before_a_name() {
    let (a, acme, h2) = (telling("a"), telling("acme"), telling("h2"));
    let proxy = proxy(&format!(
        "names = {{ 'a.example' = '{}' }}\nalpn = {{ 'acme-tls/1' = '{}', 'h2' = '{}' }}",
        a.address, acme.address, h2.address
    ));
    let hello =
        |protocols: &[&str]| HelloBuilder::default().name(b"a.example").protocols(protocols).records();

    reaches(&proxy, &hello(&["acme-tls/1"]), "acme");
    reaches(&proxy, &hello(&["http/1.1", "h2", "acme-tls/1"]), "h2");
    reaches(&proxy, &hello(&["http/1.1"]), "a");
}

#[test]
fn who_speaks_no_tls_goes_elsewhere_and_who_waits_to_hear_first_as_well() {
    let (web, ssh) = (telling("web"), telling("ssh"));
    let proxy =
        proxy(&format!("target = '{}'\nnot_tls = '{}'\nhello_timeout = '50ms'", web.address, ssh.address));

    reaches(&proxy, &HelloBuilder::to("a.example"), "web");
    reaches(&proxy, b"SSH-2.0-x\r\n", "ssh");
    let mut client = proxy.connect();
    assert_eq!(client.receive(3), b"ssh");
    client.send(b"hello");
    client.finish();
    assert_eq!(client.receive_all(), (b"hello".to_vec(), Close::Fin));
}

#[test]
fn a_client_without_tls_is_reset_and_the_record_says_what_it_speaks() {
    let a = telling("a");
    let proxy = proxy(&format!("target = '{}'\nnames = {{ 'a.example' = '{}' }}", a.address, a.address));

    for (said, told) in [
        (&b"GET / HTTP/1.1\r\nCookie: secret\r\n\r\n"[..], "HTTP in plain text"),
        (b"SSH-2.0-x\r\n", "SSH"),
        (b"\x07\x1b[2Jxyzxyz", r"\x07\x1b[2Jxyz'"),
    ] {
        let mut client = proxy.connect();
        client.send(said);
        assert_eq!(client.receive_close(), Close::Reset);
        let record = proxy.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::TlsFailed, Phase::Secure));
        let line = record.to_string();
        assert!(line.contains(told) && !line.contains("secret"), "{line}");
    }
}

#[test]
fn who_is_slow_with_its_hello_is_reset() {
    let a = telling("a");
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}\nhello_timeout = '50ms'", a.address));

    for (said, told) in [
        (&b""[..], "it said nothing for 50ms: see hello_timeout"),
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
fn a_name_may_have_several_targets_and_each_is_as_any_other() {
    let (closed, a) = (ClosedPort::port(), telling("a"));
    let proxy = proxy(&format!(
        "balance = 'first'\nnames = {{ 'a.example' = ['{}', '{}'], 'b.example' = '{}' }}",
        closed.address, a.address, closed.address
    ));

    reaches(&proxy, &HelloBuilder::to("a.example"), "a");
    let outcome = proxy.record().outcome;
    assert_eq!(outcome.target, Some(a.address.into()));
    let mut client = proxy.connect();
    client.send(&HelloBuilder::to("b.example"));
    assert_eq!(client.receive_close(), Close::Reset);
    let record = proxy.record();
    assert_eq!((record.outcome.end.code(), record.outcome.phase), ("no_target", Phase::Connect));
    assert_eq!(*record.target, *closed.address.to_string());
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

#[test]
fn a_unix_socket_takes_names_as_well() {
    let (folder, a) = (tempfile::tempdir().unwrap(), telling("a"));
    let path = folder.path().join("proxy.sock");
    let _proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = 'unix:{}', names = {{ 'a.example' = '{}' }}}}",
        path.display(),
        a.address
    ));
    let hello = HelloBuilder::to("a.example");

    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut client, &hello[..10]).unwrap();
    std::io::Write::write_all(&mut client, &hello[10..]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut received = Vec::new();
    std::io::Read::read_to_end(&mut client, &mut received).unwrap();

    assert_eq!(received, [b"a", &hello[..]].concat());
}
