//! Ends without close_notify: what is passed on, what is noted, and what is counted.

use std::io::{Read, Write};
use std::net::Shutdown;

use loopgate::ledger::Record;
use loopgate::outcome::{End, Side, Sides};
use loopgate::probe::sockets::{self, TcpState};

use super::{authority, ca, originating, terminating};
use crate::harness::tls::{Authority, TlsConnection, tls_target};
use crate::harness::{Close, Connection, Proxy, Target, wait_until};

const REQUIRE: &str = ", close_notify = 'require'";

/// More than any buffer on the way holds.
const MUCH: usize = 8 << 20;

/// A target that answers over TLS and then sends FIN and no close_notify.
fn cutting_target(authority: &Authority) -> Target {
    tls_target(authority.server("web", false), |mut tls| {
        tls.write_all(b"the whole answer").unwrap();
        tls.flush().unwrap();
        tls.sock.shutdown(Shutdown::Write).unwrap();
        let _ = tls.sock.read_to_end(&mut Vec::new());
    })
}

/// A client of `proxy` and the other end of its session, after a question.
fn asked(proxy: &Proxy, authority: &Authority, target: &Target) -> (TlsConnection, Connection) {
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"a question");
    let mut served = target.accept();
    assert_eq!(served.receive(10), b"a question");
    (client, served)
}

/// Holds that everything read was delivered, and both sides closed in order.
fn assert_whole(record: &Record) {
    let traffic = record.outcome.traffic;
    assert_eq!((record.outcome.end, traffic.up.lost(), traffic.down.lost()), (End::Done, 0, 0), "{record}");
}

#[test]
fn a_client_that_closes_without_close_notify_is_an_end_to_its_target_and_still_gets_the_answer() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, "");
    let (mut client, mut served) = asked(&proxy, &authority, &target);

    client.cut();

    assert_eq!(served.receive_close(), Close::Fin);
    served.send(b"the answer");
    served.finish();
    assert_eq!(client.receive_all(), (b"the answer".to_vec(), Close::Fin));
    let record = proxy.record();
    assert_whole(&record);
    assert_eq!((record.outcome.closed_by, record.no_close_notify), (Some(Side::Client), Some(Sides::Client)));
    assert!(record.to_string().contains(" no_close_notify=client"), "{record}");
}

#[test]
fn a_client_that_ends_so_in_the_middle_of_a_transfer_loses_nothing_of_it() {
    let (authority, target) = (authority(), Target::sending(6, MUCH));
    let proxy = terminating(&authority, &target, "");
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.handshake().unwrap();

    client.cut();

    client.receive_stream(6, MUCH);
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    let record = proxy.record();
    assert_whole(&record);
    assert_eq!(record.outcome.traffic.down.delivered, MUCH as u64);
}

#[test]
fn a_target_that_closes_without_close_notify_is_an_end_to_its_client() {
    let authority = authority();
    let target = cutting_target(&authority);
    let proxy = originating(&target, &ca(&authority));
    let mut client = proxy.connect();

    assert_eq!(client.receive_all(), (b"the whole answer".to_vec(), Close::Fin));

    drop(client);
    let record = proxy.record();
    assert_whole(&record);
    assert_eq!((record.outcome.closed_by, record.no_close_notify), (Some(Side::Target), Some(Sides::Target)));
}

#[test]
fn an_end_without_close_notify_has_none_on_the_other_side_either() {
    let authority = authority();
    let target = cutting_target(&authority);
    let tls = authority.tls("web");
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{{tls}}}, target_tls = {{{}}}}}",
        target.address,
        ca(&authority)
    ));
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));

    assert_eq!(client.receive_until_cut(), b"the whole answer");

    client.cut();
    let record = proxy.record();
    assert_whole(&record);
    assert_eq!(record.no_close_notify, Some(Sides::Both));
}

#[test]
fn where_close_notify_is_required_a_client_that_closes_without_it_is_a_reset_behind_its_bytes() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, REQUIRE);
    let (mut client, mut served) = asked(&proxy, &authority, &target);

    client.send(b", half of it");
    client.cut();

    assert_eq!(served.receive_all(), (b", half of it".to_vec(), Close::Reset));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.closed_by), (End::ClientReset, Some(Side::Client)));
    assert!(record.hint().unwrap().contains("without close_notify"), "{record}");
}

#[test]
fn where_close_notify_is_required_a_target_that_closes_without_it_is_a_reset_behind_its_bytes() {
    let authority = authority();
    let target = cutting_target(&authority);
    // Said in the defaults, it is the same.
    let proxy = Proxy::builder().with(&format!(
        "defaults.target_tls.close_notify = 'require'\n\
         routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{{}}}}}",
        target.address,
        ca(&authority)
    ));
    let mut client = proxy.connect();

    assert_eq!(client.receive_all(), (b"the whole answer".to_vec(), Close::Reset));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.no_close_notify), (End::TargetReset, Some(Sides::Target)));
}

