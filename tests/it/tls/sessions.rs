//! TLS with clients and with targets: what arrives, how it ends, and what is said when it fails.

use std::sync::Arc;

use loopgate::outcome::{Cause, End, Phase, Side, Way};

use crate::harness::tls::{Authority, TlsConnection, tls_echo};
use crate::harness::{Close, Connection, Program, Proxy, Target};

/// More than any buffer on the way holds, and no multiple of a record.
const MUCH: usize = 5_000_001;

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority
}

/// A proxy that speaks TLS with clients, with more keys of `[routes.test.tls]`.
fn terminating(authority: &Authority, target: &Target, more: &str) -> Proxy {
    let tls = authority.tls("web");
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{{tls}{more}}}}}",
        target.address
    ))
}

/// A proxy that speaks TLS with the target alone.
fn originating(target: &Target, target_tls: &str) -> Proxy {
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{{target_tls}}}}}",
        target.address
    ))
}

fn ca(authority: &Authority) -> String {
    format!("ca = '{}'", authority.file("ca.pem").display())
}

fn hint(proxy: &Proxy) -> (End, Phase, String) {
    let outcome = proxy.record().outcome;
    (outcome.end, outcome.phase, outcome.hint.as_deref().unwrap_or_default().to_owned())
}

#[test]
fn every_byte_arrives_through_tls_with_the_client() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = terminating(&authority, &target, "");

    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let mut client = TlsConnection::to(proxy.address, &authority.client_of(None, versions));
        client.send_stream(1, 300_000);
        client.receive_stream(1, 300_000);
        client.finish();

        assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.way, outcome.closed_by), (End::Done, Way::Tls, Some(Side::Client)));
        assert_eq!((outcome.traffic.up.delivered, outcome.traffic.down.delivered), (300_000, 300_000));
    }
}

#[test]
fn every_byte_arrives_through_tls_with_the_target_and_with_both() {
    let authority = authority();
    let target = tls_echo(authority.server("web", false));

    let proxy = originating(&target, &ca(&authority));
    let mut client = proxy.connect();
    client.send_stream(2, 300_000);
    client.receive_stream(2, 300_000);
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.way, outcome.traffic.up.delivered), (End::Done, Way::Tls, 300_000));

    let tls = authority.tls("web");
    let both = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{{tls}}}, target_tls = {{{}}}}}",
        target.address,
        ca(&authority)
    ));
    let mut client = TlsConnection::to(both.address, &authority.client(None));
    client.send_stream(3, 300_000);
    client.receive_stream(3, 300_000);
    client.finish();
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    assert_eq!(both.record().outcome.end, End::Done);
}

#[test]
fn a_sink_that_takes_nothing_holds_the_source_back_and_loses_nothing() {
    let (authority, target) = (authority(), Target::sending(4, MUCH));
    let proxy = terminating(&authority, &target, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.handshake().unwrap();
    let session = proxy.only_session();
    crate::harness::wait_until("the client's side is full, or everything on its way", || {
        let before = session.meter.traffic().down.read;
        std::thread::yield_now();
        (before > 0 && before == session.meter.traffic().down.read).then_some(())
    });

    client.receive_stream(4, MUCH);

    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    client.finish();
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.traffic.down.delivered), (End::Done, MUCH as u64));
}

#[test]
fn a_half_closed_client_still_receives_the_rest_through_tls() {
    let (authority, target) = (authority(), Target::answering_after_fin());
    let proxy = terminating(&authority, &target, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));

    client.send(b"the whole question");
    client.finish();

    assert_eq!(client.receive_all(), (b"the whole question".to_vec(), Close::Fin));
    assert_eq!(proxy.record().outcome.end, End::Done);
}

#[test]
fn a_stream_cut_without_close_notify_is_passed_on_as_a_reset_behind_its_bytes() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"half of it");

    let mut served = target.accept();
    client.cut();

    assert_eq!(served.receive_all(), (b"half of it".to_vec(), Close::Reset));
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.closed_by), (End::ClientReset, Some(Side::Client)));
    assert!(outcome.hint.unwrap().contains("without close_notify"));
}

#[test]
fn a_reset_of_the_target_does_not_look_like_an_end_to_a_tls_client() {
    let (authority, target) = (authority(), Target::resetting_after(b"half of it"));
    let proxy = terminating(&authority, &target, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));

    assert_eq!(client.receive_all(), (b"half of it".to_vec(), Close::Reset));
    assert_eq!(proxy.record().outcome.end, End::TargetReset);
}

#[test]
fn a_client_that_speaks_something_else_is_told_apart_and_the_route_goes_on() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = terminating(&authority, &target, "");

    for (words, told) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not TLS"),
        (&[0x16, 0x03, 0x01, 0xff, 0xff, 1, 0, 0, 0], "TLS"),
    ] {
        let mut client = proxy.connect();
        client.send(words);
        client.receive_all();

        let (end, phase, hint) = hint(&proxy);
        assert_eq!((end, phase), (End::TlsFailed, Phase::Secure));
        assert!(hint.contains(told), "{hint}");
    }
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"still here");
    assert_eq!(client.receive(10), b"still here");
}

