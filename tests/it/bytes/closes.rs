//! Closes that are not in the matrix: one after the other, both at one time, and those of a proxy that stops.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use loopgate::outcome::{End, Side};
use loopgate::probe::sockets::listening;
use rustix::net::sockopt;

use crate::harness::{Close, Connection, Proxy, Target, wait_until};

/// A proxy, and both ends of one session through it that has begun to relay.
fn one_session(proxy: &Proxy, target: &Target) -> (Connection, Connection) {
    let mut client = proxy.connect();
    let mut served = target.accept();
    client.send(b"?");
    assert_eq!(served.receive(1), b"?");
    (client, served)
}

#[test]
fn a_reset_that_follows_a_fin_is_still_passed_on() {
    for who in [Side::Client, Side::Target] {
        let target = Target::manual();
        let proxy = Proxy::to(target.address);
        let (client, served) = one_session(&proxy, &target);
        let (ender, mut other) = if who == Side::Client { (client, served) } else { (served, client) };

        ender.finish();
        assert_eq!(other.receive_close(), Close::Fin);
        ender.reset();

        // It has read to the end and finds the reset when it speaks.
        let error = wait_until("the reset arrives", || other.try_send(b"x").err());
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
        let outcome = proxy.record().outcome;
        let end = if who == Side::Client { End::ClientReset } else { End::TargetReset };
        assert_eq!((outcome.end, outcome.closed_by), (end, Some(who)));
    }
}

#[test]
fn a_reset_of_both_sides_at_one_time_ends_the_session_at_once() {
    let target = Target::manual();
    let patient = "routes.test = {listen = '127.0.0.1:0', reset_linger = '1h', target = '";
    let proxy = Proxy::builder().with(&format!("{patient}{}'}}", target.address));
    let (client, mut served) = one_session(&proxy, &target);
    let session = proxy.only_session();

    // So much that the client, which does not read, has not acknowledged all of it when it resets.
    thread::scope(|scope| {
        scope.spawn(|| while served.try_send(&[7; 1 << 16]).is_ok() {});
        wait_until("the client takes no more", || {
            let flow = session.meter.traffic().down;
            (flow.read > flow.delivered).then_some(())
        });
        client.reset();
    });
    drop(served);

    assert_eq!(proxy.record().outcome.end, End::ClientReset);
}

#[test]
fn a_client_that_resets_while_a_reset_waits_for_it_does_not_hold_the_session() {
    let target = Target::manual();
    let patient = "routes.test = {listen = '127.0.0.1:0', reset_linger = '1h', target = '";
    let proxy = Proxy::builder().with(&format!("{patient}{}'}}", target.address));
    let client = Connection::with_small_buffer_to(proxy.address);
    let mut served = target.accept();
    let session = proxy.only_session();

    // The target fills every buffer on the way, then resets: the proxy waits for the client to take what was read.
    served.stream().set_nonblocking(true).unwrap();
    wait_until("the way is full", || {
        while served.try_send(&[7; 1 << 16]).is_ok() {}
        let flow = session.meter.traffic().down;
        (flow.read > flow.delivered).then_some(())
    });
    served.reset();
    client.wait_for_something();
    client.reset();

    // Both are true, and which the proxy meets first is chance.
    let outcome = proxy.record().outcome;
    assert!(matches!(outcome.end, End::TargetReset | End::ClientReset), "{:?}", outcome.end);
    assert!(outcome.traffic.down.lost() > 0, "what was destroyed is not told");
}

#[test]
fn a_reset_waits_for_a_reader_that_is_slow() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let mut client = Connection::with_small_buffer_to(proxy.address);
    let mut served = target.accept();
    let session = proxy.only_session();

    served.send_stream(1, 200_000);
    wait_until("the proxy has read it", || (session.meter.traffic().down.read == 200_000).then_some(()));
    served.reset();

    client.receive_stream(1, 200_000);
    assert_eq!(client.receive_close(), Close::Reset);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.traffic.down.lost()), (End::TargetReset, 0));
}

