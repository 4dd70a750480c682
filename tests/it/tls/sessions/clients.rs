//! Clients: their first bytes, their certificates, the certificate they are shown.

use std::sync::Arc;

use loopgate::outcome::{End, Phase};
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};

use super::{authority, hint, terminating};
use crate::harness::tls::{Authority, TlsConnection};
use crate::harness::{Close, Connection, Program, Proxy, Target};

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
fn a_client_that_offers_another_protocol_is_told_so_in_every_version() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = terminating(&authority, &target, ", alpn = ['http/1.1']");
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut config = (*authority.client_of(None, &[version])).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];

        let refused = TlsConnection::to(proxy.address, &Arc::new(config)).handshake().unwrap_err();

        assert!(refused.to_string().contains("NoApplicationProtocol"), "{version:?}: {refused}");
        assert!(hint(&proxy).2.contains("no protocol in common"));
    }
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

/// Adds a mail address to the names of a certificate.
fn with_mail(params: &mut CertificateParams, address: &str) {
    params.subject_alt_names.push(SanType::Rfc822Name(address.try_into().unwrap()));
}

/// Gives a certificate this common name.
fn with_common_name(params: &mut CertificateParams, name: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
}

#[test]
fn a_certificate_with_a_name_of_another_kind_that_only_ends_so_does_not_come_in() {
    let (authority, target) = (authority(), Target::echo());
    authority.issue("host", &["db.example.com"]);
    authority.issue_for("mail", &[], |params| with_mail(params, "me@example.com"));
    authority.issue_for("common", &[], |params| with_common_name(params, "db.example.com"));
    authority.issue("uri", &["spiffe://evil/db.example.com"]);
    authority.issue("user", &["https://me@example.com"]);
    authority.issue_for("mailhost", &[], |params| with_mail(params, "me@db.example.com"));
    authority.issue_for("address", &["10.0.0.1"], |params| with_common_name(params, "db.example.com"));
    authority.issue_for("blanks", &[], |params| with_common_name(params, "who I like.example.com"));
    let more = format!(
        ", client_ca = '{}', client_names = ['*.example.com', '*@example.com']",
        authority.file("ca.pem").display()
    );
    let proxy = terminating(&authority, &target, &more);

    for own in ["host", "mail", "common"] {
        let mut client = TlsConnection::to(proxy.address, &authority.client(Some(own)));
        client.send(b"hello");
        assert_eq!(client.receive(5), b"hello", "{own}");
        client.finish();
        assert_eq!(proxy.record().outcome.end, End::Done, "{own}");
    }
    for own in ["uri", "user", "mailhost", "address", "blanks"] {
        let mut client = TlsConnection::to(proxy.address, &authority.client(Some(own)));
        assert_eq!(client.receive_all().1, Close::Reset, "{own}");
        let (end, _, hint) = hint(&proxy);
        assert!(end == End::TlsFailed && hint.contains("client_names"), "{own}: {hint}");
    }
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

    // Trusts the proxy, and presents a certificate that another authority signed.
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
