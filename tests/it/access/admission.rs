//! How many may come in, and how fast: caps, rates, the queue, who is evicted, and what a reload does to all of them.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use loopgate::outcome::{Client, Denial, End, Limit, Phase};

use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, socket};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, wait_until};

fn config(target: SocketAddr, more: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\n{more}\n")
}

fn proxy(target: SocketAddr, more: &str) -> Proxy {
    Proxy::builder().with(&config(target, more))
}

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

/// A client that waits, which is known from its session and from nothing that it hears.
fn waiting(proxy: &Proxy) -> Connection {
    let before = proxy.live().len();
    let client = proxy.connect();
    wait_until("it waits", || (proxy.live().len() == before + 1).then_some(()));
    client
}

fn is_reset_at_once(proxy: &Proxy) -> bool {
    Connection::is_reset_at_once("127.0.0.1", proxy.address)
}

/// Comes in as soon as it may.
fn comes_in(proxy: &Proxy) -> Connection {
    wait_until("a place is free", || {
        let mut client = Connection::try_to(proxy.address).ok()?;
        let mut received = [0; 4];
        let is_in =
            matches!(client.try_send(b"here"), Ok(4)) && matches!(client.try_receive(&mut received), Ok(4));
        is_in.then_some(client)
    })
}

/// The next record of this end, and the phase it ended in.
fn phase_of(proxy: &Proxy, end: End) -> Phase {
    loop {
        let record = proxy.record();
        if record.outcome.end == end {
            return record.outcome.phase;
        }
    }
}

#[test]
fn one_more_than_max_connections_is_reset_until_one_has_gone() {
    let target = Target::echo();
    let proxy = proxy(target.address, "max_connections = 2");
    let (first, mut second) = (seated(&proxy), seated(&proxy));

    assert!(is_reset_at_once(&proxy));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Limited(Limit::Connections), Phase::Admit));
    assert!(record.hint().unwrap().starts_with("max_connections: "));
    talk(&mut second);

    drop(first);
    talk(&mut comes_in(&proxy));
}

#[test]
fn each_client_has_places_of_its_own() {
    let target = Target::echo();
    let proxy = proxy(target.address, "max_connections_per_client = 1");
    let mut one = seated(&proxy);

    assert!(is_reset_at_once(&proxy));
    talk(&mut Connection::from_to("127.0.0.2", proxy.address));
    talk(&mut one);

    assert_eq!(phase_of(&proxy, End::Limited(Limit::PerClient)), Phase::Admit);
    drop(one);
    comes_in(&proxy);
}

#[test]
fn who_connects_faster_than_the_rate_is_reset() {
    let target = Target::echo();
    let proxy = proxy(target.address, "connection_rate = '3/h'");

    for _ in 0..3 {
        drop(seated(&proxy));
    }

    assert!(is_reset_at_once(&proxy));
    assert_eq!(phase_of(&proxy, End::Limited(Limit::Rate)), Phase::Admit);
}

#[test]
fn a_flood_from_one_address_keeps_nobody_else_out() {
    const FLOOD: usize = 5_000;
    let target = Target::echo();
    let limits =
        "max_connections_per_client = 20\nconnection_rate_per_client = '200/h'\nmax_connections = 100";
    let proxy = proxy(target.address, limits);
    let address = proxy.address;

    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..FLOOD / 2).for_each(|_| drop(Connection::try_from_to("127.0.0.2", address))));
        }
        for last in 3..103 {
            talk(&mut Connection::from_to(&format!("127.0.0.{last}"), address));
        }
    });

    proxy.wait_until_empty();
    assert!(Connection::is_reset_at_once("127.0.0.2", address), "its 200 of this hour are over");
    talk(&mut Connection::to(address));
}

