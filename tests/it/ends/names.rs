//! Clients go by the name they ask for, and nobody notices that their hello was looked at.

use std::thread;
use std::time::Duration;

use loopgate::client_hello::MAX_BYTES;
use loopgate::outcome::{End, Phase, Way};

use crate::harness::{Closed, Ending, Gate, Hello, Target, Wire};

/// A fatal alert: decode_error, unrecognized_name.
const DECODE_ERROR: &[u8] = b"\x15\x03\x03\x00\x02\x02\x32";
const UNRECOGNIZED_NAME: &[u8] = b"\x15\x03\x03\x00\x02\x02\x70";

/// Says which target it is, then answers after the client's FIN with all it heard.
fn telling(which: &'static str) -> Target {
    Target::serving_anywhere(move |mut wire| {
        wire.say(which.as_bytes());
        let (heard, _) = wire.hear_all();
        wire.say(&heard);
    })
}

/// A gate with these lines about names in its route, beside where it listens.
fn gate(lines: &str) -> Gate {
    Gate::builder().with(&route(lines))
}

fn route(lines: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\n{lines}\n")
}

/// Says all of this and FIN; gives what was answered.
fn exchange(gate: &Gate, bytes: &[u8]) -> (Vec<u8>, Ending) {
    let mut client = gate.connect();
    client.say(bytes);
    client.finish();
    client.hear_all()
}

/// Whether the target that calls itself so heard just this.
fn reaches(gate: &Gate, bytes: &[u8], which: &str) {
    let (heard, ending) = exchange(gate, bytes);
    assert_eq!(String::from_utf8_lossy(&heard[..heard.len().min(which.len())]), which);
    assert!(heard[which.len()..] == *bytes, "{which} heard something else");
    assert_eq!(ending, Ending::Fin);
}

#[test]
fn each_client_goes_to_the_target_of_its_name() {
    let (a, b, others) = (telling("a"), telling("b"), telling("others"));
    let gate = gate(&format!(
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
        reaches(&gate, &Hello::to(name), which);
        let record = gate.record();
        assert_eq!(record.name.as_deref(), Some(&*name.to_ascii_lowercase()));
        assert_eq!((record.outcome.end, record.outcome.phase), (End::Done, Phase::Relay));
    }
    reaches(&gate, &Hello::default().records(), "others");
    assert_eq!(gate.record().name, None);
}

#[test]
fn a_hello_arrives_whole_wherever_it_was_cut() {
    let (a, others) = (telling("a"), telling("others"));
    let gate = gate(&format!("target = '{}'\nnames = {{ 'a.example' = '{}' }}", others.address, a.address));
    let hello = Hello::default().name(b"a.example").protocols(&["h2"]).records_of(50);

    for cut in 1..hello.len() {
        let mut client = gate.connect();
        client.say(&hello[..cut]);
        client.say(&hello[cut..]);
        client.finish();
        let (heard, _) = client.hear_all();
        assert!(heard == [b"a", &hello[..]].concat(), "cut at {cut}");
    }
    let mut client = gate.connect();
    hello.iter().for_each(|byte| client.say(&[*byte]));
    client.finish();
    assert_eq!(client.hear_all().0.len(), 1 + hello.len());
}

#[test]
fn the_hello_of_curl_arrives_whole_over_two_segments() {
    let hello = include_bytes!("../../vectors/hellos/curl.bin");
    let (a, others) = (telling("a"), telling("others"));
    let gate = gate(&format!("target = '{}'\nnames = {{ 'a.example' = '{}' }}", others.address, a.address));

    // All first pieces are there before any second one is sent.
    let mut clients: Vec<(usize, Wire)> =
        (1..hello.len()).step_by(3).map(|cut| (cut, gate.connect())).collect();
    clients.iter_mut().for_each(|(cut, client)| client.say(&hello[..*cut]));
    clients.iter_mut().for_each(|(cut, client)| client.say(&hello[*cut..]));

    for (cut, mut client) in clients {
        client.finish();
        assert!(client.hear_all() == ([b"a", &hello[..]].concat(), Ending::Fin), "cut at {cut}");
    }
}

#[test]
fn the_longest_hello_is_read_and_a_longer_one_told_that_it_is_none() {
    let a = telling("a");
    let gate = gate(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    let long = |bytes: usize| {
        let with = |padding: usize| Hello::default().name(b"a.example").padding(padding).records();
        // As many extensions and records as in what is asked for.
        with(60_000 + bytes - with(60_000).len())
    };

    for bytes in [2_000, 20_000, MAX_BYTES] {
        let hello = if bytes < MAX_BYTES {
            Hello::default().name(b"a.example").padding(bytes).records()
        } else {
            long(bytes)
        };
        reaches(&gate, &hello, "a");
        assert_eq!(gate.record().outcome.traffic.up.delivered, hello.len() as u64);
    }
    assert_eq!(long(MAX_BYTES).len(), MAX_BYTES);
    let mut client = gate.connect();
    // Its own word for its length is enough.
    client.say(&Hello::default().padding(65_500).records()[..1000]);
    assert_eq!(client.hear_all(), (DECODE_ERROR.to_vec(), Ending::Reset));
    let record = gate.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::TlsFailed, Phase::Secure));
    assert_eq!(record.hint(), Some("the TLS hello is longer than 64 KiB"));
}