#[test]
fn what_a_reset_destroys_after_its_patience_is_told_as_lost() {
    let target = Target::manual();
    let hasty = "routes.test = {listen = '127.0.0.1:0', reset_linger = '1ms', target = '";
    let proxy = Proxy::builder().with(&format!("{hasty}{}'}}", target.address));
    let client = Connection::with_small_buffer_to(proxy.address);
    let mut served = target.accept();
    let session = proxy.only_session();

    served.send_stream(1, 200_000);
    wait_until("the proxy has read it", || (session.meter.traffic().down.read == 200_000).then_some(()));
    served.reset();

    let record = proxy.record();
    assert_eq!(record.outcome.end, End::TargetReset);
    let lost = record.outcome.traffic.down.lost();
    assert!(lost > 0 && record.to_string().contains(&format!(" down_lost={lost}")), "{record}");
    drop(client);
}

#[test]
fn a_target_that_resets_at_once_is_a_reset_for_the_client() {
    let target = Target::resetting();
    let proxy = Proxy::to(target.address);

    for _ in 0..50 {
        match Connection::try_to(proxy.address) {
            Ok(mut client) => assert_eq!(client.receive_close(), Close::Reset),
            // The reset may be so early that the client's connect(2) reports it.
            Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset),
        }
    }

    // It was reached, however soon the reset came.
    for _ in 0..50 {
        assert_eq!(proxy.record().outcome.end, End::TargetReset);
    }
}

#[test]
fn what_a_target_says_before_it_resets_at_once_arrives() {
    let target = Target::resetting_after(b"no");
    let proxy = Proxy::builder().workers(2).to(target.address);

    for _ in 0..300 {
        // A client whose connect(2) reports the reset receives nothing more.
        if let Ok(mut client) = Connection::try_to(proxy.address) {
            assert_eq!(client.receive_all(), (b"no".to_vec(), Close::Reset));
        }
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.traffic.down.delivered), (End::TargetReset, 2));
    }
}

#[test]
fn an_answer_that_is_cut_never_looks_whole() {
    // HAProxy turns the target's reset into a FIN, and a client takes the half of an answer for all of it.
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let (mut client, mut served) = one_session(&proxy, &target);

    served.send(b"HTTP/1.0 200 OK\r\n\r\nhalf of the ans");
    served.reset();

    assert_eq!(client.receive_all().1, Close::Reset);
}

#[test]
fn an_answer_that_comes_after_the_clients_fin_arrives() {
    // nginx and socat as they are set, realm and rinetd always: they lose it.
    let target = Target::answering_after_fin();
    let proxy = Proxy::to(target.address);
    let mut client = proxy.connect();

    client.send_stream(1, 300_000);
    client.finish();

    client.receive_stream(1, 300_000);
    assert_eq!(client.receive_close(), Close::Fin);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.closed_by), (End::Done, Some(Side::Client)));
}

#[test]
fn a_stop_resets_whoever_is_left_after_its_patience() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let (mut client, mut served) = one_session(&proxy, &target);

    assert_eq!(proxy.stop(Duration::from_millis(1)), 1);

    assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset));
    assert_eq!(proxy.record().outcome.end, End::Drained);
}

#[test]
fn a_stop_waits_for_a_session_that_still_has_to_say_something() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let (mut client, mut served) = one_session(&proxy, &target);

    thread::scope(|scope| {
        let stopping = scope.spawn(|| proxy.stop(Duration::from_secs(3600)));
        wait_until("nobody is let in", || (!listening(proxy.address).unwrap()).then_some(()));
        served.send(b"the rest");
        drop(served);
        assert_eq!(client.receive_all(), (b"the rest".to_vec(), Close::Fin));
        drop(client);
        assert_eq!(stopping.join().unwrap(), 0);
    });

    assert_eq!(proxy.record().outcome.end, End::Done);
}

/// Routes of each way of moving, as keys of the route.
const WAYS: [&str; 3] = ["", "bandwidth_per_connection = '400mbit'", "idle_timeout = '1h'"];

fn proxy_with(way: &str, target: &Target) -> Proxy {
    let route = "[routes.test]\nlisten = '127.0.0.1:0'\n";
    Proxy::builder().with(&format!("{route}target = '{}'\n{way}\n", target.address))
}

