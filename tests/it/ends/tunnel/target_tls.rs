//! TLS of a session that goes through a tunnel, with a target at its other end.

use std::io::{Read, Write};
use std::net::Shutdown;

use loopgate::outcome::{Cause, End, Phase, Sides};
use loopgate::transport::tunnel::carrier::Received;
use loopgate::transport::tunnel::frame::{Frame, Reason};

use super::Ends;
use super::reached::opener;
use super::tls::{authority, target_tls};
use crate::harness::tls::{Authority, tls_echo, tls_served, tls_target};
use crate::harness::{Close, ClosedPort, Connection, Target, wait_until};

const MIB: usize = 1 << 20;

/// Two ends, of which the one that clients connect to speaks TLS with the target.
fn originating(authority: &Authority, service: &Target, more: &str) -> Ends {
    Ends::with(&target_tls(authority, more), "", service.address)
}

#[test]
fn a_target_in_a_tunnel_that_speaks_tls_is_spoken_to_in_tls() {
    let authority = authority();
    let service = tls_echo(authority.server("web", false));
    let ends = originating(&authority, &service, "");
    for n in 1..=3 {
        ends.connect().expect_whole_echo(n, 4 * MIB);
        let (here, there) = (ends.here.record(), ends.there.record());
        assert_eq!((here.outcome.end, there.outcome.end), (End::Done, End::Done), "{here}\n{there}");
        assert!(here.target_tls.is_some() && there.target_tls.is_none(), "{here}\n{there}");
        assert_eq!(here.outcome.traffic.down.delivered, 4 * MIB as u64);
        ends.pool.wait_for(n as usize, 0);
    }
}

#[test]
fn what_a_target_in_a_tunnel_sends_with_its_handshake_and_before_its_end_arrives() {
    let authority = authority();
    for closes_in_order in [true, false] {
        let service = tls_target(authority.server("web", false), move |mut tls| {
            tls.write_all(b"the whole answer").unwrap();
            if closes_in_order {
                tls.conn.send_close_notify();
            }
            tls.flush().unwrap();
            tls.sock.shutdown(Shutdown::Write).unwrap();
            let _ = tls.sock.read_to_end(&mut Vec::new());
        });
        let ends = originating(&authority, &service, "");

        let mut client = ends.connect();
        assert_eq!(client.receive_all(), (b"the whole answer".to_vec(), Close::Fin));
        client.finish();

        let record = ends.here.record();
        assert_eq!(record.outcome.end, End::Done, "{record}");
        assert_eq!(record.no_close_notify, (!closes_in_order).then_some(Sides::Target));
    }
}

#[test]
fn a_target_in_a_tunnel_that_cannot_be_spoken_to_is_told_with_the_cause() {
    let authority = authority();
    let cause = |service: &Target| {
        let ends = originating(&authority, service, ", handshake_timeout = '300ms'");
        assert!(Connection::is_reset_at_once("127.0.0.1", ends.address));
        let (here, there) = (ends.here.record(), ends.there.record());
        let End::NoTarget(cause) = here.outcome.end else { panic!("{here}") };
        assert_eq!(here.outcome.phase, Phase::Greet, "{here}");
        (cause, there.outcome.end)
    };

    let untrusted = tls_echo(authority.server("elsewhere", false));
    assert_eq!(cause(&untrusted), (Cause::TlsUntrusted, End::TlsFailed));
    assert_eq!(cause(&Target::greeting(b"220 mail.example ESMTP\r\n")), (Cause::NoTls, End::TlsFailed));
    assert_eq!(cause(&Target::manual()), (Cause::TlsRefused, End::TlsFailed));
    assert_eq!(cause(&Target::resetting()).0, Cause::TlsRefused);
    assert_eq!(cause(&Target::serving_anywhere(drop)).0, Cause::TlsRefused);

    let ends = Ends::with(&target_tls(&authority, ""), "", ClosedPort::port().address);
    assert!(Connection::is_reset_at_once("127.0.0.1", ends.address));
    let record = ends.here.record();
    assert_eq!(record.outcome.end, End::NoTarget(Cause::Refused), "{record}");
    assert!(record.far);
}

