//! Targets: which certificates Loopgate trusts, and which it presents.

use loopgate::outcome::{Cause, End, Phase};

use super::{authority, ca, hint, originating};
use crate::harness::tls::{Authority, tls_echo};
use crate::harness::{Close, Connection, Target};

#[test]
fn a_target_that_does_not_prove_who_it_is_gets_nothing() {
    let (authority, stranger) = (authority(), Authority::called("somebody else"));
    stranger.issue("web", &["localhost", "127.0.0.1"]);
    authority.issue("elsewhere", &["elsewhere.example"]);
    let cases = [
        (stranger.server("web", false), ca(&authority), Cause::TlsUntrusted, "not signed by any authority"),
        (authority.server("elsewhere", false), ca(&authority), Cause::TlsUntrusted, "elsewhere.example"),
        (authority.server("web", true), ca(&authority), Cause::TlsRefused, "certificate"),
    ];

    for (server, target_tls, cause, told) in cases {
        let target = tls_echo(server);
        let proxy = originating(&target, &target_tls);
        // The reset may arrive before connect(2) returns.
        if let Ok(mut client) = Connection::try_to(proxy.address) {
            let _ = client.try_send(b"secret");
            assert_eq!(client.receive_all().1, Close::Reset);
        }
        let (end, _, hint) = hint(&proxy);
        if end != End::NoTarget(cause) {
            // TLS 1.3: a client may learn only after its own last message that a certificate was required.
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