#[test]
fn bytes_for_a_side_that_has_closed_altogether_are_not_done() {
    for (way, who) in WAYS.into_iter().flat_map(|way| [(way, Side::Client), (way, Side::Target)]) {
        let target = Target::manual();
        let proxy = proxy_with(way, &target);
        for _ in 0..10 {
            let (client, served) = one_session(&proxy, &target);
            let (gone, mut left) = if who == Side::Client { (client, served) } else { (served, client) };
            drop(gone);
            assert_eq!(left.receive_close(), Close::Fin);

            // The kernel takes them, and learns only then that nobody is there. A reset that is quick is met by the second.
            let _ = left.try_send(&[7; 16_384]);
            let _ = left.stream().shutdown(std::net::Shutdown::Write);

            let outcome = proxy.record().outcome;
            let (end, flow, others) = match who {
                Side::Client => (End::ClientReset, outcome.traffic.down, 0),
                Side::Target => (End::TargetReset, outcome.traffic.up, 1),
            };
            // Whoever is slower than the proxy is refused at once, and nothing is read.
            let is_refused = outcome.end == End::Done && flow.read == others;
            let is_told = outcome.end == end && flow.delivered == others;
            assert!(is_refused || is_told, "{way} {}: {outcome:?}", who.code());
        }
    }
}

#[test]
fn bytes_that_a_closed_side_refuses_only_after_our_fin_are_not_delivered() {
    for way in WAYS {
        for _ in 0..3 {
            let target = Target::manual();
            let proxy = proxy_with(way, &target);
            let (mut client, mut served) = one_session(&proxy, &target);
            // With so little room its kernel drops what comes late, and refuses only what is sent again.
            sockopt::set_socket_recv_buffer_size(served.stream(), 8192).unwrap();
            client.send_stream(1, 65_537);
            served.receive_stream(1, 65_537);
            drop(served);
            assert_eq!(client.receive_close(), Close::Fin);

            let _ = client.try_send(&[7; 65_537]);
            let _ = client.stream().shutdown(std::net::Shutdown::Write);

            let outcome = proxy.record().outcome;
            assert!(matches!(outcome.end, End::Done | End::TargetReset), "{outcome:?}");
            assert_eq!(outcome.traffic.up.delivered, 65_538, "{way}: {outcome:?}");
        }
    }
}

#[test]
fn a_side_that_speaks_after_the_other_has_closed_altogether_is_reset() {
    for (way, who) in WAYS.into_iter().flat_map(|way| [(way, Side::Client), (way, Side::Target)]) {
        let target = Target::manual();
        let proxy = proxy_with(way, &target);
        let (client, served) = one_session(&proxy, &target);
        let (gone, mut left) = if who == Side::Client { (client, served) } else { (served, client) };
        drop(gone);
        assert_eq!(left.receive_close(), Close::Fin);
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.closed_by), (End::Done, Some(who)));

        // As of its own kernel, if there were no proxy: the bytes and the FIN at once, and the reset is there.
        left.send(&[7; 16_384]);
        assert!(left.stream().take_error().unwrap().is_some(), "{way} {}", who.code());
    }
}

#[test]
fn what_a_client_has_read_is_counted_though_it_resets_at_once() {
    // Its kernel has not acknowledged all of it yet, nor the FIN, which the send queue counts as a byte.
    for (way, length) in WAYS.into_iter().flat_map(|way| [(way, 187), (way, 100_000)]) {
        let target = Target::manual();
        let proxy = proxy_with(way, &target);
        for _ in 0..20 {
            let (mut client, mut served) = one_session(&proxy, &target);
            served.send_stream(1, length);
            served.finish();
            client.receive_stream(1, length);
            client.reset();

            let outcome = proxy.record().outcome;
            assert_eq!(outcome.end, End::ClientReset);
            assert_eq!((outcome.traffic.down.delivered, outcome.traffic.down.lost()), (length as u64, 0));
        }
    }
}

#[test]
fn a_slow_reader_gets_the_rest_of_its_answer_after_the_session_is_done() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let mut client = Connection::with_small_buffer_to(proxy.address);
    let mut served = target.accept();
    client.finish();
    assert_eq!(served.receive_close(), Close::Fin);

    served.send_stream(1, 200_000);
    drop(served);

    // It waits for a proof that does not come, and no longer than it says.
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.traffic.down.lost()), (End::Done, 0));
    assert!(outcome.timing.total < Duration::from_secs(10), "{:?}", outcome.timing.total);
    client.receive_stream(1, 200_000);
    assert_eq!(client.receive_close(), Close::Fin);
}
