//! TLS of a session that goes through a tunnel, with its visitor at the far end.

use std::io::{Read, Write};

use loopgate::outcome::{Cause, Client, End, Phase, Side, Sides};
use loopgate::transport::tunnel::frame::{Frame, Reason};

use super::Ends;
use super::links::{OtherEnd, open, visitor};
use crate::harness::tls::{Authority, TlsConnection, echo, tls_target};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target};

const MIB: usize = 1 << 20;

pub(super) fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority.issue("elsewhere", &["elsewhere.example"]);
    authority
}

/// Two ends, of which the one beside the service speaks TLS with its visitors.
fn terminating(authority: &Authority, service: &Target, more: &str) -> Ends {
    Ends::with("", &format!("tls = {{{}{more}}}", authority.tls("web")), service.address)
}

pub(super) fn target_tls(authority: &Authority, more: &str) -> String {
    format!("target_tls = {{ca = '{}', name = 'localhost'{more}}}", authority.file("ca.pem").display())
}

fn secured(ends: &Ends, authority: &Authority) -> TlsConnection {
    TlsConnection::to(ends.address, &authority.client(None))
}

/// A client and the other end of its session, after a question.
fn asked(ends: &Ends, authority: &Authority, service: &Target) -> (TlsConnection, Connection) {
    let mut client = secured(ends, authority);
    client.send(b"a question");
    let mut served = service.accept();
    assert_eq!(served.receive(10), b"a question");
    (client, served)
}

#[test]
fn tls_ends_beside_the_service_and_its_megabytes_arrive_whole_both_ways() {
    let (authority, service) = (authority(), Target::echo());
    let ends = terminating(&authority, &service, "");
    for n in 1..=3 {
        let mut client = secured(&ends, &authority);
        client.handshake().unwrap();
        std::thread::scope(|scope| {
            let mut writer = client.tls.sock.try_clone().unwrap();
            client.tls.conn.set_buffer_limit(None);
            let mut wire = Vec::new();
            for at in (0..8 * MIB).step_by(crate::harness::pattern::MOST) {
                let piece =
                    crate::harness::pattern::at(n, at, crate::harness::pattern::MOST.min(8 * MIB - at));
                client.tls.conn.writer().write_all(piece).unwrap();
                while client.tls.conn.wants_write() {
                    client.tls.conn.write_tls(&mut wire).unwrap();
                }
            }
            scope.spawn(move || writer.write_all(&wire).unwrap());
            client.receive_stream(n, 8 * MIB);
        });
        client.finish();
        assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
        let (here, there) = (ends.here.record(), ends.there.record());
        assert_eq!((here.outcome.end, there.outcome.end), (End::Done, End::Done), "{here}\n{there}");
        let traffic = there.outcome.traffic;
        assert_eq!((traffic.up.delivered, traffic.down.delivered), (8 * MIB as u64, 8 * MIB as u64));
        assert!(there.client_tls.is_some() && here.client_tls.is_none());
        ends.pool.wait_for(n as usize, 0);
    }
    assert_eq!((ends.other.freed(), ends.other.lost()), (3, 0));
}

#[test]
fn a_direction_that_has_ended_leaves_the_other_open() {
    let (authority, service) = (authority(), Target::manual());
    let ends = terminating(&authority, &service, "");
    let (mut client, mut served) = asked(&ends, &authority, &service);

    client.finish();
    assert_eq!(served.receive_close(), Close::Fin);
    served.send_stream(4, MIB);
    served.finish();
    client.receive_stream(4, MIB);
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    assert_eq!(ends.there.record().outcome.closed_by, Some(Side::Client));
    ends.pool.wait_for(1, 0);

    // And the other way around: the service ends first, with close_notify to the visitor.
    let (mut client, mut served) = asked(&ends, &authority, &service);
    served.send(b"the answer");
    served.finish();
    assert_eq!(client.receive_all(), (b"the answer".to_vec(), Close::Fin));
    client.send(b"late");
    assert_eq!(served.receive(4), b"late");
    client.finish();
    assert_eq!(served.receive_close(), Close::Fin);
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, there.outcome.end), (End::Done, End::Done), "{here}\n{there}");
    ends.pool.wait_for(2, 0);
}