#[test]
fn a_client_that_has_had_the_whole_answer_may_close_as_it_likes() {
    let (authority, target) = (authority(), Target::manual());
    for more in ["", REQUIRE] {
        let proxy = terminating(&authority, &target, more);
        let (mut client, mut served) = asked(&proxy, &authority, &target);
        served.send(b"the whole answer");
        assert_eq!(client.receive(16), b"the whole answer");
        served.finish();

        // It leaves our close_notify unread: its kernel resets the connection.
        client.tls.sock.peek(&mut [0]).unwrap();
        drop(client);

        assert_eq!(served.receive_close(), Close::Fin);
        let record = proxy.record();
        assert_whole(&record);
        assert_eq!(
            (record.outcome.traffic.down.delivered, record.no_close_notify),
            (16, Some(Sides::Client))
        );
    }
}

#[test]
fn a_client_that_left_after_the_whole_answer_is_not_asked_to_read_our_close_notify() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, "");
    let (mut client, mut served) = asked(&proxy, &authority, &target);
    served.send(b"the whole answer");
    assert_eq!(client.receive(16), b"the whole answer");

    drop(client);

    assert_eq!(served.receive_close(), Close::Fin);
    drop(served);
    let record = proxy.record();
    assert_whole(&record);
    assert_eq!((record.outcome.traffic.down.delivered, record.outcome.closed_by), (16, Some(Side::Client)));
}

#[test]
fn what_a_client_sent_before_it_left_still_arrives_at_a_slow_target_in_order() {
    const LENGTH: usize = 40_000;
    let (authority, target) = (authority(), Target::manual());
    let tls = authority.tls("web");
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{{tls}}}, bandwidth_per_connection = '400kbit'}}",
        target.address
    ));
    let (mut client, mut served) = asked(&proxy, &authority, &target);
    served.send(b"answer");
    assert_eq!(client.receive(6), b"answer");
    client.send_stream(7, LENGTH);
    drop(client);
    let has_fin = |row: &sockets::Socket| row.state == TcpState::CloseWait && row.local == proxy.address;
    let rows = || sockets::on_port(proxy.address.port()).rows;
    wait_until("the client's FIN has arrived", || rows().iter().any(has_fin).then_some(()));

    // Its kernel answers our close_notify with a reset, before the bytes have had their turn.
    served.finish();

    served.receive_stream(7, LENGTH);
    assert_eq!(served.receive_close(), Close::Fin);
    assert_whole(&proxy.record());
}

#[test]
fn an_answer_that_comes_when_its_client_has_left_counts_as_lost() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, "");
    let (mut client, mut served) = asked(&proxy, &authority, &target);
    // It reads what came with the handshake: its close would be a reset.
    served.send(b"wait");
    assert_eq!(client.receive(4), b"wait");
    drop(client);
    assert_eq!(served.receive_close(), Close::Fin);

    served.send(b"the whole answer");

    let record = proxy.record();
    let down = record.outcome.traffic.down;
    assert_eq!((record.outcome.end, down.read, down.delivered), (End::ClientReset, 20, 4), "{record}");
}

#[test]
fn a_stream_that_ends_inside_a_record_is_passed_on_as_a_reset() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, "");
    let (mut client, mut served) = asked(&proxy, &authority, &target);
    client.tls.conn.writer().write_all(b"the rest of it").unwrap();
    let mut record = Vec::new();
    client.tls.conn.write_tls(&mut record).unwrap();

    client.tls.sock.write_all(&record[..record.len() - 1]).unwrap();
    client.cut();

    assert_eq!(served.receive_close(), Close::Reset);
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.no_close_notify), (End::ClientReset, Some(Sides::Client)));
    assert!(record.hint().unwrap().contains("inside a TLS record"), "{record}");
}

#[test]
fn a_client_that_closes_altogether_right_after_its_answer_has_it_and_its_target_is_not_reset() {
    let (authority, target) = (authority(), Target::manual());
    let proxy = terminating(&authority, &target, "");
    for _ in 0..10 {
        let (mut client, mut served) = asked(&proxy, &authority, &target);
        client.finish();
        assert_eq!(served.receive_close(), Close::Fin);
        served.send(b"an answer");
        assert_eq!(client.receive(9), b"an answer");

        // Its kernel has not acknowledged the answer, and will not: the FIN that carries an acknowledgement went before.
        drop(client);

        assert_whole(&proxy.record());
        assert!(served.stream().take_error().unwrap().is_none());
    }
}
