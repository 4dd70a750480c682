//! TLS under enemies and careless users: odd closes, floods, bad certificates, and other settings beside it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime};

use loopgate::outcome::{Cause, End, Phase, Side};

use crate::harness::tls::{Authority, TlsConnection, tls_echo, tls_target};
use crate::harness::{Close, Program, Proxy, TIMEOUT, Target, wait_until};

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority
}

/// A proxy that speaks TLS with clients, with more keys of its route.
fn proxy(authority: &Authority, target: impl std::fmt::Display, more: &str) -> Proxy {
    let tls = authority.tls("web");
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{target}', tls = {{{tls}}}{more}}}"
    ))
}

#[test]
fn a_client_that_closes_without_close_notify_after_all_ends_in_order() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = proxy(&authority, target.address, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"a question");
    let mut served = target.accept();
    served.receive(10);
    served.send(b"the whole answer");
    served.finish();
    assert_eq!(client.receive_all(), (b"the whole answer".to_vec(), Close::Fin));

    client.cut();

    assert_eq!(served.receive_close(), Close::Fin);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.closed_by), (End::Done, Some(Side::Target)));
}

#[test]
fn bytes_of_a_tls_client_for_a_target_that_has_closed_altogether_are_not_done() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = proxy(&authority, target.address, "");
    for _ in 0..10 {
        let mut client = TlsConnection::to(proxy.address, &authority.client(None));
        client.send(b"?");
        let mut served = target.accept();
        served.receive(1);
        drop(served);
        assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));

        // A reset that is quick is met by the second.
        let _ = client.tls.write_all(&[7; 16_000]);
        client.tls.conn.send_close_notify();
        let _ = client.tls.flush();
        let _ = client.tls.sock.shutdown(Shutdown::Write);

        let outcome = proxy.record().outcome;
        // A client that is slower than the proxy is refused at once, and nothing is read.
        let is_refused = outcome.end == End::Done && outcome.traffic.up.read == 1;
        let is_told = outcome.end == End::TargetReset && outcome.traffic.up.delivered == 1;
        assert!(is_refused || is_told, "{outcome:?}");
    }
}

#[test]
fn what_a_tls_client_has_read_is_counted_though_it_leaves_the_close_notify_unread() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = proxy(&authority, target.address, "");
    for length in [187, 100_000].repeat(15) {
        let mut client = TlsConnection::to(proxy.address, &authority.client(None));
        client.send(b"?");
        let mut served = target.accept();
        served.receive(1);
        served.send_stream(1, length);
        served.finish();
        client.receive_stream(1, length);
        drop(client);
        drop(served);

        let traffic = proxy.record().outcome.traffic;
        assert_eq!((traffic.down.delivered, traffic.down.lost()), (length as u64, 0));
    }
}

#[test]
fn a_hello_that_comes_byte_by_byte_is_answered() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = proxy(&authority, target.address, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.tls.sock.set_nodelay(true).unwrap();
    let mut hello = Vec::new();
    client.tls.conn.write_tls(&mut hello).unwrap();

    for byte in hello.chunks(1) {
        client.tls.sock.write_all(byte).unwrap();
    }

    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
}

#[test]
fn a_client_that_changes_its_keys_with_every_word_loses_nothing() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = proxy(&authority, target.address, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.handshake().unwrap();

    for n in 0..200_u8 {
        client.tls.conn.refresh_traffic_keys().unwrap();
        client.send(&[n; 100]);
        assert_eq!(client.receive(100), [n; 100]);
    }
}

#[test]
fn a_flood_of_key_changes_is_ended_with_its_reason() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = proxy(&authority, target.address, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"x");
    let mut served = target.accept();
    served.receive(1);

    // More than is read at once: what follows the fault must not be opened.
    for _ in 0..5000 {
        client.tls.conn.refresh_traffic_keys().unwrap();
    }
    while client.tls.conn.wants_write() && client.tls.conn.write_tls(&mut client.tls.sock).is_ok() {}

    assert_eq!(served.receive_close(), Close::Reset);
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::TlsFailed, "{record}");
    assert!(record.hint().unwrap().contains("broke the rules of TLS"), "{record}");
}

/// A record that no key decrypts.
const BAD_RECORD: &[u8] = b"\x17\x03\x03\x00\x20and its bytes are not encrypted!";

/// Longer than any test waits.
const LONG: &str = ", reset_linger = '1h'";

#[test]
fn a_record_of_a_client_that_does_not_decrypt_ends_both_connections_at_once_with_an_alert() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = proxy(&authority, target.address, LONG);
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"all of it");
    let mut served = target.accept();

    client.tls.sock.write_all(BAD_RECORD).unwrap();

    assert_eq!(served.receive_all(), (b"all of it".to_vec(), Close::Reset));
    let error = client.tls.read(&mut [0]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.traffic.up.delivered), (End::TlsFailed, 9), "{record}");
}

#[test]
fn a_record_of_a_target_that_does_not_decrypt_ends_both_connections_at_once() {
    let authority = authority();
    let target = tls_target(authority.server("web", false), |mut tls| {
        tls.write_all(b"a part").unwrap();
        tls.flush().unwrap();
        tls.sock.write_all(BAD_RECORD).unwrap();
        // It stays, and sends nothing more.
        let _ = tls.sock.read_to_end(&mut Vec::new());
    });
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{ca = '{}'}}{LONG}}}",
        target.address,
        authority.file("ca.pem").display()
    ));
    let mut client = proxy.connect();

    assert_eq!(client.receive_all(), (b"a part".to_vec(), Close::Reset));
    assert_eq!(proxy.record().outcome.end, End::TargetReset);
}

