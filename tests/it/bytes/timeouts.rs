//! What a route's sessions are bound by: silence, before the first byte and after it.

use std::time::Duration;

use loopgate::outcome::{End, Phase, Side};

use crate::harness::{Close, Connection, Proxy, Target};

fn proxy_with(settings: &str, target: &Target) -> Proxy {
    let route =
        format!("routes.test = {{listen = '127.0.0.1:0', target = '{}', {settings}}}", target.address);
    Proxy::builder().with(&route)
}

#[test]
fn a_session_that_is_silent_for_too_long_is_reset_on_both_sides() {
    let target = Target::manual();
    let proxy = proxy_with("idle_timeout = '200ms'", &target);
    let mut client = proxy.connect();
    let mut served = target.accept();

    assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset));

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::Idle, Phase::Relay));
}

#[test]
fn a_half_closed_session_can_be_silent_for_too_long_as_well() {
    let target = Target::manual();
    let proxy = proxy_with("idle_timeout = '3s'", &target);
    let mut client = proxy.connect();
    let mut served = target.accept();

    client.finish();

    assert_eq!(served.receive_close(), Close::Fin);
    assert_eq!(client.receive_close(), Close::Reset);
    assert_eq!(proxy.record().outcome.end, End::Idle);
}

#[test]
fn a_session_as_old_as_may_be_is_reset_however_busy_it_is() {
    let target = Target::echo();
    for more in ["", ", idle_timeout = '1h'", ", bandwidth_per_connection = '1gbit'"] {
        let proxy = proxy_with(&format!("max_session_age = '300ms'{more}"), &target);
        let mut client = proxy.connect();

        let mut exchanges = 0;
        let is_answered = |client: &mut Connection| {
            matches!(client.try_send(b"here"), Ok(4)) && matches!(client.try_receive(&mut [0; 4]), Ok(4))
        };
        while is_answered(&mut client) {
            exchanges += 1;
        }

        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.phase), (End::Expired, Phase::Relay), "{more}");
        assert!(exchanges > 0 && outcome.timing.total >= Duration::from_millis(300), "{more}");
        assert!(outcome.traffic.down.delivered >= 4 * exchanges, "{more}");
        proxy.wait_until_empty();
    }
}

#[test]
fn a_session_keeps_the_age_it_began_with_over_a_reload() {
    let (target, listen) = (Target::echo(), crate::harness::ClosedPort::port());
    let text = |age: &str| {
        format!(
            "routes.test = {{listen = '{}', target = '{}', max_session_age = '{age}'}}",
            listen.address, target.address
        )
    };
    let proxy = Proxy::builder().with(&text("1h"));
    let mut old = proxy.connect();
    old.send(b"a");
    assert_eq!(old.receive(1), b"a");

    proxy.declare(&text("10ms")).unwrap();
    let mut new = proxy.connect();
    let _ = new.try_send(b"b");

    assert_eq!(proxy.record().outcome.end, End::Expired);
    old.send(b"c");
    assert_eq!(old.receive(1), b"c");
    drop(new);
}

#[test]
fn a_session_that_is_cut_keeps_what_was_seen_of_it_in_its_record() {
    let seen = |proxy: &Proxy, target: &Target| {
        let mut client = proxy.connect();
        let mut served = target.accept();
        served.send(b"hello");
        client.receive(5);
        client.finish();
        assert_eq!(served.receive_close(), Close::Fin);
        (client, served)
    };
    let target = Target::manual();
    let idle = proxy_with("idle_timeout = '3s'", &target);
    let stopped = proxy_with("", &target);

    let (mut client, _served) = seen(&idle, &target);
    assert_eq!(client.receive_close(), Close::Reset);
    let _open = seen(&stopped, &target);
    stopped.stop(Duration::ZERO);

    for (proxy, end) in [(idle, End::Idle), (stopped, End::Drained)] {
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.closed_by), (end, Some(Side::Client)));
        assert!(outcome.timing.first_byte.is_some(), "{end:?}");
    }
}

#[test]
fn a_session_that_ends_by_itself_is_not_called_idle() {
    let target = Target::echo();
    let proxy = proxy_with("idle_timeout = '1h'", &target);
    let mut client = proxy.connect();

    client.send_stream(1, 200_000);
    client.finish();
    client.receive_stream(1, 200_000);

    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!(proxy.record().outcome.end, End::Done);
}

#[test]
fn a_client_that_says_nothing_is_reset_and_its_target_never_dialled() {
    let target = Target::manual();
    let proxy = proxy_with("client_timeout = '100ms'", &target);

    let mut silent: Vec<Connection> = (0..50).map(|_| proxy.connect()).collect();

    silent.iter_mut().for_each(|client| assert_eq!(client.receive_close(), Close::Reset));
    proxy.wait_until_empty();
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase, outcome.attempts.len()), (End::SlowClient, Phase::Admit, 0));
}

#[test]
fn a_client_that_speaks_gets_through_beside_those_that_do_not() {
    let target = Target::echo();
    let proxy = proxy_with("client_timeout = '1h'", &target);
    let silent: Vec<Connection> = (0..50).map(|_| proxy.connect()).collect();
    let mut client = proxy.connect();

    client.send_stream(1, 300_000);
    client.finish();

    client.receive_stream(1, 300_000);
    assert_eq!(client.receive_close(), Close::Fin);
    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase, outcome.attempts.len()), (End::Done, Phase::Relay, 1));
    drop(silent);
}

#[test]
fn a_client_that_closes_without_a_word_is_passed_on() {
    let target = Target::manual();
    let proxy = proxy_with("client_timeout = '1h'", &target);
    let mut client = proxy.connect();

    client.finish();

    let mut served = target.accept();
    assert_eq!(served.receive_close(), Close::Fin);
    served.send(b"still here");
    drop(served);
    assert_eq!(client.receive_all(), (b"still here".to_vec(), Close::Fin));
    assert_eq!(proxy.record().outcome.end, End::Done);
}

#[test]
fn a_client_that_resets_before_its_first_byte_is_gone() {
    let target = Target::manual();
    let proxy = proxy_with("client_timeout = '1h'", &target);
    let client = proxy.connect();
    proxy.only_session();

    client.reset();

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::ClientGone, Phase::Admit));
}

#[test]
fn a_stop_does_not_wait_for_a_client_that_says_nothing() {
    let target = Target::manual();
    let proxy = proxy_with("client_timeout = '1h'", &target);
    let mut client = proxy.connect();
    proxy.only_session();

    assert_eq!(proxy.stop(Duration::from_millis(1)), 1);

    assert_eq!(client.receive_close(), Close::Reset);
    assert_eq!(proxy.record().outcome.end, End::Drained);
}
