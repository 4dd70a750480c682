//! How flows end: by the target, the tunnel, limits, orders and reloads, and what both records say.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use loopgate::outcome::{Cause, Client, Denial, End, Limit};
use loopgate::transport::tunnel::flows::FlowEnded;

use super::{Ends, declare, far_route};
use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, receive, socket};
use crate::harness::wait_until;

/// An address of this machine where nothing receives.
fn nobody() -> SocketAddr {
    socket("127.0.0.1:0").local_addr().unwrap()
}

#[test]
fn a_target_that_refuses_there_is_told_here_with_its_cause() {
    let ends = Ends::to(nobody());
    let client = client(ends.address);

    client.send(b"is anybody there?").unwrap();

    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!((here.outcome.end, here.far), (End::NoTarget(Cause::Refused), true), "{here}");
    assert_eq!((there.outcome.end, there.far), (End::NoTarget(Cause::Refused), false), "{there}");
    assert_eq!(here.id, there.id);
    assert!(here.to_string().contains(" end=no_target cause=refused far=true phase=connect "), "{here}");
    assert_eq!(ends.link.count(), 0);
}

#[test]
fn a_tunnel_that_is_down_is_no_target_and_back_when_it_is_up() {
    let echo = EchoDatagrams::start();
    let ends = Ends::to(echo.address);
    let client = client(ends.address);
    ask(&client, b"1");

    ends.link.cut(&FlowEnded::Lost);
    let (here, there) = (ends.here.record(), ends.there.record());
    assert_eq!([here.outcome.end, there.outcome.end], [End::TunnelLost; 2]);
    client.send(b"2").unwrap();
    assert_eq!(ends.here.record().outcome.end, End::NoTarget(Cause::TunnelDown));

    ends.link.set_up();
    assert_eq!(ask(&client, b"3"), b"3");
}

#[test]
fn a_client_goes_to_the_other_target_if_a_tunnel_is_down_or_busy() {
    let echo = EchoDatagrams::start();
    let ends = Ends::to(echo.address);
    let beside = EchoDatagrams::start();
    let targets = ["tunnel:home/game", &beside.address.to_string()];
    let address = declare(&ends.here, "127.0.0.1:0", "balance = 'first'", &targets);
    assert_eq!(ask(&client(address), b"1"), b"1");
    assert_eq!(ends.link.count(), 1);

    ends.link.most.store(1, SeqCst);
    assert_eq!(ask(&client(address), b"2"), b"2");
    ends.link.most.store(9, SeqCst);
    ends.link.state("game", Some(Cause::Refused));
    assert_eq!(ask(&client(address), b"3"), b"3");
    assert_eq!(ends.link.count(), 1, "neither went by the tunnel");

    ends.link.state("game", None);
    wait_until("the tunnel is used again", || {
        ask(&client(address), b"4");
        (ends.link.count() == 2).then_some(())
    });
}

#[test]
fn a_visitor_is_judged_there_by_its_own_address() {
    let echo = EchoDatagrams::start();
    let ends = Ends::with("", "allow = ['127.0.0.2']", echo.address);
    let (denied, allowed) = (socket("127.0.0.1:0"), socket("127.0.0.2:0"));

    denied.send_to(b"1", ends.address).unwrap();
    let (there, here) = (ends.there.record(), ends.here.record());
    allowed.send_to(b"2", ends.address).unwrap();

    assert_eq!(receive(&allowed), b"2");
    assert_eq!(there.outcome.end, End::Denied(Denial::Unlisted));
    assert_eq!(there.client, Client::Net(denied.local_addr().unwrap()));
    assert_eq!(here.outcome.end.code(), "denied");
    assert!(is_silent(&denied));
}

#[test]
fn every_visitor_that_is_denied_there_has_a_record_there() {
    let echo = EchoDatagrams::start();
    let ends = Ends::with("", "allow = ['127.0.0.2']", echo.address);

    for n in 1..=3 {
        client(ends.address).send(b"1").unwrap();
        wait_until("it is told", || (ends.link.told.lock().unwrap().len() == n).then_some(()));
    }

    ends.there.stop(Duration::ZERO);
    let counts: u64 = ends.there.records().iter().map(|record| record.count).sum();
    assert_eq!(counts, 3);
}

#[test]
fn a_visitor_whose_address_does_not_count_is_in_no_allow() {
    let echo = EchoDatagrams::start();
    let ends = Ends::at("127.0.0.1:0", "", "allow = ['0.0.0.0/0']", echo.address, false);

    client(ends.address).send(b"1").unwrap();

    let there = ends.there.record();
    assert_eq!((there.outcome.end, there.client), (End::Denied(Denial::Unlisted), Client::Unknown));
    assert!(there.to_string().contains(" tunnel=office "), "{there}");
}