#[test]
fn a_hello_that_never_ends_is_bounded() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = terminating(&authority, &target, "");
    let mut client = proxy.connect();

    // A message of 16 MiB, in records of 16 KiB without end.
    let mut record = vec![0x16, 0x03, 0x01, 0x40, 0x00, 1, 0xff, 0xff, 0xff];
    record.resize(5 + (16 << 10), 0);
    while client.try_send(&record).is_ok() {}

    let (end, phase, hint) = hint(&proxy);
    assert_eq!((end, phase), (End::TlsFailed, Phase::Secure));
    assert!(hint.contains("larger than any"), "{hint}");
}

#[test]
fn silent_clients_end_at_the_deadline_and_keep_nobody_out() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = terminating(&authority, &target, ", handshake_timeout = '6s'");

    let mut silent: Vec<Connection> = (0..200).map(|_| proxy.connect()).collect();
    for connection in silent.iter_mut().skip(100) {
        connection.send(&[0x16, 0x03, 0x01]);
    }
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");

    for connection in &mut silent {
        assert_eq!(connection.receive_close(), Close::Reset);
    }
    let (end, phase, hint) = hint(&proxy);
    assert_eq!((end, phase), (End::TlsFailed, Phase::Secure));
    assert!(hint.contains("handshake_timeout"), "{hint}");
}

#[test]
fn only_clients_with_a_certificate_and_a_name_on_the_list_come_in() {
    let (authority, target, stranger) = (authority(), Target::echo(), Authority::called("somebody else"));
    authority.issue("guest", &["db.example.com"]);
    authority.issue("other", &["other.example.org"]);
    stranger.issue("guest", &["db.example.com"]);
    let more = format!(
        ", client_ca = '{}', client_names = ['*.example.com', 'spiffe://mesh/*']",
        authority.file("ca.pem").display()
    );
    let proxy = terminating(&authority, &target, &more);
    let guest = |own: Option<&str>| TlsConnection::to(proxy.address, &authority.client(own));

    let mut welcome = guest(Some("guest"));
    welcome.send(b"hello");
    assert_eq!(welcome.receive(5), b"hello");
    welcome.finish();
    assert_eq!(proxy.record().outcome.end, End::Done);

    for (own, told) in [(None, "showed no certificate"), (Some("other"), "other.example.org")] {
        let mut client = guest(own);
        assert_eq!(client.receive_all().1, Close::Reset);
        let (end, _, hint) = hint(&proxy);
        assert_eq!(end, End::TlsFailed);
        assert!(hint.contains(told), "{hint}");
    }

    // Trusts us, and shows what somebody else signed.
    let strange = {
        let mut roots = rustls::RootCertStore::empty();
        let ca = std::fs::read(authority.file("ca.pem")).unwrap();
        use rustls::pki_types::pem::PemObject;
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
        let pem = |file: &str| stranger.file(file);
        let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(pem("guest.pem")).unwrap()];
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(pem("guest.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        Arc::new(builder.with_client_auth_cert(chain, key).unwrap())
    };
    assert_eq!(TlsConnection::to(proxy.address, &strange).receive_all().1, Close::Reset);
    let (end, _, hint) = hint(&proxy);
    assert_eq!(end, End::TlsFailed);
    assert!(hint.contains("client_ca"), "{hint}");
}

#[test]
fn a_session_is_resumed_and_its_keys_withstand_a_quantum_computer() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = terminating(&authority, &target, "");
    let config = authority.client(None);
    let visit = || {
        let mut client = TlsConnection::to(proxy.address, &config);
        client.send(b"x");
        client.receive(1);
        let (kind, group) = (
            client.tls.conn.handshake_kind(),
            client.tls.conn.negotiated_key_exchange_group().map(|it| it.name()),
        );
        client.finish();
        client.receive_all();
        (kind, group)
    };

    assert_eq!(
        visit(),
        (Some(rustls::HandshakeKind::Full), Some(rustls::NamedGroup::X25519MLKEM768)),
        "the first visit"
    );
    assert_eq!(visit().0, Some(rustls::HandshakeKind::Resumed));
}

#[test]
fn the_certificate_is_chosen_by_the_name_asked_for() {
    let (authority, target) = (authority(), Target::echo());
    authority.issue("a", &["a.example"]);
    authority.issue("b", &["*.b.example"]);
    let file = |name: &str| authority.file(name).display().to_string();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{certificate = ['{}', '{}'], key = ['{}', '{}']}}}}",
        target.address, file("a.pem"), file("b.pem"), file("a.key"), file("b.key")
    ));

    for name in ["a.example", "x.b.example"] {
        let mut client = TlsConnection::naming(name, proxy.address, &authority.client(None));
        assert!(client.handshake().is_ok(), "{name}");
    }
    let mut client = TlsConnection::naming("c.example", proxy.address, &authority.client(None));
    assert!(client.handshake().is_err());
}

