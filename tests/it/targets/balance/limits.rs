//! Targets with a `max_connections` of their own: who is passed over, who waits, who is reset.

use std::thread;
use std::time::Duration;

use loopgate::outcome::{End, Limit, Phase};

use super::{plain, proxy, reached, route, visit, with};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, wait_until};

const QUEUE: &str = "balance = 'first'\nwhen_full = 'queue'\nqueue_timeout = '1h'";

/// One exchange with an echo.
fn talk(client: &mut Connection) {
    client.send(b"here");
    assert_eq!(client.receive(4), b"here");
}

fn seated(proxy: &Proxy) -> Connection {
    let mut client = proxy.connect();
    talk(&mut client);
    client
}

/// A client that gets no answer yet.
fn waiting(proxy: &Proxy) -> Connection {
    let before = proxy.live().len();
    let client = proxy.connect();
    wait_until("it waits", || (proxy.live().len() == before + 1).then_some(()));
    client
}

fn is_reset_at_once(proxy: &Proxy) -> bool {
    Connection::is_reset_at_once("127.0.0.1", proxy.address)
}

#[test]
fn a_full_target_is_passed_over_and_where_all_are_full_the_client_is_reset() {
    let (one, two) = (Target::echo(), Target::echo());
    let limits = [with(one.address, "max_connections = 1"), with(two.address, "max_connections = 2")];
    let proxy = proxy(&limits, "");
    let mut all: Vec<Connection> = (0..3).map(|_| seated(&proxy)).collect();
    let at = |target: &Target| {
        let name = target.address.to_string();
        proxy.live().iter().filter(|live| **live.target() == *name).count()
    };
    assert_eq!((at(&one), at(&two)), (1, 2));

    assert!(is_reset_at_once(&proxy));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Limited(Limit::Target), Phase::Connect));
    assert!(record.hint().unwrap().starts_with("max_connections: "), "{record}");
    assert!(record.outcome.attempts.is_empty(), "{record}");
    all.iter_mut().for_each(talk);

    all.remove(0).finish();
    let freed = reached(&proxy);
    let _next = wait_until("its place is free", || {
        let mut client = Connection::try_to(proxy.address).ok()?;
        let is_in =
            matches!(client.try_send(b"here"), Ok(4)) && matches!(client.try_receive(&mut [0; 4]), Ok(4));
        is_in.then_some(client)
    });
    assert!([one.address, two.address].contains(&freed));
    assert_eq!((at(&one), at(&two)), (1, 2));
}

#[test]
fn the_only_target_can_have_a_limit_too() {
    let target = Target::echo();
    let proxy = proxy(&[with(target.address, "max_connections = 1")], "");
    let mut first = seated(&proxy);

    assert!(is_reset_at_once(&proxy));

    assert_eq!(proxy.record().outcome.end, End::Limited(Limit::Target));
    talk(&mut first);
}

#[test]
fn a_backup_takes_whom_full_targets_do_not() {
    let (primary, backup) = (Target::echo(), Target::echo());
    let parts = [with(primary.address, "max_connections = 1"), with(backup.address, "backup = true")];
    let proxy = proxy(&parts, "");
    let first = seated(&proxy);

    visit(proxy.connect());

    assert_eq!(reached(&proxy), backup.address);
    drop(first);
}

#[test]
fn who_comes_while_every_target_is_full_waits_in_the_order_of_coming() {
    let target = Target::manual();
    // With one worker, the order of the connections is that in the line.
    let text = route("127.0.0.1:0", &[with(target.address, "max_connections = 1")], QUEUE);
    let proxy = Proxy::builder().with(&text);
    let mut first = waiting(&proxy);
    let mut served = target.accept();
    first.send(b"x");
    assert_eq!(served.receive(1), b"x");
    let mut others: Vec<Connection> = (0..3).map(|_| waiting(&proxy)).collect();
    others.iter_mut().zip(b"abc").for_each(|(client, name)| client.send(&[*name]));

    drop((first, served));

    for (client, name) in others.into_iter().zip(b"abc") {
        let mut served = target.accept();
        assert_eq!(served.receive(1), [*name]);
        drop((client, served));
    }
}

#[test]
fn a_full_queue_a_wait_too_long_and_a_client_that_leaves_are_told_apart() {
    let target = Target::echo();
    let keys = "when_full = 'queue'\nqueue = 1\nqueue_timeout = '3s'";
    let proxy = proxy(&[with(target.address, "max_connections = 1")], keys);
    let mut first = seated(&proxy);

    waiting(&proxy).reset();
    let gone = proxy.record().outcome;
    assert_eq!((gone.end, gone.phase), (End::ClientGone, Phase::Connect));
    thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| is_reset_at_once(&proxy)));
        both.into_iter().for_each(|it| assert!(it.join().unwrap()));
    });

    let mut ends = [proxy.record(), proxy.record()].map(|it| (it.outcome.end, it.outcome.timing.total));
    ends.sort_by_key(|(_, total)| *total);
    assert_eq!(ends.map(|(end, _)| end), [End::Limited(Limit::Queue), End::Limited(Limit::QueueTimeout)]);
    assert!(ends[1].1 >= Duration::from_secs(3));
    talk(&mut first);
}

