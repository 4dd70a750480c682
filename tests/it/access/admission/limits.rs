//! Caps, rates and evictions.

use std::thread;

use loopgate::outcome::{End, Limit, Phase};

use super::{comes_in, is_reset_at_once, phase_of, proxy, seated, talk};
use crate::harness::{Connection, Target};

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
    for limits in ["connection_rate = '3/h'", "connection_rate = {rate = '1000/h', burst = 3}"] {
        let proxy = proxy(target.address, limits);

        for _ in 0..3 {
            drop(seated(&proxy));
        }

        assert!(is_reset_at_once(&proxy));
        assert_eq!(phase_of(&proxy, End::Limited(Limit::Rate)), Phase::Admit);
    }
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
                    // Evicted before, while or after it sends: it receives only its own bytes.
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