#[test]
fn a_hello_that_never_ends_is_cut_at_the_bound() {
    let a = telling("a");
    let gate = gate(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    // Each record is in order and has one byte of a hello that is in order, too.
    let hello = Hello::default().name(b"a.example").padding(60_000).records_of(1);

    let mut client = gate.connect();
    let mut said = 0;
    while said < hello.len() {
        match client.try_say(&hello[said..]) {
            Ok(more) => said += more,
            Err(_) => break,
        }
    }
    drop(client);

    let record = gate.record();
    assert_eq!((record.outcome.end, record.outcome.traffic.up.read), (End::TlsFailed, 0));
    assert_eq!(record.hint(), Some("the TLS hello is longer than 64 KiB"));
}

#[test]
fn who_asks_for_an_unknown_name_is_told_so() {
    let a = telling("a");
    let gate = gate(&format!("names = {{ 'a.example' = '{}' }}", a.address));

    for (hello, name) in [(Hello::to("b.example"), Some("b.example")), (Hello::default().records(), None)] {
        let mut client = gate.connect();
        client.say(&hello);
        assert_eq!(client.hear_all(), (UNRECOGNIZED_NAME.to_vec(), Ending::Reset));
        let record = gate.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::NoName, Phase::Secure));
        assert_eq!(record.name.as_deref(), name);
        assert!(record.hint().is_some_and(|hint| hint.contains("write target")), "{record}");
    }
}

#[test]
fn a_strange_name_cannot_garble_the_record() {
    let a = telling("a");
    let gate = gate(&format!("names = {{ '*.example' = '{}' }}", a.address));

    let mut client = gate.connect();
    client.say(&Hello::default().name(b"x\x1b[31m\n end=done \".example").records());
    assert_eq!(client.hear_all(), (UNRECOGNIZED_NAME.to_vec(), Ending::Reset));

    let line = gate.record().to_string();
    assert!(line.contains(r#" name="x\u{1b}[31m\n end=done '.example" target="#), "{line}");
}

#[test]
fn a_protocol_goes_before_a_name() {
    let (a, acme, h2) = (telling("a"), telling("acme"), telling("h2"));
    let gate = gate(&format!(
        "names = {{ 'a.example' = '{}' }}\nalpn = {{ 'acme-tls/1' = '{}', 'h2' = '{}' }}",
        a.address, acme.address, h2.address
    ));
    let hello = |protocols: &[&str]| Hello::default().name(b"a.example").protocols(protocols).records();

    reaches(&gate, &hello(&["acme-tls/1"]), "acme");
    reaches(&gate, &hello(&["http/1.1", "h2", "acme-tls/1"]), "h2");
    reaches(&gate, &hello(&["http/1.1"]), "a");
}

#[test]
fn who_speaks_no_tls_goes_elsewhere_and_who_waits_to_hear_first_as_well() {
    let (web, ssh) = (telling("web"), telling("ssh"));
    let gate =
        gate(&format!("target = '{}'\nnot_tls = '{}'\nhello_timeout = '50ms'", web.address, ssh.address));

    reaches(&gate, &Hello::to("a.example"), "web");
    reaches(&gate, b"SSH-2.0-x\r\n", "ssh");
    let mut client = gate.connect();
    assert_eq!(client.hear(3), b"ssh");
    client.say(b"hello");
    client.finish();
    assert_eq!(client.hear_all(), (b"hello".to_vec(), Ending::Fin));
}

#[test]
fn who_speaks_no_tls_where_nothing_is_for_it_is_reset_and_the_record_says_what_it_speaks() {
    let a = telling("a");
    let gate = gate(&format!("target = '{}'\nnames = {{ 'a.example' = '{}' }}", a.address, a.address));

    for (said, told) in [
        (&b"GET / HTTP/1.1\r\nCookie: secret\r\n\r\n"[..], "HTTP in plain text"),
        (b"SSH-2.0-x\r\n", "SSH"),
        (b"\x07\x1b[2Jxyzxyz", r"\x07\x1b[2Jxyz'"),
    ] {
        let mut client = gate.connect();
        client.say(said);
        assert_eq!(client.hear_end(), Ending::Reset);
        let record = gate.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::TlsFailed, Phase::Secure));
        let line = record.to_string();
        assert!(line.contains(told) && !line.contains("secret"), "{line}");
    }
}