#[test]
fn who_comes_while_it_is_full_waits_its_turn_in_the_order_of_coming() {
    let target = Target::manual();
    let proxy = proxy(target.address, "max_connections = 1\nwhen_full = 'queue'\nqueue_timeout = '1h'");
    let mut first = waiting(&proxy);
    let mut served = target.accept();
    let mut others: Vec<Connection> = (0..3).map(|_| waiting(&proxy)).collect();
    others.iter_mut().zip(b"abc").for_each(|(client, name)| client.send(&[*name]));

    first.send(b"x");
    assert_eq!(served.receive(1), b"x");
    drop((first, served));
    for (client, name) in others.into_iter().zip(b"abc") {
        let mut served = target.accept();
        assert_eq!(served.receive(1), [*name]);
        drop((client, served));
    }
}

#[test]
fn a_full_queue_and_a_wait_too_long_are_told_apart() {
    let target = Target::echo();
    let limits = "max_connections = 1\nwhen_full = 'queue'\nqueue = 1\nqueue_timeout = '3s'";
    let proxy = proxy(target.address, limits);
    let mut first = seated(&proxy);

    // Either may be the one that waits.
    thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| is_reset_at_once(&proxy)));
        both.into_iter().for_each(|it| assert!(it.join().unwrap()));
    });

    let mut ends =
        [proxy.record(), proxy.record()].map(|record| (record.outcome.end, record.outcome.timing.total));
    ends.sort_by_key(|(_, total)| *total);
    assert_eq!(ends.map(|(end, _)| end), [End::Limited(Limit::Queue), End::Limited(Limit::QueueTimeout)]);
    assert!(ends[1].1 >= Duration::from_secs(3));
    talk(&mut first);
}

#[test]
fn a_client_that_leaves_the_queue_frees_its_place_in_it() {
    let target = Target::echo();
    let limits = "max_connections = 1\nwhen_full = 'queue'\nqueue = 1\nqueue_timeout = '1h'";
    let proxy = proxy(target.address, limits);
    let mut first = seated(&proxy);

    waiting(&proxy).reset();
    assert_eq!(phase_of(&proxy, End::ClientGone), Phase::Admit);

    // Its place is given back a moment after its record.
    let mut next = wait_until("there is room in the queue", || {
        let client = Connection::try_to(proxy.address).ok()?;
        let is_this = |it: &Client| it.to_string() == client.local().to_string();
        let is_here = || proxy.live().iter().any(|it| is_this(&it.client));
        wait_until("it waits or is turned away", || {
            (is_here() || proxy.records().iter().any(|it| is_this(&it.client))).then_some(())
        });
        // They share a worker, so by the time this is answered the other is decided about.
        talk(&mut first);
        is_here().then_some(client)
    });
    drop(first);
    talk(&mut next);
}

#[test]
fn the_session_idle_longest_makes_place() {
    let target = Target::echo();
    let proxy = proxy(target.address, "max_connections = 2\nwhen_full = 'evict_idle'");
    let (mut first, mut second) = (seated(&proxy), seated(&proxy));
    talk(&mut first);

    let mut third = proxy.connect();
    third.send(b"here");

    assert_eq!(third.receive(4), b"here");
    assert_eq!(phase_of(&proxy, End::Evicted), Phase::Relay);
    // Which of the two it was, only one has gone.
    let survives = |client: &mut Connection| {
        matches!(client.try_send(b"here"), Ok(4)) && matches!(client.try_receive(&mut [0; 4]), Ok(4))
    };
    assert_eq!([survives(&mut first), survives(&mut second)].iter().filter(|it| **it).count(), 1);
}

#[test]
fn a_crowd_that_evicts_itself_leaves_every_place_free() {
    let target = Target::echo();
    let proxy = proxy(target.address, "max_connections = 10\nwhen_full = 'evict_idle'");
    let address = proxy.address;

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    // Evicted before, while or after it speaks: whatever it hears is its own.
                    let mut client = Connection::to(address);
                    let _ = client.try_send(b"here");
                    let _ = client.try_receive(&mut [0; 4]);
                }
            });
        }
    });

    proxy.wait_until_empty();
    let mut all: Vec<Connection> = (0..10).map(|_| comes_in(&proxy)).collect();
    all.iter_mut().for_each(talk);
}

