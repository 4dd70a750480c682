//! Names beside the other settings of a route, and clients that ask for strange ones.

use loopgate::outcome::{End, Phase, Way};

use crate::harness::{Close, Connection, HelloBuilder, Proxy, Target};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
const UNRECOGNIZED_NAME: &[u8] = b"\x15\x03\x03\x00\x02\x02\x70";

/// A proxy with these lines in its only route, added to `listen`.
fn proxy(lines: &str) -> Proxy {
    Proxy::builder().with(&format!("[routes.test]\nlisten = '127.0.0.1:0'\n{lines}\n"))
}

/// Version 2 of the same line.
fn binary_line() -> Vec<u8> {
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &[192, 0, 2, 1, 198, 51, 100, 2, 220, 4, 1, 187][..]].concat()
}

#[test]
fn a_hello_behind_a_proxy_header_chooses_wherever_the_two_are_cut() {
    let (a, others) = (Target::answering_after_fin(), Target::manual());
    let proxy = proxy(&format!(
        "accept_proxy = 'localhost'\naccept_proxy_timeout = '1m'\ntarget = '{}'\nnames = {{ 'a.example' = '{}' }}",
        others.address, a.address
    ));
    let hello = HelloBuilder::to("a.example");

    for header in [LINE.to_vec(), binary_line()] {
        let all = [&header[..], &hello].concat();
        let mut clients: Vec<(usize, Connection)> =
            (0..all.len()).map(|cut| (cut, proxy.connect())).collect();
        clients.iter_mut().for_each(|(cut, client)| client.send(&all[..*cut]));
        clients.iter_mut().for_each(|(cut, client)| client.send(&all[*cut..]));
        for (cut, mut client) in clients {
            client.finish();
            assert!(client.receive_all() == (hello.clone(), Close::Fin), "cut at {cut}");
            let record = proxy.record();
            assert_eq!(record.client.to_string(), "192.0.2.1:56324");
            assert_eq!((record.name.as_deref(), record.outcome.end), (Some("a.example"), End::Done));
            assert_eq!(record.outcome.target, Some(a.address.into()));
        }
    }
}

#[test]
fn the_target_of_a_name_hears_who_the_client_is_then_the_hello() {
    let a = Target::manual();
    let proxy = proxy(&format!(
        "accept_proxy = 'localhost'\nsend_proxy = 'v1'\nbandwidth = '1gbit'\nnames = {{ 'a.example' = '{}' }}",
        a.address
    ));
    let (hello, length) = (HelloBuilder::default().name(b"a.example").padding(3_000).records(), 8 << 20);

    let mut client = proxy.connect();
    client.send(&[LINE, &hello].concat());
    let mut target = a.accept();
    assert_eq!(target.receive(LINE.len()), LINE);
    assert_eq!(target.receive(hello.len()), hello);
    let sending = std::thread::spawn(move || {
        client.send_stream(1, length);
        client.finish();
        client
    });
    target.receive_stream(1, length);
    drop((sending.join().unwrap(), target));

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
    assert_eq!(outcome.traffic.up.delivered, (hello.len() + length) as u64);
}

#[test]
fn who_must_speak_in_time_does_not_go_where_the_silent_go() {
    let (web, ssh) = (Target::answering_after_fin(), Target::manual());
    let proxy = proxy(&format!(
        "client_timeout = '50ms'\nhello_timeout = '20s'\ntarget = '{}'\nnot_tls = '{}'",
        web.address, ssh.address
    ));

    assert_eq!(proxy.connect().receive_close(), Close::Reset);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::SlowClient, Phase::Admit));
    // Whoever has begun has all of hello_timeout for the rest.
    let hello = HelloBuilder::to("a.example");
    let mut client = proxy.connect();
    client.send(&hello[..9]);
    client.send(&hello[9..]);
    client.finish();
    assert_eq!(client.receive_all(), (hello, Close::Fin));
}

#[test]
fn a_client_that_resets_behind_its_hello_is_told_as_it_went() {
    let a = Target::manual();
    let proxy = proxy(&format!("names = {{ 'a.example' = '{}' }}", a.address));

    let mut client = proxy.connect();
    client.send(&HelloBuilder::to("a.example"));
    let mut target = a.accept();
    client.reset();

    assert_eq!(target.receive_all().1, Close::Reset);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::ClientReset, Phase::Relay));
}