#[test]
fn who_is_slow_with_its_hello_is_reset() {
    let a = telling("a");
    let gate = gate(&format!("names = {{ 'a.example' = '{}' }}\nhello_timeout = '50ms'", a.address));

    for (said, told) in [
        (&b""[..], "it said nothing for 50ms: see hello_timeout"),
        (&Hello::to("a.example")[..20], "it sent 20 bytes of a hello in 50ms: see hello_timeout"),
    ] {
        let mut client = gate.connect();
        client.say(said);
        assert_eq!(client.hear_end(), Ending::Reset);
        let record = gate.record();
        assert_eq!((record.outcome.end, record.outcome.phase), (End::SlowClient, Phase::Secure));
        assert_eq!(record.hint(), Some(told));
    }
}

#[test]
fn a_client_that_goes_before_its_hello_is_whole_is_told_as_it_went() {
    let a = telling("a");
    let gate = gate(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    let half = &Hello::to("a.example")[..20];

    let ends = |client: Wire| {
        drop(client);
        gate.record().outcome.end
    };
    assert_eq!(ends(gate.connect()), End::ClientGone);
    let mut client = gate.connect();
    client.say(half);
    assert_eq!(ends(client), End::TlsFailed);
    let mut client = gate.connect();
    client.say(half);
    client.reset();
    assert_eq!(gate.record().outcome.end, End::ClientGone);
}

#[test]
fn what_follows_the_hello_moves_inside_the_kernel() {
    let a = Target::by_hand();
    let gate = gate(&format!("names = {{ 'a.example' = '{}' }}", a.address));
    let (hello, length) = (Hello::to("a.example"), 16 << 20);

    let mut client = gate.connect();
    client.say(&hello);
    let mut target = a.accept();
    let sending = thread::spawn(move || {
        client.say_stream(1, length);
        client.finish();
        client
    });
    assert_eq!(target.hear(hello.len()), hello);
    target.hear_stream(1, length);
    assert_eq!(target.hear_end(), Ending::Fin);
    drop((sending.join().unwrap(), target));

    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
    assert_eq!(outcome.traffic.up.delivered, (hello.len() + length) as u64);
}

#[test]
fn a_name_may_have_several_targets_and_each_is_as_any_other() {
    let (closed, a) = (Closed::port(), telling("a"));
    let gate = gate(&format!(
        "balance = 'first'\nnames = {{ 'a.example' = ['{}', '{}'], 'b.example' = '{}' }}",
        closed.address, a.address, closed.address
    ));

    reaches(&gate, &Hello::to("a.example"), "a");
    let outcome = gate.record().outcome;
    assert_eq!(outcome.target, Some(a.address.into()));
    let mut client = gate.connect();
    client.say(&Hello::to("b.example"));
    assert_eq!(client.hear_end(), Ending::Reset);
    let record = gate.record();
    assert_eq!((record.outcome.end.code(), record.outcome.phase), ("no_target", Phase::Connect));
    assert_eq!(*record.target, *closed.address.to_string());
}

#[test]
fn a_client_that_is_half_way_through_its_hello_keeps_the_route_it_began_with() {
    let (old, new) = (telling("old"), telling("new"));
    let port = Closed::port();
    let config = |target: &Target| {
        format!(
            "routes.test = {{listen = '{}', names = {{ 'a.example' = '{}' }}}}",
            port.address, target.address
        )
    };
    let gate = Gate::builder().with(&config(&old));
    let hello = Hello::to("a.example");

    let mut client = gate.connect();
    client.say(&hello[..30]);
    gate.only_session();
    gate.declare(&config(&new)).unwrap();
    client.say(&hello[30..]);
    client.finish();

    assert_eq!(client.hear_all().0, [b"old", &hello[..]].concat());
    reaches(&gate, &hello, "new");
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let a = telling("a");
    let gate = gate(&format!("names = {{ 'a.example' = '{}' }}\nhello_timeout = '1h'", a.address));

    let crowd: Vec<Wire> = (0..300).map(|_| gate.connect()).collect();
    reaches(&gate, &Hello::to("a.example"), "a");

    assert_eq!(gate.stop(Duration::ZERO), crowd.len());
    for mut silent in crowd {
        assert_eq!(silent.hear_end(), Ending::Reset);
    }
    let drained = gate.records().into_iter().filter(|record| record.outcome.end == End::Drained);
    assert!(drained.map(|record| record.outcome.phase).all(|phase| phase == Phase::Secure));
}

#[test]
fn a_unix_socket_takes_names_as_well() {
    let (folder, a) = (tempfile::tempdir().unwrap(), telling("a"));
    let path = folder.path().join("gate.sock");
    let _gate = Gate::builder().with(&format!(
        "routes.test = {{listen = 'unix:{}', names = {{ 'a.example' = '{}' }}}}",
        path.display(),
        a.address
    ));
    let hello = Hello::to("a.example");

    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut client, &hello[..10]).unwrap();
    std::io::Write::write_all(&mut client, &hello[10..]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    std::io::Read::read_to_end(&mut client, &mut heard).unwrap();

    assert_eq!(heard, [b"a", &hello[..]].concat());
}