#[test]
fn a_reset_of_a_target_that_speaks_tls_in_a_tunnel_is_passed_on() {
    let (authority, service) = (authority(), Target::manual());
    let ends = originating(&authority, &service, "");
    let config = authority.server("web", false);
    let mut client = ends.connect();
    let served = service.accept();
    let mut tls = tls_served(&served, &config);
    tls.write_all(b"half of").unwrap();
    tls.flush().unwrap();
    assert_eq!(client.receive(7), b"half of");

    drop(tls);
    served.reset();

    assert_eq!(client.receive_close(), Close::Reset);
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(
        (here.outcome.end, there.outcome.end),
        (End::TargetReset, End::TargetReset),
        "{here}\n{there}"
    );
    wait_until("the connection is lost", || (ends.pool.lost() == 1).then_some(()));
}

#[test]
fn a_handshake_with_a_target_in_a_tunnel_follows_the_answer_of_the_other_end() {
    let (here, address, pool) = opener("target_tls = {name = 'a.example'}", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    client.send(b"a question");
    there.receive_open();

    there.send(&Frame::Opened);
    let hello = there.receive_body(1);
    assert_eq!(hello[0], 22, "it is the first record of a handshake");
    there.send_body(b"220 mail.example ESMTP\r\n");

    // An alert of TLS, and why the session is cut.
    assert_eq!(there.receive_body(1)[0], 21);
    assert_eq!(there.receive_frame(), Frame::Reset(Reason::TlsFailed));
    assert_eq!(client.receive_close(), Close::Reset);
    let record = here.record();
    assert_eq!(record.outcome.end, End::NoTarget(Cause::NoTls), "{record}");
    assert!(record.hint().unwrap().contains("does not speak TLS"), "{record}");
    pool.wait_for(0, 1);
}

#[test]
fn how_a_session_ends_within_the_handshake_with_its_target_is_told_apart() {
    let (here, address, pool) = opener("target_tls = {name = 'a.example'}", &["tunnel:home/web"]);
    let ended = |goes: Option<Frame>| {
        let mut there = pool.spoken();
        let client = Connection::to(address);
        there.receive_open();
        there.send(&Frame::Opened);
        assert_eq!(there.receive_body(1)[0], 22);
        match goes {
            Some(frame) => there.send(&frame),
            None => there.close(),
        }
        drop(client);
        here.record().outcome.end
    };

    assert_eq!(ended(Some(Frame::Reset(Reason::Killed))), End::Killed);
    assert_eq!(ended(Some(Frame::Reset(Reason::Reset))), End::NoTarget(Cause::TlsRefused));
    assert_eq!(ended(Some(Frame::End)), End::NoTarget(Cause::TlsRefused));
    let failed = Frame::Failed(br#"{"cause":"timed_out","words":""}"#.to_vec());
    assert_eq!(ended(Some(failed)), End::NoTarget(Cause::TimedOut));
    assert_eq!(ended(None), End::NoTarget(Cause::TunnelDown));
    pool.wait_for(0, 5);
}

#[test]
fn a_visitor_that_goes_within_the_handshake_with_its_target_takes_the_session_with_it() {
    let (here, address, pool) = opener("target_tls = {name = 'a.example'}", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let client = Connection::to(address);
    there.receive_open();
    there.send(&Frame::Opened);
    there.receive_body(1);

    client.reset();

    let mut last = there.receive();
    while matches!(last, Received::Message(_)) {
        last = there.receive();
    }
    assert_eq!(last, Received::Frame(Frame::Reset(Reason::Reset)));
    assert_eq!(here.record().outcome.end, End::ClientGone);
    pool.wait_for(0, 1);
}