#[test]
fn strange_names_are_turned_away_and_shown_in_one_short_line() {
    let a = Target::manual();
    let names = format!("names = {{ 'a.example' = '{0}', '*.b.example' = '{0}' }}", a.address);

    for name in [
        &b"a.example\0"[..],
        b"a.example\0.b.example",
        b"\0",
        b".",
        b"..",
        b"a..b.example",
        b".b.example",
        b"*.b.example",
        b"a.example..",
        b"127.0.0.1",
        b"::1",
        b"[::1]",
        b"a.example:443",
        "ä.b.example".as_bytes(),
        b"\xff\xfe.b.example",
        "\u{202e}elpmaxe.a".as_bytes(),
        b"\x1b]0;title\x07.b.example",
        b"a\r\nend=done",
        &[&[b'x'; 300][..], b".b.example"].concat(),
        &[b'.'; 16_000],
    ] {
        // Each is the first of its proxy, whose record is not held back to be counted with others like it.
        let proxy = proxy(&names);
        let mut client = proxy.connect();
        client.send(&HelloBuilder::default().name(name).records());
        assert_eq!(
            client.receive_all(),
            (UNRECOGNIZED_NAME.to_vec(), Close::Reset),
            "{}",
            name.escape_ascii()
        );
        let record = proxy.record();
        assert_eq!(record.outcome.end, End::NoName);
        let line = record.to_string();
        assert!(line.len() < 2_000 && !line.contains(['\u{202e}', '\u{feff}']), "{line}");
        assert!(!line.contains(char::is_control), "{}", line.escape_debug());
    }
}

#[test]
fn what_is_no_hello_ends_with_the_alert_for_it_and_the_route_goes_on() {
    let a = Target::answering_after_fin();
    let names = format!("names = {{ 'a.example' = '{}' }}", a.address);
    let hello = HelloBuilder::to("a.example");
    let longer = |at: usize| [&hello[..at], &[hello[at].wrapping_add(1)], &hello[at + 1..]].concat();

    for (bytes, alert) in [
        (b"\x16\x03\x01\0\0".to_vec(), Some(10)),
        (b"\x16\x03\x01\xff\xff\x01".to_vec(), Some(22)),
        (b"\x16\x03\x01\0\x04\x02\0\0\0".to_vec(), Some(10)),
        (b"\x16\x03\x01\0\x04\x01\xff\xff\xff".to_vec(), Some(50)),
        // The length of the session's id, and that of all extensions.
        (longer(43), Some(50)),
        (longer(51), Some(50)),
        (HelloBuilder::default().name(b"a.example").name(b"a.example").records(), Some(47)),
        (HelloBuilder::default().name(b"a.example").protocols(&["h2", ""]).records(), Some(50)),
        // SSL 2.0 does not know our alerts.
        (b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10".to_vec(), None),
        (b"\x15\x03\x01\0\x02\x02\x28".to_vec(), None),
    ] {
        let proxy = proxy(&names);
        let mut client = proxy.connect();
        client.send(&bytes);
        let (received, ending) = client.receive_all();
        assert_eq!((received.get(6).copied(), ending), (alert, Close::Reset), "{bytes:x?}");
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.phase), (End::TlsFailed, Phase::Secure), "{bytes:x?}");

        let mut client = proxy.connect();
        client.send(&hello);
        client.finish();
        assert_eq!(client.receive_all(), (hello.clone(), Close::Fin));
    }
}

#[test]
fn a_hidden_name_is_not_guessed_and_the_outer_one_chooses() {
    let a = Target::answering_after_fin();
    let proxy = proxy(&format!("names = {{ 'outer.example' = '{}' }}", a.address));
    // encrypted_client_hello (RFC 9849) between two reserved extensions (GREASE, RFC 8701).
    let hello = HelloBuilder::default().extension(0x0a0a, b"").extension(0xfe0d, b"\0\0\x01\0\x01 a.example");
    let hello = hello.name(b"outer.example").extension(0x1a1a, b"\0").records();

    let mut client = proxy.connect();
    client.send(&hello);
    client.finish();

    assert_eq!(client.receive_all(), (hello, Close::Fin));
    assert_eq!(proxy.record().name.as_deref(), Some("outer.example"));
}
