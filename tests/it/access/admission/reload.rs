//! What a reload does to caps, and to clients that wait.

use loopgate::outcome::{Denial, End, Phase};

use super::{comes_in, is_reset_at_once, phase_of, seated, talk, waiting};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, wait_until};

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

    // Without limits no client is counted, and afterwards all are.
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