#[test]
fn a_smaller_cap_ends_nobody_and_what_is_counted_outlives_a_reload() {
    let target = Target::echo();
    let listen = ClosedPort::port();
    let text = |most: usize, linger: &str| {
        format!(
            "[routes.test]\nlisten = '{}'\ntarget = '{}'\nmax_connections = {most}\nreset_linger = '{linger}'\n",
            listen.address, target.address
        )
    };
    let proxy = Proxy::builder().with(&text(3, "1s"));
    let mut all: Vec<Connection> = (0..3).map(|_| seated(&proxy)).collect();

    proxy.declare(&text(3, "2s")).unwrap();
    assert!(is_reset_at_once(&proxy), "the three of before count");
    proxy.declare(&text(2, "2s")).unwrap();
    all.iter_mut().for_each(talk);
    drop(all.pop());
    wait_until("it has ended", || (proxy.live().len() == 2).then_some(()));
    assert!(is_reset_at_once(&proxy), "two are as many as may be now");

    drop(all.pop());
    comes_in(&proxy);
    talk(&mut all[0]);
}

#[test]
fn sessions_that_began_before_there_were_limits_count_under_them() {
    let target = Target::echo();
    let listen = ClosedPort::port();
    let text = |limits: &str| {
        format!("[routes.test]\nlisten = '{}'\ntarget = '{}'\n{limits}\n", listen.address, target.address)
    };
    let proxy = Proxy::builder().with(&text(""));
    let mut all: Vec<Connection> = (0..3).map(|_| seated(&proxy)).collect();

    proxy.declare(&text("max_connections = 3")).unwrap();
    assert!(is_reset_at_once(&proxy), "three are here");
    proxy.declare(&text("max_connections_per_client = 3")).unwrap();
    assert!(is_reset_at_once(&proxy), "all three are of this client");

    // Without limits nobody is counted, and afterwards all are.
    proxy.declare(&text("")).unwrap();
    all.push(seated(&proxy));
    proxy.declare(&text("max_connections = 4")).unwrap();
    assert!(is_reset_at_once(&proxy), "four are here");
    drop(all.pop());
    all.push(comes_in(&proxy));
    assert!(is_reset_at_once(&proxy), "one came for one that left");

    all.iter_mut().for_each(talk);
    all.clear();
    proxy.wait_until_empty();
    let mut all: Vec<Connection> = (0..4).map(|_| comes_in(&proxy)).collect();
    all.iter_mut().for_each(talk);
    assert!(is_reset_at_once(&proxy), "nobody is counted who is gone, and all who are here");
}

#[test]
fn who_waits_behind_a_session_of_before_the_limits_comes_in_when_that_ends() {
    let target = Target::echo();
    let listen = ClosedPort::port();
    let text = |limits: &str| {
        format!("[routes.test]\nlisten = '{}'\ntarget = '{}'\n{limits}\n", listen.address, target.address)
    };
    let proxy = Proxy::builder().with(&text(""));
    let first = seated(&proxy);
    proxy.declare(&text("max_connections = 1\nwhen_full = 'queue'\nqueue_timeout = '1h'")).unwrap();
    let mut second = waiting(&proxy);

    drop(first);

    talk(&mut second);
}

#[test]
fn who_waits_comes_in_when_a_reload_makes_room() {
    let target = Target::echo();
    let listen = ClosedPort::port();
    let text = |limits: &str| {
        format!("[routes.test]\nlisten = '{}'\ntarget = '{}'\n{limits}\n", listen.address, target.address)
    };
    let queue = "when_full = 'queue'\nqueue_timeout = '1h'";
    let proxy = Proxy::builder().with(&text(&format!("max_connections = 1\n{queue}")));
    let _first = seated(&proxy);
    let (mut second, mut third) = (waiting(&proxy), waiting(&proxy));

    proxy.declare(&text(&format!("max_connections = 2\n{queue}"))).unwrap();
    talk(&mut second);
    proxy.declare(&text("")).unwrap();

    talk(&mut third);
}

