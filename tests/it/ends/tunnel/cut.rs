//! Sessions that are cut, in each way: both records say the same word, and the connection is not used again.

use std::time::Duration;

use loopgate::outcome::End;

use super::Ends;
use crate::harness::{Close, Connection, Target, wait_until};

/// A session that has moved bytes both ways.
struct Begun {
    service: Target,
    ends: Ends,
    client: Connection,
    served: Connection,
}

fn begun(here: &str, there: &str) -> Begun {
    let service = Target::manual();
    let ends = Ends::with(here, there, service.address);
    let mut client = ends.connect();
    let mut served = service.accept();
    client.send(b"ping");
    assert_eq!(served.receive(4), b"ping");
    served.send(b"pong");
    assert_eq!(client.receive(4), b"pong");
    Begun { service, ends, client, served }
}

impl Begun {
    /// Both ends of the session are reset, and each record says so.
    fn expect_cut(mut self, end: End) {
        assert_eq!(self.client.receive_close(), Close::Reset);
        assert_eq!(self.served.receive_close(), Close::Reset);
        self.expect_records(end);
    }

    fn expect_records(&self, end: End) {
        let (here, there) = (self.ends.here.record(), self.ends.there.record());
        assert_eq!(
            (here.outcome.end.code(), there.outcome.end.code()),
            (end.code(), end.code()),
            "{here}\n{there}"
        );
        self.ends.pool.wait_for(0, 1);
        wait_until("the other end has lost it too", || (self.ends.other.lost() == 1).then_some(()));
        assert!(self.service.try_accept().is_none());
    }
}

#[test]
fn a_reset_of_the_visitor_reaches_the_service() {
    let Begun { service, ends, client, mut served } = begun("", "");
    client.reset();

    assert_eq!(served.receive_close(), Close::Reset);
    Begun { client: Connection::to(service.address), service, ends, served }.expect_visitor_reset();
}

impl Begun {
    fn expect_visitor_reset(self) {
        drop(self.service.accept());
        self.expect_records(End::ClientReset);
    }
}

#[test]
fn a_reset_of_the_service_reaches_the_visitor() {
    let Begun { service, ends, mut client, served } = begun("", "");
    served.reset();

    assert_eq!(client.receive_close(), Close::Reset);
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!(
        (here.outcome.end, there.outcome.end),
        (End::TargetReset, End::TargetReset),
        "{here}\n{there}"
    );
    ends.pool.wait_for(0, 1);
    drop(service);
}

#[test]
fn what_was_sent_before_a_reset_arrives() {
    let Begun { service, ends, mut client, mut served } = begun("", "");
    // No more than the kernel takes at once: a reset throws away what waits to be sent.
    served.send_stream(4, 50_000);
    served.reset();

    client.receive_stream(4, 50_000);
    assert_eq!(client.receive_close(), Close::Reset);
    assert_eq!(ends.here.record().outcome.traffic.down.delivered, 50_004);
    drop(service);
}

#[test]
fn a_session_that_is_killed_here_is_killed_there() {
    let begun = begun("", "");
    begun.ends.here.kill(begun.ends.here.only_session().id).unwrap();
    begun.expect_cut(End::Killed);
}

#[test]
fn a_session_that_is_killed_there_is_killed_here() {
    let begun = begun("", "");
    begun.ends.there.kill(begun.ends.there.only_session().id).unwrap();
    begun.expect_cut(End::Killed);
}

#[test]
fn a_stop_of_one_end_drains_the_session_at_both() {
    let begun = begun("", "");
    assert_eq!(begun.ends.there.stop(Duration::ZERO), 1);
    begun.expect_cut(End::Drained);
}

#[test]
fn a_session_that_is_idle_there_is_idle_here() {
    begun("", "idle_timeout = '100ms'").expect_cut(End::Idle);
}

#[test]
fn a_session_that_is_idle_here_is_idle_there() {
    begun("idle_timeout = '100ms'", "").expect_cut(End::Idle);
}

#[test]
fn a_session_that_is_too_old_here_is_too_old_there() {
    begun("max_session_age = '150ms'", "").expect_cut(End::Expired);
}

#[test]
fn a_session_whose_place_is_needed_there_is_evicted_at_both_ends() {
    let begun = begun("", "max_connections = 1\nwhen_full = 'evict_idle'");
    begun.ends.add_carrier();
    let mut next = begun.ends.connect();
    next.send(b"me");

    let Begun { service, ends, mut client, mut served } = begun;
    assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset));
    assert_eq!(service.accept().receive(2), b"me");
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, there.outcome.end), (End::Evicted, End::Evicted), "{here}\n{there}");
}

#[test]
fn a_withdrawn_key_ends_the_sessions_of_its_tunnel_at_both_ends() {
    let begun = begun("", "");
    assert_eq!(begun.ends.there.engine().revoke(&"another".parse().unwrap()), 0);
    assert_eq!(begun.ends.there.engine().revoke(&"office".parse().unwrap()), 1);
    begun.expect_cut(End::Revoked);
}

#[test]
fn a_withdrawn_permission_of_the_opener_ends_its_sessions_too() {
    let begun = begun("", "");
    assert_eq!(begun.ends.here.engine().revoke(&"home".parse().unwrap()), 1);
    begun.expect_cut(End::Revoked);
}