#[test]
fn a_client_that_breaks_tls_and_reads_nothing_is_not_kept_for_its_unread_bytes() {
    let (authority, target) = (authority(), Target::sending(5, 32 << 20));
    let proxy = proxy(&authority, target.address, LONG);
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.handshake().unwrap();
    let session = proxy.only_session();
    wait_until("bytes are on their way", || (session.meter.traffic().down.read > 0).then_some(()));

    client.tls.sock.write_all(BAD_RECORD).unwrap();

    assert_eq!(proxy.record().outcome.end, End::TlsFailed);
}

#[test]
fn a_client_that_resets_in_the_middle_of_the_handshake_is_told_as_one() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = proxy(&authority, target.address, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send_hello();
    client.tls.sock.peek(&mut [0]).unwrap();

    // What was answered is unread: closed so, it is a reset.
    drop(client);

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::TlsFailed, Phase::Secure));
    assert!(record.hint().unwrap().contains("reset"), "{record}");
}

#[test]
fn a_tls_client_behind_a_proxy_is_announced_to_a_unix_socket() {
    let authority = authority();
    let path = authority.folder().join("service");
    let listener = UnixListener::bind(&path).unwrap();
    let more = ", accept_proxy = '127.0.0.0/8', send_proxy = 'v1'";
    let proxy = proxy(&authority, format!("unix:{}", path.display()), more);
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    // In one segment: the header must be read to its last byte and no further.
    let mut first = b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 443\r\n".to_vec();
    let header = first.clone();
    client.tls.conn.write_tls(&mut first).unwrap();
    client.tls.sock.write_all(&first).unwrap();
    client.send(b"hello");

    let (mut served, _) = listener.accept().unwrap();
    served.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut received = vec![0; header.len() + 5];
    served.read_exact(&mut received).unwrap();
    assert_eq!(received, [&header[..], b"hello"].concat());
    served.write_all(b"welcome").unwrap();
    drop(served);

    assert_eq!(client.receive_all(), (b"welcome".to_vec(), Close::Fin));
}

#[test]
fn a_slow_tls_stream_is_whole_and_an_idle_one_is_ended() {
    let (authority, target) = (authority(), Target::echo());
    let more = ", bandwidth_per_connection = '40mbit', bandwidth = '80mbit', idle_timeout = '5s'";
    let proxy = proxy(&authority, target.address, more);
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));

    client.send_stream(1, 300_000);
    client.receive_stream(1, 300_000);

    assert_eq!(client.receive_all(), (Vec::new(), Close::Reset));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.traffic.down.delivered), (End::Idle, 300_000));
    assert!(record.client_tls.is_some(), "how it was secured is told of one that was cut too");
}

#[test]
fn a_tls_session_as_old_as_may_be_is_ended() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = proxy(&authority, target.address, ", max_session_age = '1s'");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));

    client.send_stream(1, 1000);
    client.receive_stream(1, 1000);

    assert_eq!(client.receive_all(), (Vec::new(), Close::Reset));
    assert_eq!(proxy.record().outcome.end, End::Expired);
}

#[test]
fn what_is_wrong_with_a_targets_certificate_is_told_in_words() {
    let (authority, day) = (authority(), Duration::from_secs(86_400));
    let names = &["localhost", "127.0.0.1"];
    authority.issue_for("old", names, |params| params.not_after = (SystemTime::now() - day).into());
    authority.issue_for("new", names, |params| params.not_before = (SystemTime::now() + day).into());

    for (own, told) in [("old", "has expired"), ("new", "is not good yet")] {
        let target = tls_echo(authority.server(own, false));
        let proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{ca = '{}'}}}}",
            target.address,
            authority.file("ca.pem").display()
        ));
        let mut client = proxy.connect();

        assert_eq!(client.receive_close(), Close::Reset);
        let record = proxy.record();
        assert_eq!(record.outcome.end, End::NoTarget(Cause::TlsUntrusted));
        assert!(record.hint().unwrap().contains(told), "{record}");
    }
}

#[test]
fn a_certificate_is_taken_over_when_kubernetes_swaps_its_folder() {
    let (authority, target) = (Authority::new(), Target::echo());
    let folder = authority.folder().to_owned();
    let issue = |to: &str, name: &str| {
        std::fs::create_dir(folder.join(to)).unwrap();
        authority.issue(&format!("{to}/served"), &[name]);
    };
    issue("..first", "first.example");
    symlink("..first", folder.join("..data")).unwrap();
    for file in ["served.pem", "served.key"] {
        symlink(format!("..data/{file}"), folder.join(file)).unwrap();
    }
    let config = folder.join("loopgate.toml");
    let tls = "{certificate = 'served.pem', key = 'served.key'}";
    let text = format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\ntls = {tls}\n", target.address);
    std::fs::write(&config, text).unwrap();
    let mut program = Program::start(["run", "-c", config.to_str().unwrap()]);
    let address = program.address();

    issue("..second", "second.example");
    symlink("..second", folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();

    program.wait_for("reload added=0 replaced=1 removed=0");
    let client = authority.client(None);
    assert!(TlsConnection::naming("second.example", address, &client).handshake().is_ok());
}