#[test]
fn who_waits_goes_to_a_target_that_comes_back_and_not_to_one_that_is_down() {
    let (full, port) = (Target::echo(), ClosedPort::port());
    let parts = [with(full.address, "max_connections = 1"), plain(port.address)];
    let proxy = proxy(&parts, QUEUE);
    let mut first = seated(&proxy);
    // It is refused there, and from then on that target is known to be down.
    let mut waits = [waiting(&proxy), waiting(&proxy)];

    let _back = Target::echo_on(port.address);

    waits.iter_mut().for_each(talk);
    talk(&mut first);
}

#[test]
fn a_stop_resets_who_waits_for_a_target() {
    let target = Target::echo();
    let proxy = proxy(&[with(target.address, "max_connections = 1")], QUEUE);
    let _first = seated(&proxy);
    let mut second = waiting(&proxy);

    assert_eq!(proxy.stop(Duration::ZERO), 2);

    assert_eq!(second.receive_close(), Close::Reset);
    assert_eq!([proxy.record(), proxy.record()].map(|record| record.outcome.end), [End::Drained; 2]);
}

#[test]
fn a_reload_keeps_the_sessions_of_a_target_and_their_count() {
    let (target, listen) = (Target::echo(), ClosedPort::port());
    let text = |part: &str, more: &str| route(listen.address, &[with(target.address, part)], more);
    let proxy = Proxy::builder().workers(2).with(&text("weight = 1", ""));
    let mut all: Vec<Connection> = (0..3).map(|_| seated(&proxy)).collect();

    // Other health rules, and the three of before the limit count all the same.
    proxy.declare(&text("max_connections = 3", "health.interval = '9s'")).unwrap();
    assert!(is_reset_at_once(&proxy));
    proxy.declare(&text("max_connections = 2", "")).unwrap();
    assert!(is_reset_at_once(&proxy));
    proxy.declare(&text("max_connections = 4", "")).unwrap();
    all.push(seated(&proxy));
    assert!(is_reset_at_once(&proxy));

    all.iter_mut().for_each(talk);
}

#[test]
fn the_sessions_of_every_route_that_dials_a_target_count() {
    let (target, other) = (Target::echo(), ClosedPort::port());
    let text = format!(
        "{}[routes.without]\nlisten = '{}'\ntarget = '{}'\n",
        route("127.0.0.1:0", &[with(target.address, "max_connections = 1")], ""),
        other.address,
        target.address
    );
    let proxy = Proxy::builder().workers(2).with(&text);
    let limited = proxy.declared.listening.iter().filter_map(|it| it.address.net());
    let limited = limited.into_iter().find(|it| *it != other.address).unwrap();
    let mut all: Vec<Connection> = (0..2).map(|_| Connection::to(other.address)).collect();
    all.iter_mut().for_each(talk);

    assert!(Connection::is_reset_at_once("127.0.0.1", limited));

    all.iter_mut().for_each(talk);
}

#[test]
fn who_waits_until_a_target_is_back_takes_no_place_there() {
    let port = ClosedPort::port();
    let proxy = proxy(&[with(port.address, "max_connections = 1")], "wait_for_target = '1h'");
    let refused = |count: usize| {
        wait_until("each has been refused once", || {
            let name = port.address.to_string();
            let aimed = proxy.live().iter().filter(|live| **live.target() == *name).count();
            (aimed == count).then_some(())
        });
    };
    // While the first dials, it has the place.
    let first = waiting(&proxy);
    refused(1);
    let mut both = [first, waiting(&proxy)];
    refused(2);
    assert!(proxy.records().is_empty(), "neither is turned away by the other");

    let _back = Target::echo_on(port.address);

    // Both come; one of them finds it full.
    let answered = both.iter_mut().filter_map(|client| {
        let _ = client.try_send(b"here");
        client.try_receive(&mut [0; 4]).ok().filter(|n| *n == 4)
    });
    assert_eq!(answered.count(), 1);
    assert_eq!(proxy.record().outcome.end, End::Limited(Limit::Target));
}

#[test]
fn a_crowd_before_full_targets_is_served_to_the_last_and_never_more_at_one_time() {
    let targets = [Target::echo(), Target::echo(), Target::echo()];
    let parts = targets.each_ref().map(|target| with(target.address, "max_connections = 2"));
    let proxy = proxy(
        &parts,
        "balance = 'least_connections'\nwhen_full = 'queue'\nqueue = 200\nqueue_timeout = '1h'",
    );
    let address = proxy.address;

    thread::scope(|scope| {
        for seed in 0..100 {
            scope.spawn(move || Connection::to(address).expect_whole_echo(seed, 10_000));
        }
    });

    proxy.wait_until_empty();
    let _all: Vec<Connection> = (0..6).map(|_| seated(&proxy)).collect();
    assert!(proxy.records().iter().all(|record| record.outcome.end == End::Done));
    let _seventh = waiting(&proxy);
    assert_eq!(proxy.live().len(), 7, "it is not turned away");
}
