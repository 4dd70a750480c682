//! What a route's sessions are bound by: silence.

use loopgate::outcome::{End, Phase};

use crate::harness::{Ending, Gate, Target};

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
    let gate = gate_with("idle_timeout = '200ms'", &target);
    let mut client = gate.connect();
    let mut served = target.accept();

    client.finish();

    assert_eq!(served.hear_end(), Ending::Fin);
    assert_eq!(client.hear_end(), Ending::Reset);
    assert_eq!(gate.record().outcome.end, End::Idle);
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
