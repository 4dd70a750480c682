//! Every byte arrives, and every close is passed on.

use loopgate::outcome::{End, Side, Way};

use super::{authority, ca, originating, terminating};
use crate::harness::tls::{TlsConnection, tls_echo};
use crate::harness::{Close, Proxy, Target};

/// More than any buffer on the way holds, and no multiple of a record.
const MUCH: usize = 5_000_001;

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
fn a_request_in_one_segment_with_the_end_of_the_handshake_is_answered_whatever_the_rate() {
    let (authority, target) = (authority(), Target::echo());
    let tls = authority.tls("web");
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{{tls}}}, bandwidth_per_connection = '8mbit'}}",
        target.address
    ));

    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send_with_the_handshake(b"request");

    assert_eq!(client.receive(7), b"request");
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
fn a_reset_of_the_target_does_not_look_like_an_end_to_a_tls_client() {
    let (authority, target) = (authority(), Target::resetting_after(b"half of it"));
    let proxy = terminating(&authority, &target, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));

    assert_eq!(client.receive_all(), (b"half of it".to_vec(), Close::Reset));
    assert_eq!(proxy.record().outcome.end, End::TargetReset);
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
