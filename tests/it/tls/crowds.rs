//! Many handshakes at once: which clients are admitted, and how the others end.

use loopgate::outcome::{End, Limit, Phase};

use crate::harness::tls::{Authority, TlsConnection};
use crate::harness::{Proxy, Target};

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost"]);
    authority
}

#[test]
fn strangers_who_begin_handshakes_and_never_end_them_keep_nobody_out() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = Proxy::builder().with(&format!(
        "limits.handshakes = 2\n[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{}'\ntls = {{{}, handshake_timeout = '1h'}}",
        target.address,
        authority.tls("web")
    ));
    let config = authority.client(None);
    let mut strangers: Vec<_> = (0..3).map(|_| TlsConnection::to(proxy.address, &config)).collect();
    strangers.iter_mut().for_each(TlsConnection::send_hello);

    let mut client = TlsConnection::to(proxy.address, &config);
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::Limited(Limit::Handshakes), Phase::Secure));
}