#[test]
fn a_target_that_does_not_prove_who_it_is_gets_nothing() {
    let (authority, stranger) = (authority(), Authority::called("somebody else"));
    stranger.issue("web", &["localhost", "127.0.0.1"]);
    authority.issue("elsewhere", &["elsewhere.example"]);
    let cases = [
        (stranger.server("web", false), ca(&authority), Cause::TlsUntrusted, "signed by nobody"),
        (authority.server("elsewhere", false), ca(&authority), Cause::TlsUntrusted, "elsewhere.example"),
        (authority.server("web", true), ca(&authority), Cause::TlsRefused, "certificate"),
    ];

    for (server, target_tls, cause, told) in cases {
        let target = tls_echo(server);
        let proxy = originating(&target, &target_tls);
        // The reset may be quicker than whoever connects.
        if let Ok(mut client) = Connection::try_to(proxy.address) {
            let _ = client.try_send(b"secret");
            assert_eq!(client.receive_all().1, Close::Reset);
        }
        let (end, _, hint) = hint(&proxy);
        if end != End::NoTarget(cause) {
            // TLS 1.3: a client may be told only after its own last word that a certificate was due.
            assert_eq!((end, cause), (End::TargetReset, Cause::TlsRefused));
        }
        assert!(hint.contains(told), "{hint}");
    }
}

#[test]
fn a_target_that_speaks_no_tls_is_recognised() {
    let target = Target::manual();
    let authority = authority();
    let proxy = originating(&target, &ca(&authority));
    let mut client = proxy.connect();
    let mut served = target.accept();
    served.send(b"220 mail.example ESMTP\r\n");

    assert_eq!(client.receive_close(), Close::Reset);
    let (end, phase, hint) = hint(&proxy);
    assert_eq!((end, phase), (End::NoTarget(Cause::NoTls), Phase::Greet));
    assert!(hint.contains("does not speak TLS"), "{hint}");
}

#[test]
fn a_target_is_believed_by_its_own_certificate_and_shown_ours() {
    let authority = authority();
    authority.issue("us", &["us.example"]);
    let target = tls_echo(authority.server("web", true));
    let pinned = format!("ca = '{}', {}", authority.file("web.pem").display(), authority.tls("us"));
    let proxy = originating(&target, &pinned);
    let mut client = proxy.connect();

    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
}

#[test]
fn a_drain_cuts_a_tls_session_without_an_end() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"x");
    let mut served = target.accept();
    served.receive(1);

    assert_eq!(proxy.stop(std::time::Duration::ZERO), 1);

    assert_eq!(client.receive_all(), (Vec::new(), Close::Reset));
    assert_eq!(proxy.record().outcome.end, End::Drained);
}

/// A configuration in the authority's own folder, with the pair `served.pem`, `served.key`.
fn program(authority: &Authority, target: &Target) -> Program {
    let config = authority.folder().join("loopgate.toml");
    let text = format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\ntls = {{certificate = 'served.pem', key = 'served.key'}}\n",
        target.address
    );
    std::fs::write(&config, text).unwrap();
    Program::start(["run", "-c", config.to_str().unwrap()])
}

#[test]
fn a_certificate_is_taken_over_when_its_files_change_and_a_broken_one_is_not() {
    let (authority, target) = (Authority::new(), Target::echo());
    authority.issue("served", &["first.example"]);
    let mut program = program(&authority, &target);
    let address = program.address();
    let mut before = TlsConnection::naming("first.example", address, &authority.client(None));
    before.send(b"before");
    assert_eq!(before.receive(6), b"before");

    authority.issue("served", &["second.example"]);
    program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(TlsConnection::naming("second.example", address, &authority.client(None)).handshake().is_ok());

    std::fs::write(authority.file("served.key"), "nothing").unwrap();
    program.wait_for("reload refused, nothing has changed");
    program.wait_for("served.key: there is no key in it");
    assert!(TlsConnection::naming("second.example", address, &authority.client(None)).handshake().is_ok());

    authority.issue("served", &["third.example"]);
    program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(TlsConnection::naming("third.example", address, &authority.client(None)).handshake().is_ok());
    before.send(b"after");
    assert_eq!(before.receive(5), b"after");
}

#[test]
fn a_reload_that_changes_nothing_keeps_the_keys_of_resumption() {
    let (authority, target) = (Authority::new(), Target::echo());
    authority.issue("served", &["localhost"]);
    let mut program = program(&authority, &target);
    let (address, config) = (program.address(), authority.client(None));
    let visit = || {
        let mut client = TlsConnection::to(address, &config);
        client.send(b"x");
        client.receive(1);
        client.tls.conn.handshake_kind()
    };
    assert_eq!(visit(), Some(rustls::HandshakeKind::Full));

    program.signal(rustix::process::Signal::HUP);
    program.wait_for("reload added=0 replaced=0 removed=0");

    assert_eq!(visit(), Some(rustls::HandshakeKind::Resumed));
}