#[test]
fn an_end_without_close_notify_is_noted_and_where_it_is_required_a_reset() {
    let (authority, service) = (authority(), Target::manual());
    let ends = terminating(&authority, &service, "");
    let (mut client, mut served) = asked(&ends, &authority, &service);
    client.cut();
    assert_eq!(served.receive_close(), Close::Fin);
    served.send(b"the answer");
    served.finish();
    assert_eq!(client.receive_all(), (b"the answer".to_vec(), Close::Fin));
    let record = ends.there.record();
    assert_eq!((record.outcome.end, record.no_close_notify), (End::Done, Some(Sides::Client)), "{record}");
    ends.here.record();

    let ends = terminating(&authority, &service, ", close_notify = 'require'");
    let (mut client, mut served) = asked(&ends, &authority, &service);
    client.send(b", half of it");
    client.cut();
    assert_eq!(served.receive_all(), (b", half of it".to_vec(), Close::Reset));
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(there.outcome.end, End::ClientReset);
    assert!(there.hint().unwrap().contains("without close_notify"), "{there}");
    assert_ne!(here.outcome.end, End::Done, "{here}");
}

#[test]
fn a_reset_of_either_side_reaches_the_other_and_looks_like_no_end() {
    let (authority, service) = (authority(), Target::manual());
    let ends = terminating(&authority, &service, "");
    let (client, mut served) = asked(&ends, &authority, &service);
    rustix::net::sockopt::set_socket_linger(&client.tls.sock, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(served.receive_close(), Close::Reset);
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(
        (here.outcome.end, there.outcome.end),
        (End::ClientReset, End::ClientReset),
        "{here}\n{there}"
    );

    ends.add_carrier();
    let (mut client, mut served) = asked(&ends, &authority, &service);
    served.send(b"half of");
    served.reset();
    let mut received = Vec::new();
    client.tls.read_to_end(&mut received).expect_err("it does not look whole");
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(
        (here.outcome.end, there.outcome.end),
        (End::TargetReset, End::TargetReset),
        "{here}\n{there}"
    );
}

#[test]
fn a_visitor_that_resets_while_its_answer_is_on_its_way_though_it_has_ended_is_noticed() {
    let (authority, service) = (authority(), Target::manual());
    let ends = terminating(&authority, &service, "");
    let (mut client, mut served) = asked(&ends, &authority, &service);
    client.finish();
    assert_eq!(served.receive_close(), Close::Fin);

    rustix::net::sockopt::set_socket_linger(&client.tls.sock, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);

    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(
        (here.outcome.end, there.outcome.end),
        (End::ClientReset, End::ClientReset),
        "{here}\n{there}"
    );
}

#[test]
fn a_visitor_that_ends_in_tls_alone_does_not_hold_the_session() {
    let (authority, service) = (authority(), Target::manual());
    let ends = terminating(&authority, &service, "");
    let (mut client, mut served) = asked(&ends, &authority, &service);
    // Without a FIN behind it.
    client.tls.conn.send_close_notify();
    client.tls.flush().unwrap();

    assert_eq!(served.receive_close(), Close::Fin);
    served.send(b"the answer");
    served.finish();

    assert_eq!(client.receive_all(), (b"the answer".to_vec(), Close::Fin));
    drop(client);
    assert_eq!(ends.there.record().outcome.end, End::Done);
    ends.pool.wait_for(1, 0);

    // One that keeps its connection for ever costs the tunnel a connection, and nothing else.
    let (mut client, mut served) = asked(&ends, &authority, &service);
    client.tls.conn.send_close_notify();
    client.tls.flush().unwrap();
    assert_eq!(served.receive_close(), Close::Fin);
    served.finish();
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    assert_eq!(ends.there.record().outcome.end, End::Done);
    ends.pool.wait_for(1, 1);
}

#[test]
fn a_handshake_that_fails_is_told_at_both_ends() {
    let (authority, service) = (authority(), Target::echo());
    let ends = terminating(&authority, &service, ", handshake_timeout = '300ms'");
    let mut plain = ends.connect();
    plain.send(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(plain.receive_all().1, Close::Reset);
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, there.outcome.end), (End::TlsFailed, End::TlsFailed), "{here}\n{there}");
    assert!(there.hint().unwrap().contains("HTTP"), "{there}");

    ends.add_carrier();
    let mut silent = ends.connect();
    assert_eq!(silent.receive_all(), (Vec::new(), Close::Reset));
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, there.outcome.end), (End::TlsFailed, End::TlsFailed), "{here}\n{there}");
    assert!(there.hint().unwrap().contains("handshake_timeout"), "{there}");
    assert_eq!((there.outcome.phase, there.outcome.attempts.len()), (Phase::Secure, 0));

    ends.add_carrier();
    let ended = ends.connect();
    ended.finish();
    assert_eq!(ends.there.record().outcome.end, End::ClientGone);
    ends.here.record();
    assert!(service.try_accept().is_none());
}