#[test]
fn the_flows_of_the_route_there_are_limited_at_n() {
    let echo = EchoDatagrams::start();
    let ends = Ends::with("", "max_flows = 2\nflows_full = 'refuse'", echo.address);
    let clients: Vec<_> = (0..3).map(|_| client(ends.address)).collect();

    clients[..2].iter().for_each(|client| assert_eq!(ask(client, b"in"), b"in"));
    clients[2].send(b"out").unwrap();

    let here = ends.here.record();
    assert_eq!(here.outcome.end.code(), "limited", "{here}");
    clients[..2].iter().for_each(|client| assert_eq!(ask(client, b"still in"), b"still in"));
    assert_eq!(ends.link.count(), 2);
}

#[test]
fn limits_per_client_count_by_tunnel_and_address() {
    let echo = EchoDatagrams::start();
    let ends = Ends::with("", "max_connections_per_client = 1", echo.address);
    let first = client(ends.address);
    assert_eq!(ask(&first, b"in"), b"in");

    client(ends.address).send(b"out").unwrap();
    let other = socket("127.0.0.2:0");
    other.send_to(b"another", ends.address).unwrap();

    assert_eq!(receive(&other), b"another");
    assert_eq!(ends.there.record().outcome.end, End::Limited(Limit::PerClient));
    // Somebody who sends to the route there itself is another client.
    assert_eq!(ask(&client(ends.there.address), b"direct"), b"direct");
}

#[test]
fn a_flow_that_is_idle_or_killed_ends_at_both_ends_with_the_same_word() {
    let echo = EchoDatagrams::start();
    let ends = Ends::with("", "idle_timeout = '100ms'", echo.address);
    ask(&client(ends.address), b"1");
    assert_eq!([ends.there.record().outcome.end, ends.here.record().outcome.end], [End::Idle; 2]);

    let ends = Ends::to(echo.address);
    for here in [true, false] {
        ask(&client(ends.address), b"1");
        let killed = if here { &ends.here } else { &ends.there };
        killed.kill(killed.only_session().id).unwrap();
        assert_eq!([ends.there.record().outcome.end, ends.here.record().outcome.end], [End::Killed; 2]);
    }
    assert_eq!(ends.link.count(), 0);
}

#[test]
fn a_revoked_tunnel_ends_its_flows_at_both_ends() {
    let echo = EchoDatagrams::start();
    let ends = Ends::to(echo.address);
    ask(&client(ends.address), b"1");
    let (home, office) = ("home".parse().unwrap(), "office".parse().unwrap());
    assert_eq!([ends.there.engine().revoke(&home), ends.here.engine().revoke(&office)], [0, 0]);

    assert_eq!(ends.there.engine().revoke(&office), 1);

    assert_eq!([ends.there.record().outcome.end, ends.here.record().outcome.end], [End::Revoked; 2]);
    ask(&client(ends.address), b"2");
    assert_eq!(ends.here.engine().revoke(&home), 1);
    assert_eq!([ends.there.record().outcome.end, ends.here.record().outcome.end], [End::Revoked; 2]);
}

#[test]
fn questions_through_a_tunnel_are_answered_one_flow_each_and_done() {
    let echo = EchoDatagrams::start();
    let preset = "requests = 1\nanswers = 1";
    let ends = Ends::with("", preset, echo.address);
    let client = client(ends.address);

    for n in 0..5_u8 {
        assert_eq!(ask(&client, &[n]), [n]);
        assert_eq!(ends.there.record().outcome.end, End::Done);
    }

    assert_eq!((ends.link.count(), ends.here.live().len()), (1, 1), "the visitor may have more questions");
    ends.here.stop(Duration::ZERO);
    assert_eq!(ends.here.record().outcome.datagrams.unwrap().down, 5);
}

#[test]
fn a_drain_there_tells_the_other_end_and_takes_no_more() {
    let echo = EchoDatagrams::start();
    let ends = Ends::to(echo.address);
    let client = client(ends.address);
    ask(&client, b"1");

    ends.there.stop(Duration::ZERO);

    assert_eq!(ends.here.record().outcome.end, End::Drained);
    client.send(b"2").unwrap();
    assert_eq!(ends.here.record().outcome.end, End::Drained);
}

#[test]
fn a_flow_keeps_the_route_it_began_with_and_new_ones_take_the_new() {
    let (echo, other) = (EchoDatagrams::start(), socket("127.0.0.1:0"));
    let ends = Ends::to(echo.address);
    let (before, after) = (client(ends.address), client(ends.address));
    ask(&before, b"1");

    ends.there.declare(&far_route(other.local_addr().unwrap(), "")).unwrap();
    assert_eq!(ask(&before, b"2"), b"2");
    after.send(b"3").unwrap();
    assert_eq!(receive(&other), b"3");

    ends.there.declare("routes.another = {listen = '127.0.0.1:0', target = '1'}").unwrap();
    assert_eq!(ask(&before, b"4"), b"4");
    client(ends.address).send(b"5").unwrap();
    let refused = ends.here.record();
    assert_eq!((refused.outcome.end, refused.far), (End::NoTarget(Cause::TunnelRefused), true), "{refused}");
}
