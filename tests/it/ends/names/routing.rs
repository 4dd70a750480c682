//! Where a name, a protocol or neither leads.

use loopgate::outcome::{End, Phase};

use super::{proxy, reaches, telling};
use crate::harness::{Close, ClosedPort, HelloBuilder, Proxy};

/// The fatal alert unrecognized_name.
const UNRECOGNIZED_NAME: &[u8] = b"\x15\x03\x03\x00\x02\x02\x70";

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
        assert!(record.hint().is_some_and(|hint| hint.contains("set target")), "{record}");
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