#[test]
fn a_tunnel_that_is_lost_within_the_handshake_is_no_fault_of_the_visitor() {
    let (authority, service) = (authority(), Target::echo());
    let config = format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\ntls = {{{}}}\n",
        service.address,
        authority.tls("web")
    );
    let proxy = Proxy::builder().with(&config);
    let other = OtherEnd::of(&proxy, "office", true);
    for (goes, end) in [(Reason::Killed, End::Killed), (Reason::Reset, End::TlsFailed)] {
        let mut spoken = other.opened(open(visitor("192.0.2.7:1")));
        assert_eq!(spoken.receive_frame(), Frame::Opened);
        spoken.send_body(b"\x16\x03\x01");
        spoken.send(&Frame::Reset(goes));
        assert_eq!(proxy.record().outcome.end, end);
    }
    let mut spoken = other.opened(open(visitor("192.0.2.7:1")));
    assert_eq!(spoken.receive_frame(), Frame::Opened);
    spoken.close();
    assert_eq!(proxy.record().outcome.end, End::TunnelLost);
}

#[test]
fn a_service_that_is_down_behind_tls_is_told_with_its_cause() {
    let (authority, closed) = (authority(), ClosedPort::port());
    let tls = format!("tls = {{{}}}", authority.tls("web"));
    let ends = Ends::with("", &tls, closed.address);

    let mut client = secured(&ends, &authority);
    client.handshake().unwrap();
    client.tls.read_to_end(&mut Vec::new()).expect_err("it is reset");

    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(there.outcome.end, End::NoTarget(Cause::Refused), "{there}");
    assert_eq!(here.outcome.end, End::NoTarget(Cause::Refused), "{here}");
    assert!(here.far);
}

#[test]
fn tls_on_every_stretch_carries_what_it_carries_on_one() {
    let authority = authority();
    let service = tls_target(authority.server("web", false), echo);
    let here = format!("tls = {{{}}}\n{}", authority.tls("web"), target_tls(&authority, ""));
    let there = format!(
        "tls = {{{}}}\ntarget_tls = {{ca = '{}'}}\nsend_proxy = 'off'",
        authority.tls("web"),
        authority.file("ca.pem").display()
    );
    let ends = Ends::with(&here, &there, service.address);

    let mut client = secured(&ends, &authority);
    for n in 0..20 {
        client.send_stream(n, 30_000);
        client.receive_stream(n, 30_000);
    }
    client.finish();
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, there.outcome.end), (End::Done, End::Done), "{here}\n{there}");
    assert_eq!((here.no_close_notify, there.no_close_notify), (None, None));
    ends.pool.wait_for(1, 0);
}

#[test]
fn a_header_of_a_proxy_a_hello_and_what_follows_may_come_in_one_piece() {
    let (authority, service) = (authority(), Target::echo());
    let names = format!("names = {{ 'localhost' = '{}' }}\naccept_proxy = ['127.0.0.1']", service.address);
    let there = format!("{names}\nclient_timeout = '20s'\ntls = {{{}}}", authority.tls("web"));
    let ends = Ends::with("", &there, ClosedPort::port().address);
    let mut client = secured(&ends, &authority);
    let mut first = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec();
    client.tls.conn.write_tls(&mut first).unwrap();

    client.tls.sock.write_all(&first).unwrap();
    client.send_with_the_handshake(b"hello");

    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));
    let record = ends.there.record();
    assert_eq!(record.client, Client::Net("192.0.2.7:4711".parse().unwrap()), "{record}");
    assert_eq!((record.outcome.end, record.name.as_deref()), (End::Done, Some("localhost")));
}
