//! The target does not answer: what the client sees, what the record says, and that it is told once.

use std::thread;
use std::time::Duration;

use loopgate::outcome::{Cause, End, Phase};

use crate::harness::{Closed, Config, Ending, Gate, Program, Target, Wire, namespace};

/// How a client's connection ends that may be over before its connect(2) returns.
fn ending(gate: std::net::SocketAddr) -> Ending {
    match Wire::try_to(gate) {
        Ok(mut client) => client.hear_end(),
        Err(e) => {
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
            Ending::Reset
        }
    }
}

#[test]
fn a_target_that_refuses_is_a_reset_at_once() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let closed = Closed::port_of(any.parse().unwrap());
        let gate = Gate::to(closed.address);

        assert_eq!(ending(gate.address), Ending::Reset);

        let outcome = gate.record().outcome;
        assert_eq!((outcome.end, outcome.phase), (End::NoTarget(Cause::Refused), Phase::Connect));
        assert_eq!(outcome.attempts.len(), 1);
    }
}

#[test]
fn a_target_that_does_not_answer_is_a_reset_after_its_time() {
    let closed = Closed::port();
    let address = closed.address;
    let _full = closed.fill_up();
    let gate = Gate::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{address}', connect_timeout = '50ms'}}"
    ));

    assert_eq!(ending(gate.address), Ending::Reset);

    let outcome = gate.record().outcome;
    assert_eq!(outcome.end, End::NoTarget(Cause::TimedOut));
    assert!(outcome.attempts[0].took >= Duration::from_millis(50));
}

#[test]
fn a_name_with_a_silent_address_and_a_service_on_the_other_is_reached_in_one_attempts_time() {
    for (silent, serves) in [("127.0.0.1", "::1"), ("::1", "127.0.0.1")] {
        let closed = Closed::port_of(std::net::SocketAddr::new(silent.parse().unwrap(), 0));
        let port = closed.address.port();
        let _full = closed.fill_up();
        let _target = Target::echo_on(std::net::SocketAddr::new(serves.parse().unwrap(), port));
        let gate = Gate::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = 'localhost:{port}', connect_timeout = '4s'}}"
        ));

        let mut client = gate.connect();
        client.say(b"x");
        assert_eq!(client.hear(1), b"x");
        drop(client);

        // A part of the time is kept for the address that comes last.
        let attempts = gate.record().outcome.attempts;
        assert!(attempts[0].took < Duration::from_secs(4), "{attempts:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_target_without_a_way_there_is_unreachable() {
    // A namespace with nothing but its loopback has no way to anywhere else.
    namespace::alone("targets::down::a_target_without_a_way_there_is_unreachable", || {
        for target in ["192.0.2.1:80", "[2001:db8::1]:80"] {
            let gate = Gate::to(target.parse().unwrap());

            assert_eq!(ending(gate.address), Ending::Reset);
            assert_eq!(gate.record().outcome.end, End::NoTarget(Cause::Unreachable), "{target}");
        }
    });
}

#[test]
fn a_name_without_an_address_is_told_as_such() {
    let gate = Gate::builder().with("routes.test = {listen = '127.0.0.1:0', target = 'nowhere.invalid:80'}");

    assert_eq!(ending(gate.address), Ending::Reset);

    let outcome = gate.record().outcome;
    assert_eq!((outcome.end, outcome.target), (End::NoTarget(Cause::NoAddress), None));
}

#[test]
fn a_target_that_is_down_is_told_once_and_its_return_as_well() {
    let closed = Closed::port();
    let mut program = Program::start([format!("127.0.0.1:0:{}", closed.address)]);
    let address = program.address();

    for _ in 0..30 {
        assert_eq!(ending(address), Ending::Reset);
    }
    program.wait_for("count=");
    let target = Target::echo_on(closed.address);

    program.wait_for(&format!("target {} UP after", target.address));
    let log = program.heard();
    let down = format!("target {} DOWN refused", target.address);
    assert_eq!(log.iter().filter(|line| line.contains(&down)).count(), 1, "{}", log.join("\n"));
    let records: Vec<&String> =
        log.iter().filter(|line| line.contains("end=no_target cause=refused")).collect();
    let told: usize = records.iter().map(|line| count(line)).sum();
    assert_eq!(told, 30, "{}", log.join("\n"));
    assert!(records.len() < 10, "failures are not folded:\n{}", log.join("\n"));
    let mut client = Wire::to(address);
    client.say(b"x");
    assert_eq!(client.hear(1), b"x");
}

