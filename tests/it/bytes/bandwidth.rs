//! Routes with a bandwidth: every byte arrives, and none before its time.

use std::thread;
use std::time::{Duration, Instant};

use loopgate::outcome::{End, Way};
use loopgate::probe::sockets::connections;

use crate::harness::{Close, Connection, Proxy, Target, wait_until};

/// Of the slowest rates: what may move at once, however long nothing did.
const BURST: u64 = 16 << 10;

fn proxy_with(settings: &str, target: &Target) -> Proxy {
    Proxy::builder().with(&route_with(settings, target))
}

fn route_with(settings: &str, target: &Target) -> String {
    format!("routes.test = {{listen = '127.0.0.1:0', target = '{}', {settings}}}", target.address)
}

/// Both ends of a session.
fn one_session(proxy: &Proxy, target: &Target) -> (Connection, Connection) {
    (proxy.connect(), target.accept())
}

/// What may have moved since `began` at so many thousand bytes a second.
fn allowed_since(began: Instant, rate: u64) -> u64 {
    BURST + rate * began.elapsed().as_micros() as u64 / 1000
}

#[test]
fn streams_arrive_whole_both_ways_and_inside_the_kernel() {
    const ALL: usize = 3 << 20;
    for settings in [
        "bandwidth = '100mbit'",
        "bandwidth_per_connection = '100mbit'",
        "bandwidth = {up = '100mbit', down = '200mbit', burst = '256KiB'}",
        "bandwidth_per_connection = {up = '100mbit'}",
    ] {
        let target = Target::manual();
        let proxy = proxy_with(settings, &target);
        let (mut client, mut served) = one_session(&proxy, &target);
        let mut talking = Connection::from(client.stream().try_clone().unwrap());
        let mut answering = Connection::from(served.stream().try_clone().unwrap());

        thread::scope(|scope| {
            scope.spawn(|| talking.send_stream(1, ALL));
            scope.spawn(|| answering.send_stream(2, ALL));
            scope.spawn(|| client.receive_stream(2, ALL));
            served.receive_stream(1, ALL);
        });

        client.finish();
        assert_eq!(served.receive_close(), Close::Fin);
        served.finish();
        assert_eq!(client.receive_close(), Close::Fin);
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice));
        assert_eq!((outcome.traffic.up.delivered, outcome.traffic.down.delivered), (ALL as u64, ALL as u64));
    }
}

#[test]
fn a_direction_without_a_rate_is_not_slowed_by_that_of_the_other() {
    const ALL: usize = 3 << 20;
    // At a byte a second, which no test would wait for.
    let slow = "'8bit', burst = '1B'";
    for key in ["bandwidth", "bandwidth_per_connection"] {
        let target = Target::manual();
        let proxy = proxy_with(&format!("{key} = {{down = {slow}}}"), &target);
        let (mut client, mut served) = one_session(&proxy, &target);
        thread::scope(|scope| {
            scope.spawn(|| client.send_stream(1, ALL));
            served.receive_stream(1, ALL);
        });

        let target = Target::sending(1, ALL);
        let proxy = proxy_with(&format!("{key} = {{up = {slow}, down = 'off'}}"), &target);
        proxy.connect().receive_stream(1, ALL);
    }
}

#[test]
fn without_pipes_a_limited_stream_arrives_as_well() {
    let target = Target::sending(1, 2 << 20);
    let proxy = Proxy::builder().pipes(0).with(&route_with("bandwidth = '100mbit'", &target));
    let mut client = proxy.connect();

    client.receive_stream(1, 2 << 20);

    assert_eq!(client.receive_close(), Close::Fin);
    drop(client);
    assert_eq!(proxy.record().outcome.way, Way::Copy);
}

#[test]
fn an_answer_that_comes_after_the_clients_fin_arrives_at_its_rate() {
    let target = Target::answering_after_fin();
    let proxy = proxy_with("bandwidth_per_connection = '40mbit'", &target);
    let mut client = proxy.connect();

    client.send_stream(1, 1 << 20);
    client.finish();

    client.receive_stream(1, 1 << 20);
    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!(proxy.record().outcome.end, End::Done);
}

#[test]
fn no_more_moves_than_burst_and_rate_allow() {
    for settings in ["bandwidth = '80kbit'", "bandwidth_per_connection = '80kbit'"] {
        let target = Target::sending(1, 1 << 20);
        let proxy = proxy_with(settings, &target);
        let began = Instant::now();
        let mut client = proxy.connect();
        let session = proxy.only_session();

        wait_until("the burst is over", || {
            let read = session.meter.traffic().down.read;
            assert!(read <= allowed_since(began, 10), "{read} bytes");
            (read > BURST - 2048).then_some(())
        });
        // It goes on, and no faster.
        client.receive_stream(1, BURST as usize + 4096);
        let read = session.meter.traffic().down.read;
        assert!(read <= allowed_since(began, 10), "{read} bytes");
    }
}

