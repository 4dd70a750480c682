//! One end, and something that is no Loopgate, or not this one.

use std::io::{Read, Write};
use std::thread;

use rcgen::{KeyPair, PublicKeyData};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SignatureScheme,
};

use super::*;

/// What the dialling end finds, and what the server of this configuration meets.
fn at_server(server: ServerConfig) -> (HandshakeFault, Option<Error>) {
    let Ends { dialling, .. } = ends();
    run(async {
        let (ours, mut theirs) = pair_with_thread();
        let there = thread::spawn(move || {
            let mut connection = ServerConnection::new(Arc::new(server)).unwrap();
            loop {
                if connection.wants_write() {
                    connection.write_tls(&mut theirs).unwrap();
                } else if connection.read_tls(&mut theirs).unwrap_or(0) == 0 {
                    return None;
                } else if let Err(error) = connection.process_new_packets() {
                    let _ = connection.write_tls(&mut theirs);
                    return Some(error);
                }
            }
        });
        let fault = dial_handshake(&ours, &dialling, "localhost").await.err().unwrap();
        drop(ours);
        (fault, there.join().unwrap())
    })
}

/// What the accepting end finds, and what a client of this configuration meets at the latest with its first read.
fn from_client(accepting: &Accepting, client: ClientConfig) -> (HandshakeFault, Option<Error>) {
    run(async {
        let (ours, mut theirs) = pair_with_thread();
        let there = thread::spawn(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let mut connection = ClientConnection::new(Arc::new(client), name).unwrap();
            loop {
                if connection.wants_write() {
                    connection.write_tls(&mut theirs).unwrap();
                } else if connection.read_tls(&mut theirs).unwrap_or(0) == 0 {
                    return None;
                } else if let Err(error) = connection.process_new_packets() {
                    let _ = connection.write_tls(&mut theirs);
                    return Some(error);
                }
            }
        });
        let fault = accept_handshake(&ours, accepting).await.err().unwrap();
        ours.shut_write();
        (fault, there.join().unwrap())
    })
}

fn alert(met: Option<Error>) -> AlertDescription {
    match met {
        Some(Error::AlertReceived(alert)) => alert,
        other => panic!("{other:?}"),
    }
}

/// A server or client of the web: its certificate is of localhost.
fn web_server() -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap()
}