/// How many sessions a record stands for.
fn count(line: &str) -> usize {
    let Some((_, count)) = line.split_once(" count=") else { return 1 };
    count.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn clients_are_held_while_their_target_restarts() {
    let closed = Closed::port();
    let gate = Gate::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', wait_for_target = '1h'}}",
        closed.address
    ));
    let clients: Vec<Wire> = (0..10)
        .map(|_| {
            let mut client = gate.connect();
            client.say(b"x");
            client.finish();
            client
        })
        .collect();

    let _target = Target::echo_on(closed.address);

    for mut client in clients {
        assert_eq!(client.hear_all(), (b"x".to_vec(), Ending::Fin));
        assert_eq!(gate.record().outcome.end, End::Done);
    }
}

#[test]
fn a_wait_for_the_target_has_its_end() {
    let closed = Closed::port();
    let gate = Gate::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', wait_for_target = '100ms'}}",
        closed.address
    ));

    assert_eq!(ending(gate.address), Ending::Reset);

    let outcome = gate.record().outcome;
    assert_eq!(outcome.end, End::NoTarget(Cause::Refused));
    assert!(outcome.timing.total >= Duration::from_millis(100));
}

#[test]
fn a_client_that_resets_while_it_is_held_is_gone() {
    let closed = Closed::port();
    let full = Closed::port();
    let full_address = full.address;
    let _full = full.fill_up();
    let waiting =
        |target, key| format!("routes.test = {{listen = '127.0.0.1:0', target = '{target}', {key} = '1h'}}");
    for config in [waiting(closed.address, "wait_for_target"), waiting(full_address, "connect_timeout")] {
        let gate = Gate::builder().with(&config);
        let client = gate.connect();
        gate.only_session();

        client.reset();

        assert_eq!(gate.record().outcome.end, End::ClientGone, "{config}");
    }
}

#[test]
fn localhost_is_tried_in_both_families_and_remembered() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let target = Target::by_hand_on(any.parse().unwrap());
        let port = target.address.port();
        let gate = Gate::builder()
            .with(&format!("routes.test = {{listen = '127.0.0.1:0', target = 'localhost:{port}'}}"));

        let mut tried = Vec::new();
        for _ in 0..3 {
            let mut client = gate.connect();
            drop(target.accept());
            assert_eq!(client.hear_end(), Ending::Fin);
            drop(client);
            let outcome = gate.record().outcome;
            assert_eq!((outcome.end, outcome.target), (End::Done, Some(target.address.into())));
            tried.push(outcome.attempts.len());
        }

        assert!(tried[0] <= 2 && tried[1..] == [1, 1], "{any}: {tried:?} dials");
    }
}

#[test]
fn localhost_that_comes_back_in_the_other_family_is_found() {
    for (first, second) in [("127.0.0.1", "::1"), ("::1", "127.0.0.1")] {
        let on = |ip: &str, port| std::net::SocketAddr::new(ip.parse().unwrap(), port);
        let target = Target::echo_on(on(first, 0));
        let port = target.address.port();
        let gate = Gate::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = 'localhost:{port}', wait_for_target = '1h'}}"
        ));
        let echoes = || {
            let mut client = gate.connect();
            client.say(b"x");
            assert_eq!(client.hear(1), b"x");
        };
        echoes();

        drop(target);
        thread::scope(|scope| {
            let waiting = scope.spawn(echoes);
            gate.only_session();
            let _target = Target::echo_on(on(second, port));
            waiting.join().unwrap();
        });
    }
}

#[test]
fn ipv6_is_carried_like_ipv4() {
    let target = Target::echo_on("[::1]:0".parse().unwrap());
    let gate = Gate::builder()
        .with(&format!("routes.test = {{listen = ['[::1]:0', '[::]:0'], target = '{}'}}", target.address));

    for address in gate.declared.listening.iter().map(|it| it.address.net().unwrap()) {
        let mut client = Wire::to(std::net::SocketAddr::new("::1".parse().unwrap(), address.port()));
        client.say_stream(1, 1 << 16);
        client.finish();
        client.hear_stream(1, 1 << 16);
        assert_eq!(client.hear_end(), Ending::Fin);
        drop(client);
        assert_eq!(gate.record().outcome.end, End::Done);
    }
}

#[test]
fn the_log_of_a_configuration_with_a_waiting_route_tells_the_refusal_once() {
    let closed = Closed::port();
    let text = format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\nwait_for_target = '300ms'\n",
        closed.address
    );
    let config = Config::new(&text);
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();

    assert_eq!(ending(address), Ending::Reset);

    program.wait_for("end=no_target cause=refused");
    let log = program.heard();
    assert_eq!(log.iter().filter(|line| line.contains("DOWN refused")).count(), 1, "{}", log.join("\n"));
}