#[test]
fn sessions_of_one_route_share_its_bandwidth_and_each_gets_some() {
    let target = Target::sending(1, 1 << 20);
    let proxy = Proxy::builder().workers(2).with(&route_with("bandwidth = '800kbit'", &target));
    let began = Instant::now();
    let mut clients: Vec<Connection> = (0..4).map(|_| proxy.connect()).collect();

    // As much as the burst of all of them, for each.
    clients.iter_mut().for_each(|client| client.receive_stream(1, BURST as usize));

    let read: u64 = proxy.live().iter().map(|live| live.meter.traffic().down.read).sum();
    let allowed = allowed_since(began, 100);
    assert!(read <= allowed, "{read} of {allowed} bytes");
}

#[test]
fn what_was_sent_before_a_reset_arrives_whatever_the_rate() {
    let target = Target::manual();
    let proxy = proxy_with("bandwidth = '8kbit'", &target);
    let (mut client, mut served) = one_session(&proxy, &target);

    client.send_stream(1, 50_000);
    wait_until("all of it is in the proxy's kernel", || {
        let ours = connections::between(client.local(), client.peer()).unwrap()?;
        (ours.send_queue == 0).then_some(())
    });
    client.reset();

    served.receive_stream(1, 50_000);
    assert_eq!(served.receive_close(), Close::Reset);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.traffic.up.lost()), (End::ClientReset, 0));
}

#[test]
fn a_reset_is_noticed_while_both_directions_wait_for_their_turn() {
    let target = Target::manual();
    let proxy = proxy_with("bandwidth_per_connection = '8kbit', reset_linger = '1ms'", &target);
    let (mut client, mut served) = one_session(&proxy, &target);
    let session = proxy.only_session();
    client.stream().set_nonblocking(true).unwrap();
    served.stream().set_nonblocking(true).unwrap();
    wait_until("both wait", || {
        while client.try_send(&[1; 4096]).is_ok() {}
        while served.try_send(&[2; 4096]).is_ok() {}
        let traffic = session.meter.traffic();
        (traffic.up.read > BURST - 2048 && traffic.down.read > BURST - 2048).then_some(())
    });

    client.reset();

    // A megabyte and more lies in the proxy's kernel: at its rate it would take a quarter of an hour.
    assert_eq!(proxy.record().outcome.end, End::ClientReset);
}

#[test]
fn sessions_that_wait_for_their_turn_are_not_idle() {
    let target = Target::sending(1, 1 << 20);
    let proxy = proxy_with("bandwidth = '8kbit', idle_timeout = '4s'", &target);
    let clients: Vec<Connection> = (0..5).map(|_| proxy.connect()).collect();

    // Beyond the burst a turn takes two seconds: after three of them, two sessions have been silent for six.
    wait_until("three turns have come", || {
        let read: u64 = proxy.live().iter().map(|live| live.meter.traffic().down.read).sum();
        (read >= BURST + 3 * 2048).then_some(())
    });

    assert_eq!(proxy.live().len(), clients.len());
}

#[test]
fn a_changed_bandwidth_holds_for_sessions_that_begin_after() {
    let target = Target::sending(1, 1 << 20);
    let proxy = proxy_with("bandwidth = '8kbit'", &target);
    let began = Instant::now();
    let mut before = proxy.connect();
    let session = proxy.only_session();
    before.receive_stream(1, 1000);

    let listen = format!("listen = '{}'", proxy.address);
    let config = route_with("bandwidth = 'off'", &target).replace("listen = '127.0.0.1:0'", &listen);
    proxy.declare(&config).unwrap_or_else(|refused| panic!("{refused}"));
    let mut after = proxy.connect();

    after.receive_stream(1, 1 << 20);
    let read = session.meter.traffic().down.read;
    assert!(read <= allowed_since(began, 1), "{read} bytes");
}

#[test]
fn a_stop_does_not_wait_for_the_turns_of_a_limited_session() {
    let target = Target::sending(1, 1 << 20);
    let proxy = proxy_with("bandwidth = '8kbit'", &target);
    let mut client = proxy.connect();
    client.receive_stream(1, 1000);

    assert_eq!(proxy.stop(Duration::from_millis(1)), 1);

    assert_eq!(client.receive_all().1, Close::Reset);
    assert_eq!(proxy.record().outcome.end, End::Drained);
}
