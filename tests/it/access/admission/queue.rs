//! Clients that wait for a place.

use std::thread;
use std::time::Duration;

use loopgate::outcome::{Client, End, Limit, Phase};

use super::{config, is_reset_at_once, phase_of, proxy, seated, talk, waiting};
use crate::harness::{Close, Connection, Proxy, Target, wait_until};

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

    // Either client may be queued.
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
