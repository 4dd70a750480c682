//! A target at the other end of a tunnel: how it is reached, and what a client meets when it is not.

use std::time::Instant;

use loopgate::outcome::{Cause, End, Phase};
use loopgate::transport::tunnel::frame::{Frame, Reason};

use super::links::{Pool, wait_for_waiting};
use super::{Ends, declare};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, wait_until};

/// An end with a route to these targets.
pub(super) fn opener(more: &str, targets: &[&str]) -> (Proxy, std::net::SocketAddr, Pool) {
    let proxy = Proxy::builder().with("routes.other = {listen = '127.0.0.1:0', target = '1'}");
    let address = declare(&proxy, more, targets);
    let pool = Pool::of(&proxy, "home");
    (proxy, address, pool)
}

const FAILED: &[u8] = br#"{"cause":"timed_out","words":"nobody is there"}"#;

#[test]
fn the_first_bytes_of_a_client_do_not_wait_for_the_answer_of_the_only_target() {
    let (_here, address, pool) = opener("", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    client.send(b"GET /");

    let open = there.receive_open();
    assert_eq!(there.receive_body(5), b"GET /");

    assert_eq!(open.to.to_string(), "web");
    there.send(&Frame::Opened);
    there.send_body(b"200");
    assert_eq!(client.receive(3), b"200");
}

#[test]
fn a_client_whose_target_is_not_reached_there_is_reset_and_its_record_has_the_cause() {
    let closed = ClosedPort::port();
    let ends = Ends::to(closed.address);

    assert!(Connection::is_reset_at_once("127.0.0.1", ends.address));

    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(here.outcome.end, End::NoTarget(Cause::Refused));
    assert_eq!((here.outcome.end, here.outcome.phase), (there.outcome.end, Phase::Connect));
    assert!(here.far && !there.far, "{here}");
    wait_until("the other end has lost it", || (ends.other.lost() == 1).then_some(()));
}

#[test]
fn the_next_target_gets_every_byte_of_a_client_that_the_first_did_not_reach() {
    let closed = ClosedPort::port();
    let service = Target::echo();
    let ends = Ends::to(closed.address);
    let address = declare(
        &ends.here,
        "balance = 'first'\nhealth = { check = 'none' }",
        &["tunnel:home/web", &service.address.to_string()],
    );

    Connection::to(address).expect_whole_echo(7, 100_000);

    let record = ends.here.record();
    assert_eq!(record.outcome.end, End::Done);
    let causes: Vec<_> = record.outcome.attempts.iter().map(|attempt| attempt.cause).collect();
    assert_eq!(causes, [Some(Cause::Refused), None]);
    assert!(!record.far, "it was reached");
    assert_eq!(ends.there.record().outcome.traffic.up.read, 0);
}

#[test]
fn a_tunnel_of_which_the_other_end_denies_a_client_is_passed_over() {
    let service = Target::echo();
    let ends = Ends::with("", "deny = ['127.0.0.0/8']", service.address);
    let fallback = Target::echo();
    let address =
        declare(&ends.here, "balance = 'first'", &["tunnel:home/web", &fallback.address.to_string()]);

    Connection::to(address).expect_whole_echo(7, 1000);

    assert_eq!(ends.there.record().outcome.end.code(), "denied");
    assert_eq!(ends.here.record().outcome.end, End::Done);
}

#[test]
fn a_target_that_does_not_answer_in_time_costs_connect_timeout_and_no_byte() {
    let service = Target::echo();
    let (here, address, pool) = opener(
        "balance = 'first'\nconnect_timeout = '150ms'",
        &["tunnel:home/web", &service.address.to_string()],
    );
    let mut silent = pool.spoken();

    Connection::to(address).expect_whole_echo(7, 1000);

    silent.receive_open();
    assert_eq!(silent.receive_frame(), Frame::Reset(Reason::Reset));
    assert_eq!(here.record().outcome.attempts[0].cause, Some(Cause::TimedOut));
    pool.wait_for(0, 1);
}

#[test]
fn a_client_waits_for_a_target_that_restarts_behind_a_tunnel() {
    let closed = ClosedPort::port();
    let ends = Ends::with(
        "wait_for_target = '20s'\nhealth = { check = 'none', interval = '50ms' }",
        "",
        closed.address,
    );
    (0..3).for_each(|_| ends.add_carrier());
    let mut client = ends.connect();
    client.send(b"hello");
    assert_eq!(ends.there.record().outcome.end, End::NoTarget(Cause::Refused));

    let service = Target::echo_on(closed.address);
    (0..3).for_each(|_| ends.add_carrier());

    assert_eq!(client.receive(5), b"hello");
    drop(service);
}

#[test]
fn a_client_of_a_tunnel_that_is_down_is_reset_at_once() {
    let (here, address, pool) = opener("", &["tunnel:home/web"]);
    pool.line().set_down();

    assert!(Connection::is_reset_at_once("127.0.0.1", address));

    let record = here.record();
    assert_eq!((record.outcome.end, record.far), (End::NoTarget(Cause::TunnelDown), false));
}

#[test]
fn a_client_that_gives_up_while_it_waits_for_a_connection_takes_none() {
    let (here, address, pool) = opener("connect_timeout = '1h'", &["tunnel:home/web"]);
    let client = Connection::to(address);
    wait_for_waiting(&pool, 1);

    client.reset();

    assert_eq!(here.record().outcome.end, End::ClientGone);
    let _there = pool.spoken();
    assert_eq!((pool.line().demand(Instant::now()).idle, pool.lost()), (1, 0));
}

#[test]
fn a_client_that_finds_no_connection_is_told_so_after_connect_timeout() {
    let (here, address, _pool) = opener("connect_timeout = '100ms'", &["tunnel:home/web"]);
    let mut client = Connection::to(address);

    assert_eq!(client.receive_close(), Close::Reset);

    assert_eq!(here.record().outcome.end, End::NoTarget(Cause::TunnelBusy));
}

#[test]
fn a_client_that_gives_up_before_the_answer_is_a_reset_to_the_other_end() {
    let (here, address, pool) =
        opener("wait_for_target = '1h'\nconnect_timeout = '1h'", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let client = Connection::to(address);
    there.receive_open();

    client.reset();

    assert_eq!(there.receive_frame(), Frame::Reset(Reason::Reset));
    assert_eq!(here.record().outcome.end, End::ClientGone);
    pool.wait_for(0, 1);
}

#[test]
fn an_order_before_the_answer_is_told_to_the_other_end_by_its_name() {
    let (here, address, pool) =
        opener("wait_for_target = '1h'\nconnect_timeout = '1h'", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    there.receive_open();

    here.kill(here.only_session().id).unwrap();

    assert_eq!(there.receive_frame(), Frame::Reset(Reason::Killed));
    assert_eq!(client.receive_close(), Close::Reset);
    assert_eq!(here.record().outcome.end, End::Killed);
}

#[test]
fn a_failure_that_comes_behind_the_first_bytes_ends_the_session_with_its_cause() {
    let (here, address, pool) = opener("", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    client.send(b"GET /");
    there.receive_open();
    assert_eq!(there.receive_body(5), b"GET /");

    there.send(&Frame::Failed(FAILED.to_vec()));
    there.send(&Frame::Reset(Reason::NoTarget));

    assert_eq!(client.receive_close(), Close::Reset);
    let record = here.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::NoTarget(Cause::TimedOut), Phase::Connect));
    assert!(record.far && record.hint().unwrap().contains("nobody is there"), "{record}");
}

#[test]
fn a_connection_that_breaks_within_a_session_is_a_lost_tunnel_at_this_end() {
    let (here, address, pool) = opener("", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    client.send(b"GET /");
    there.receive_open();
    there.send(&Frame::Opened);
    there.send_body(b"a part");
    assert_eq!(there.receive_body(5), b"GET /");
    assert_eq!(client.receive(6), b"a part");

    there.close();

    assert_eq!(client.receive_close(), Close::Reset);
    assert_eq!(here.record().outcome.end, End::TunnelLost);
    pool.wait_for(0, 1);
}

#[test]
fn a_record_waits_for_the_other_end_to_say_that_everything_was_delivered() {
    let (here, address, pool) = opener("", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    client.finish();
    there.receive_open();
    there.send(&Frame::Opened);
    assert_eq!(there.receive_frame(), Frame::End);
    there.send(&Frame::End);
    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!((here.records().len(), pool.freed()), (0, 0));

    there.send(&Frame::Done);

    assert_eq!(here.record().outcome.end, End::Done);
    pool.wait_for(1, 0);
}

#[test]
fn a_reset_behind_both_ends_belongs_to_the_session_that_has_ended() {
    let (here, address, pool) = opener("", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    client.finish();
    there.receive_open();
    there.send(&Frame::Opened);
    there.send(&Frame::End);
    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!(there.receive_frame(), Frame::End);

    there.send(&Frame::Reset(Reason::Reset));

    assert_eq!(here.record().outcome.end, End::TargetReset);
    pool.wait_for(0, 1);
}

#[test]
fn an_end_that_never_says_that_it_is_done_loses_its_connection_alone() {
    let (here, address, pool) = opener("reset_linger = '100ms'", &["tunnel:home/web"]);
    let mut there = pool.spoken();
    let mut client = Connection::to(address);
    client.finish();
    there.receive_open();
    there.send(&Frame::Opened);
    there.send(&Frame::End);
    assert_eq!(client.receive_close(), Close::Fin);

    assert_eq!(here.record().outcome.end, End::TunnelLost);
    pool.wait_for(0, 1);
}

#[test]
fn a_session_through_two_tunnels_is_answered_by_the_last() {
    let closed = ClosedPort::port();
    let far = Proxy::builder()
        .with(&format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'", closed.address));
    let (middle, _, to_far) = opener("", &["tunnel:home/web"]);
    let from_middle = super::links::OtherEnd::of(&far, "office", true);
    super::links::join(&to_far, &from_middle);
    let at_middle = super::links::OtherEnd::of(&middle, "street", true);
    let mut open = super::links::open(super::links::visitor("192.0.2.7:1"));
    open.to = loopgate::address::There::Service("test".into());

    let mut asked = at_middle.opened(open.clone());

    let Frame::Failed(content) = asked.receive_frame() else { panic!("it is told that it failed") };
    assert!(String::from_utf8(content).unwrap().contains(r#""cause":"refused""#));
    assert_eq!(asked.receive_frame(), Frame::Reset(Reason::NoTarget));
    let (there, here) = (far.record(), middle.record());
    assert_eq!((there.id, here.id), (open.id, open.id));
    assert_eq!(
        (there.client, here.client),
        (here.client, "192.0.2.7:1".parse::<std::net::SocketAddr>().unwrap().into())
    );
}
