//! Resumed TLS sessions: by which clients, across which reloads, and never past a check.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use loopgate::ledger::Record;
use loopgate::outcome::{Agreed, End};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::harness::tls::{Authority, TlsConnection, tls_echo};
use crate::harness::{Close, Proxy, Target, wait_until};

const VERSIONS: [&[&rustls::SupportedProtocolVersion]; 2] = [&[&TLS13], &[&TLS12]];

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority
}

/// A route that listens there, with more keys of its `tls`.
fn route(listen: impl std::fmt::Display, authority: &Authority, target: &Target, more: &str) -> String {
    let tls = authority.tls("web");
    format!("routes.test = {{listen = '{listen}', target = '{}', tls = {{{tls}{more}}}}}\n", target.address)
}

/// Exchanges a few bytes with an echo and ends in order; what was recorded of it.
fn visit(proxy: &Proxy, config: &Arc<ClientConfig>) -> Record {
    let mut client = TlsConnection::to(proxy.address, config);
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::Done, "{record}");
    record
}

fn is_resumed(record: &Record) -> bool {
    record.client_tls.as_ref().unwrap().resumed
}

/// How the connection of a client that must be refused ends.
fn refused(proxy: &Proxy, config: &Arc<ClientConfig>) -> String {
    let mut client = TlsConnection::to(proxy.address, config);
    assert_eq!(client.receive_all(), (Vec::new(), Close::Reset));
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::TlsFailed, "{record}");
    record.hint().unwrap().to_owned()
}

#[test]
fn a_session_is_resumed_after_a_reload_that_changes_another_route() {
    for versions in VERSIONS {
        let (authority, target) = (authority(), Target::echo());
        let config = authority.client_of(None, versions);
        let proxy = Proxy::builder().with(&route("127.0.0.1:0", &authority, &target, ""));
        assert!(!is_resumed(&visit(&proxy, &config)));
        assert!(is_resumed(&visit(&proxy, &config)));

        let other = format!("routes.other = {{listen = '127.0.0.1:0', target = '{}'}}\n", target.address);
        proxy.declare(&(other + &route("127.0.0.1:0", &authority, &target, ""))).unwrap();

        assert!(is_resumed(&visit(&proxy, &config)));
    }
}

#[test]
fn whoever_is_no_longer_on_the_list_cannot_resume_what_it_began_before() {
    for versions in VERSIONS {
        let (authority, target, stranger) = (authority(), Target::echo(), Authority::called("somebody else"));
        authority.issue("guest", &["guest.example"]);
        let config = authority.client_of(Some("guest"), versions);
        let [ca, other_ca] = [&authority, &stranger].map(|it| it.file("ca.pem").display().to_string());
        let checked = |ca: &str, names: &str| format!(", client_ca = '{ca}', client_names = [{names}]");
        let route = |more: &str| route("127.0.0.1:0", &authority, &target, more);
        let proxy = Proxy::builder().with(&route(&checked(&ca, "'guest.example', 'other.example'")));
        visit(&proxy, &config);
        assert!(is_resumed(&visit(&proxy, &config)));

        proxy.declare(&route(&checked(&ca, "'other.example'"))).unwrap();
        assert!(refused(&proxy, &config).contains("client_names"));

        proxy.declare(&route(&checked(&other_ca, "'guest.example'"))).unwrap();
        assert!(refused(&proxy, &config).contains("client_ca"));

        proxy.declare(&route(&checked(&ca, "'guest.example'"))).unwrap();
        assert!(!is_resumed(&visit(&proxy, &config)));
    }
}

#[test]
fn what_is_resumed_does_not_outlive_the_certificate_it_began_with() {
    for versions in VERSIONS {
        let (authority, target) = (authority(), Target::echo());
        let who = format!(", client_ca = '{}'", authority.file("ca.pem").display());
        let proxy = Proxy::builder().with(&route("127.0.0.1:0", &authority, &target, &who));
        // A busy machine may be so slow that the certificate has expired before it is shown.
        let first = [3, 6, 12].into_iter().find_map(|seconds| {
            let end = SystemTime::now() + Duration::from_secs(seconds);
            authority.issue_for("guest", &["guest.example"], |params| params.not_after = end.into());
            let config = authority.client_of(Some("guest"), versions);
            let mut client = TlsConnection::to(proxy.address, &config);
            let is_in = client.tls.write_all(b"hello").is_ok() && client.tls.read_exact(&mut [0; 5]).is_ok();
            drop(client);
            proxy.record();
            is_in.then_some((config, end))
        });
        let (config, end) = first.expect("one of the certificates lasts long enough");

        let is_over = || (SystemTime::now() > end + Duration::from_secs(1)).then_some(());
        wait_until("the certificate has expired", is_over);

        assert!(refused(&proxy, &in_many_records(&config)).contains("has expired"));
        assert!(refused(&proxy, &config).contains("has expired"));
    }
}

/// The same client, whose hello comes in many records, too many for one read.
fn in_many_records(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = (**config).clone();
    config.max_fragment_size = Some(64);
    config.alpn_protocols = (0..100).map(|n| vec![n; 100]).collect();
    Arc::new(config)
}

#[test]
fn our_own_session_with_a_target_is_resumed() {
    let authority = authority();
    let target = tls_echo(authority.server("web", false));
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{ca = '{}'}}}}",
        target.address,
        authority.file("ca.pem").display()
    ));
    let visit = || {
        proxy.connect().expect_whole_echo(1, 1000);
        proxy.record().target_tls.unwrap().resumed
    };

    assert_eq!([visit(), visit()], [false, true]);
}

#[test]
fn without_session_tickets_neither_clients_nor_we_resume_anything() {
    let authority = authority();
    let target = tls_echo(authority.server("web", false));
    let plain = Target::echo();
    let outer = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{ca = '{}', session_tickets = false}}}}",
        target.address,
        authority.file("ca.pem").display()
    ));
    for versions in VERSIONS {
        let config = authority.client_of(None, versions);
        let proxy =
            Proxy::builder().with(&route("127.0.0.1:0", &authority, &plain, ", session_tickets = false"));
        for _ in 0..2 {
            assert!(!is_resumed(&visit(&proxy, &config)));
            outer.connect().expect_whole_echo(1, 1000);
            assert!(!outer.record().target_tls.unwrap().resumed);
        }
    }
}

#[test]
fn two_proxies_agree_on_keys_that_withstand_a_quantum_computer_and_tell_so() {
    let (authority, target) = (authority(), Target::echo());
    let inner = Proxy::builder().with(&route("127.0.0.1:0", &authority, &target, ", alpn = 'loop'"));
    let outer = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{ca = '{}', alpn = 'loop'}}}}",
        inner.address,
        authority.file("ca.pem").display()
    ));

    outer.connect().expect_whole_echo(1, 1000);

    let (outer, inner) = (outer.record(), inner.record());
    let agreed = Agreed {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        group: Some("X25519MLKEM768"),
        alpn: Some("loop".into()),
        resumed: false,
    };
    assert_eq!((outer.target_tls.as_deref(), outer.client_tls), (Some(&agreed), None));
    assert_eq!((inner.client_tls.as_deref(), inner.target_tls.clone()), (Some(&agreed), None));
    let json = serde_json::to_value(&inner).unwrap();
    assert_eq!(json["client_tls"]["version"], "TLSv1.3");
    assert_eq!(json["client_tls"]["group"], "X25519MLKEM768");
}