#[test]
fn who_waits_is_turned_away_when_a_reload_denies_it_and_the_next_comes_in() {
    let target = Target::echo();
    let listen = ClosedPort::port();
    let text = |deny: &str| {
        format!(
            "[routes.test]\nlisten = '{}'\ntarget = '{}'\nmax_connections = 1\nwhen_full = 'queue'\n\
             queue_timeout = '1h'\ndeny = '{deny}'\n",
            listen.address, target.address
        )
    };
    let proxy = Proxy::builder().with(&text("off"));
    let first = seated(&proxy);
    let mut denied = Connection::from_to("127.0.0.2", proxy.address);
    wait_until("it waits", || (proxy.live().len() == 2).then_some(()));
    let mut next = Connection::from_to("127.0.0.3", proxy.address);
    wait_until("it waits", || (proxy.live().len() == 3).then_some(()));

    proxy.declare(&text("127.0.0.2")).unwrap();

    assert_eq!(denied.receive_close(), Close::Reset);
    assert_eq!(phase_of(&proxy, End::Denied(Denial::Listed)), Phase::Admit);
    drop(first);
    talk(&mut next);
}

#[test]
fn a_stop_resets_who_still_waits() {
    let target = Target::echo();
    let proxy = proxy(target.address, "max_connections = 1\nwhen_full = 'queue'\nqueue_timeout = '1h'");
    let _first = seated(&proxy);
    let mut second = waiting(&proxy);

    assert_eq!(proxy.stop(Duration::ZERO), 2);

    assert_eq!(second.receive_close(), Close::Reset);
    assert_eq!([proxy.record(), proxy.record()].map(|record| record.outcome.end), [End::Drained; 2]);
}

#[test]
fn a_crowd_in_a_queue_is_served_to_the_last_and_every_place_is_free_again() {
    let target = Target::echo();
    let limits = "max_connections = 5\nwhen_full = 'queue'\nqueue = 200\nqueue_timeout = '1h'";
    let proxy = Proxy::builder().workers(2).with(&config(target.address, limits));
    let address = proxy.address;

    thread::scope(|scope| {
        for seed in 0..100 {
            scope.spawn(move || Connection::to(address).expect_whole_echo(seed, 10_000));
        }
    });

    proxy.wait_until_empty();
    let mut all: Vec<Connection> = (0..5).map(|_| seated(&proxy)).collect();
    all.iter_mut().for_each(talk);
    assert!(proxy.records().iter().all(|record| record.outcome.end == End::Done));
}

#[test]
fn new_flows_have_a_rate_as_well() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "protocol = 'udp'\nconnection_rate = '2/h'");
    let (one, two, three) = (client(proxy.address), client(proxy.address), client(proxy.address));
    assert_eq!((ask(&one, b"1"), ask(&two, b"2")), (b"1".to_vec(), b"2".to_vec()));

    three.send(b"3").unwrap();

    assert_eq!(ask(&one, b"4"), b"4");
    assert_eq!(phase_of(&proxy, End::Limited(Limit::Rate)), Phase::Admit);
    assert!(is_silent(&three));
}

#[test]
fn flows_are_counted_for_each_client_address_too() {
    let echo = EchoDatagrams::start();
    let limits = "protocol = 'udp'\nmax_connections_per_client = 2\nconnection_rate = '100/h'";
    let proxy = proxy(echo.address, limits);
    let (one, two, three) = (client(proxy.address), client(proxy.address), client(proxy.address));
    assert_eq!((ask(&one, b"1"), ask(&two, b"2")), (b"1".to_vec(), b"2".to_vec()));

    three.send(b"3").unwrap();
    let elsewhere = socket("127.0.0.2:0");
    elsewhere.connect(proxy.address).unwrap();

    assert_eq!(ask(&elsewhere, b"4"), b"4");
    assert!(is_silent(&three));
    assert_eq!(phase_of(&proxy, End::Limited(Limit::PerClient)), Phase::Admit);
    assert_eq!(ask(&one, b"5"), b"5");
}
