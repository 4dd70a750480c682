//! What a route's sessions are bound by: silence, before the first byte and after it.

use std::time::Duration;

use loopgate::outcome::{End, Phase, Side};

use crate::harness::{Ending, Gate, Target, Wire};

fn gate_with(settings: &str, target: &Target) -> Gate {
    let route =
        format!("routes.test = {{listen = '127.0.0.1:0', target = '{}', {settings}}}", target.address);
    Gate::builder().with(&route)
}

#[test]
fn a_session_that_is_silent_for_too_long_is_reset_on_both_sides() {
    let target = Target::by_hand();
    let gate = gate_with("idle_timeout = '200ms'", &target);
    let mut client = gate.connect();
    let mut served = target.accept();

    assert_eq!((client.hear_end(), served.hear_end()), (Ending::Reset, Ending::Reset));

    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::Idle, Phase::Relay));
}

#[test]
fn a_half_closed_session_can_be_silent_for_too_long_as_well() {
    let target = Target::by_hand();
    let gate = gate_with("idle_timeout = '3s'", &target);
    let mut client = gate.connect();
    let mut served = target.accept();

    client.finish();

    assert_eq!(served.hear_end(), Ending::Fin);
    assert_eq!(client.hear_end(), Ending::Reset);
    assert_eq!(gate.record().outcome.end, End::Idle);
}

#[test]
fn a_session_that_is_cut_keeps_what_was_seen_of_it_in_its_record() {
    let seen = |gate: &Gate, target: &Target| {
        let mut client = gate.connect();
        let mut served = target.accept();
        served.say(b"hello");
        client.hear(5);
        client.finish();
        assert_eq!(served.hear_end(), Ending::Fin);
        (client, served)
    };
    let target = Target::by_hand();
    let idle = gate_with("idle_timeout = '3s'", &target);
    let stopped = gate_with("", &target);

    let (mut client, _served) = seen(&idle, &target);
    assert_eq!(client.hear_end(), Ending::Reset);
    let _open = seen(&stopped, &target);
    stopped.stop(Duration::ZERO);

    for (gate, end) in [(idle, End::Idle), (stopped, End::Drained)] {
        let outcome = gate.record().outcome;
        assert_eq!((outcome.end, outcome.closed_by), (end, Some(Side::Client)));
        assert!(outcome.timing.first_byte.is_some(), "{end:?}");
    }
}

#[test]
fn a_session_that_ends_by_itself_is_not_called_idle() {
    let target = Target::echo();
    let gate = gate_with("idle_timeout = '1h'", &target);
    let mut client = gate.connect();

    client.say_stream(1, 200_000);
    client.finish();
    client.hear_stream(1, 200_000);

    assert_eq!(client.hear_end(), Ending::Fin);
    assert_eq!(gate.record().outcome.end, End::Done);
}

#[test]
fn a_client_that_says_nothing_is_reset_and_its_target_never_dialled() {
    let target = Target::by_hand();
    let gate = gate_with("client_timeout = '100ms'", &target);

    let mut silent: Vec<Wire> = (0..50).map(|_| gate.connect()).collect();

    silent.iter_mut().for_each(|client| assert_eq!(client.hear_end(), Ending::Reset));
    gate.wait_until_empty();
    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.phase, outcome.attempts.len()), (End::SlowClient, Phase::Admit, 0));
}

#[test]
fn a_client_that_speaks_gets_through_beside_those_that_do_not() {
    let target = Target::echo();
    let gate = gate_with("client_timeout = '1h'", &target);
    let silent: Vec<Wire> = (0..50).map(|_| gate.connect()).collect();
    let mut client = gate.connect();

    client.say_stream(1, 300_000);
    client.finish();

    client.hear_stream(1, 300_000);
    assert_eq!(client.hear_end(), Ending::Fin);
    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.phase, outcome.attempts.len()), (End::Done, Phase::Relay, 1));
    drop(silent);
}

#[test]
fn a_client_that_closes_without_a_word_is_passed_on() {
    let target = Target::by_hand();
    let gate = gate_with("client_timeout = '1h'", &target);
    let mut client = gate.connect();

    client.finish();

    let mut served = target.accept();
    assert_eq!(served.hear_end(), Ending::Fin);
    served.say(b"still here");
    drop(served);
    assert_eq!(client.hear_all(), (b"still here".to_vec(), Ending::Fin));
    assert_eq!(gate.record().outcome.end, End::Done);
}

#[test]
fn a_client_that_resets_before_its_first_byte_is_gone() {
    let target = Target::by_hand();
    let gate = gate_with("client_timeout = '1h'", &target);
    let client = gate.connect();
    gate.only_session();

    client.reset();

    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.phase), (End::ClientGone, Phase::Admit));
}

#[test]
fn a_stop_does_not_wait_for_a_client_that_says_nothing() {
    let target = Target::by_hand();
    let gate = gate_with("client_timeout = '1h'", &target);
    let mut client = gate.connect();
    gate.only_session();

    assert_eq!(gate.stop(Duration::from_millis(1)), 1);

    assert_eq!(client.hear_end(), Ending::Reset);
    assert_eq!(gate.record().outcome.end, End::Drained);
}