fn browser() -> ClientConfig {
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

fn dialling_config(key: &PrivateKey, to: &PrivateKey) -> ClientConfig {
    (*Dialling::new(key, &[to.public()]).config().unwrap().0).clone()
}

#[test]
fn a_web_server_is_told_from_a_loopgate() {
    let mut server = web_server();
    assert!(matches!(at_server(server.clone()).0, HandshakeFault::NotLoopgate));

    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let fault = at_server(server).0;
    assert!(matches!(fault, HandshakeFault::Version), "{fault}");
}

#[test]
fn a_browser_is_told_from_a_loopgate() {
    let Ends { accepting, .. } = ends();
    let mut client = browser();
    assert!(matches!(from_client(&accepting, client.clone()).0, HandshakeFault::NotLoopgate));

    client.alpn_protocols = vec![b"h2".to_vec()];
    assert!(matches!(from_client(&accepting, client).0, HandshakeFault::NotLoopgate));
}

#[test]
fn another_version_of_the_protocol_is_told_to_both_ends() {
    let Ends { dialler, acceptor, accepting, .. } = ends();

    let mut newer = dialling_config(&dialler, &acceptor);
    newer.alpn_protocols = vec![b"loopgate/9".to_vec()];
    let (fault, met) = from_client(&accepting, newer);
    assert!(matches!(fault, HandshakeFault::Version), "{fault}");
    assert_eq!(alert(met), AlertDescription::NoApplicationProtocol);

    let mut newer = (*accepting.config().unwrap().0).clone();
    newer.alpn_protocols = vec![b"loopgate/9".to_vec()];
    let (fault, met) = at_server(newer);
    assert!(matches!(fault, HandshakeFault::Version), "{fault}");
    assert_eq!(met, Some(Error::NoApplicationProtocol));
}

#[test]
fn a_good_key_without_the_protocol_is_not_enough() {
    let Ends { dialler, acceptor, accepting, .. } = ends();

    let mut silent = dialling_config(&dialler, &acceptor);
    silent.alpn_protocols.clear();

    assert!(matches!(from_client(&accepting, silent).0, HandshakeFault::NotLoopgate));
}

/// Offers raw keys and has none.
#[derive(Debug)]
struct Keyless;

impl ResolvesClientCert for Keyless {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn a_client_without_a_key_is_told_that_one_is_required() {
    let Ends { dialler, acceptor, accepting, .. } = ends();
    let mut keyless = dialling_config(&dialler, &acceptor);
    keyless.client_auth_cert_resolver = Arc::new(Keyless);

    let (fault, met) = from_client(&accepting, keyless);

    assert!(matches!(fault, HandshakeFault::NoKey), "{fault}");
    assert_eq!(alert(met), AlertDescription::CertificateRequired);
}

#[test]
fn who_only_shows_a_key_cannot_learn_whether_it_is_known() {
    let Ends { dialler, acceptor, accepting, .. } = ends();
    let liar = new_key();
    let shows = |key: &PrivateKey| {
        let shown = vec![CertificateDer::from(key.public().spki().to_vec())];
        let lie = Arc::new(CertifiedKey::new(shown, liar.shown.key.clone()));
        let mut client = dialling_config(&liar, &acceptor);
        client.client_auth_cert_resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(lie));
        let (fault, met) = from_client(&accepting, client);
        assert!(matches!(fault, HandshakeFault::Tls(_)), "{fault}");
        (fault.to_string(), alert(met))
    };

    let (of_known, of_unknown) = (shows(&dialler), shows(&new_key()));

    assert_eq!(of_known, of_unknown);
    assert_ne!(of_known.1, AlertDescription::AccessDenied);
}

#[test]
fn a_key_of_another_kind_is_no_key_of_a_tunnel() {
    let Ends { dialler, acceptor, accepting, .. } = ends();
    let ecdsa = KeyPair::generate().unwrap();
    let der = PrivateKeyDer::try_from(ecdsa.serialize_der()).unwrap();
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).unwrap();
    let spki = CertificateDer::from(ecdsa.subject_public_key_info());
    let mut client = dialling_config(&dialler, &acceptor);
    let shown = Arc::new(CertifiedKey::new(vec![spki], signer));
    client.client_auth_cert_resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(shown));

    assert!(from_client(&accepting, client).1.is_some());
}

/// What the accepting end finds where a client sends these bytes and closes, and what the dialling end finds at a server
/// that does.
fn after(said: &'static [u8]) -> [HandshakeFault; 2] {
    let Ends { dialling, accepting, .. } = ends();
    run(async {
        let says = |mut socket: StdStream, reads_first: bool| {
            thread::spawn(move || {
                if reads_first {
                    let _ = socket.read(&mut [0; 4096]).unwrap();
                }
                socket.write_all(said).unwrap();
                socket.shutdown(std::net::Shutdown::Write).unwrap();
                // The rest is read, so that the close is no reset.
                let _ = socket.read_to_end(&mut Vec::new());
            })
        };
        let (ours, theirs) = pair_with_thread();
        let client = says(theirs, false);
        let accepted = accept_handshake(&ours, &accepting).await.err().unwrap();
        drop(ours);
        let (ours, theirs) = pair_with_thread();
        let server = says(theirs, true);
        let dialled = dial_handshake(&ours, &dialling, "vps").await.err().unwrap();
        drop(ours);
        client.join().unwrap();
        server.join().unwrap();
        [accepted, dialled]
    })
}

#[test]
fn what_is_no_tls_is_shown_and_what_it_sends_is_escaped() {
    for fault in after(b"SSH-2.0-OpenSSH_9.2\r\n") {
        assert_eq!(
            fault.to_string(),
            "it is no Loopgate, as it began with \"SSH-2.0-OpenSSH_\": see the port in `connect`"
        );
    }
    for fault in after(b"\x1b[2J\xff\0HTTP/1.1 400 Bad Request\r\n") {
        assert!(
            matches!(&fault, HandshakeFault::NotTls(first) if first.starts_with("\\u{1b}[2J")),
            "{fault}"
        );
    }
}

#[test]
fn an_end_that_closes_is_told_from_one_that_never_spoke() {
    for fault in after(b"") {
        assert!(matches!(fault, HandshakeFault::Gone { said: 0 }), "{fault}");
    }
    // The header of a record of a handshake, and a part of it.
    for fault in after(b"\x16\x03\x03\x01\x00\x02") {
        assert!(matches!(fault, HandshakeFault::Gone { said: 1.. }), "{fault}");
    }
}
