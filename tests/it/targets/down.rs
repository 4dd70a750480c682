//! The target does not answer: what the client sees, what the record contains, and that the log reports it once.

use std::thread;
use std::time::Duration;

use loopgate::outcome::{Cause, End, Phase};

use crate::harness::{Close, ClosedPort, Config, Connection, Program, Proxy, Target, namespace};

/// How a client's connection ends that may be over before its connect(2) returns.
fn ending(proxy: std::net::SocketAddr) -> Close {
    match Connection::try_to(proxy) {
        Ok(mut client) => client.receive_close(),
        Err(e) => {
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
            Close::Reset
        }
    }
}

#[test]
fn a_target_that_refuses_is_a_reset_at_once() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let closed = ClosedPort::port_of(any.parse().unwrap());
        let proxy = Proxy::to(closed.address);

        assert_eq!(ending(proxy.address), Close::Reset);

        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.phase), (End::NoTarget(Cause::Refused), Phase::Connect));
        assert_eq!(outcome.attempts.len(), 1);
    }
}

#[test]
fn a_target_that_does_not_answer_is_a_reset_after_its_time() {
    let closed = ClosedPort::port();
    let address = closed.address;
    let _full = closed.fill_up();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{address}', connect_timeout = '50ms'}}"
    ));

    assert_eq!(ending(proxy.address), Close::Reset);

    let outcome = proxy.record().outcome;
    assert_eq!(outcome.end, End::NoTarget(Cause::TimedOut));
    assert!(outcome.attempts[0].took >= Duration::from_millis(50));
}

#[test]
fn a_name_with_one_silent_address_is_reached_in_the_time_of_one_attempt() {
    for (silent, serves) in [("127.0.0.1", "::1"), ("::1", "127.0.0.1")] {
        let closed = ClosedPort::port_of(std::net::SocketAddr::new(silent.parse().unwrap(), 0));
        let port = closed.address.port();
        let _full = closed.fill_up();
        let _target = Target::echo_on(std::net::SocketAddr::new(serves.parse().unwrap(), port));
        let proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = 'localhost:{port}', connect_timeout = '4s'}}"
        ));

        let mut client = proxy.connect();
        client.send(b"x");
        assert_eq!(client.receive(1), b"x");
        drop(client);

        // A part of the time is reserved for the last address.
        let attempts = proxy.record().outcome.attempts;
        assert!(attempts[0].took < Duration::from_secs(4), "{attempts:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_target_without_a_way_there_is_unreachable() {
    // A namespace with nothing but its loopback has no way to anywhere else.
    namespace::alone("targets::down::a_target_without_a_way_there_is_unreachable", || {
        for target in ["192.0.2.1:80", "[2001:db8::1]:80"] {
            let proxy = Proxy::to(target.parse().unwrap());

            assert_eq!(ending(proxy.address), Close::Reset);
            assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::Unreachable), "{target}");
        }
    });
}

#[test]
fn a_name_without_an_address_is_told_as_such() {
    let proxy =
        Proxy::builder().with("routes.test = {listen = '127.0.0.1:0', target = 'nowhere.invalid:80'}");

    assert_eq!(ending(proxy.address), Close::Reset);

    let outcome = proxy.record().outcome;
    assert_eq!((outcome.end, outcome.target), (End::NoTarget(Cause::NoAddress), None));
}

#[test]
fn a_target_that_is_down_is_told_once_and_its_return_as_well() {
    let closed = ClosedPort::port();
    let mut program = Program::start([format!("127.0.0.1:0:{}", closed.address)]);
    let address = program.address();

    for _ in 0..30 {
        assert_eq!(ending(address), Close::Reset);
    }
    program.wait_for("count=");
    let target = Target::echo_on(closed.address);

    program.wait_for(&format!("target {} UP after", target.address));
    let log = program.log();
    let down = format!("target {} DOWN refused", target.address);
    assert_eq!(log.iter().filter(|line| line.contains(&down)).count(), 1, "{}", log.join("\n"));
    let records: Vec<&String> =
        log.iter().filter(|line| line.contains("end=no_target cause=refused")).collect();
    let told: usize = records.iter().map(|line| count(line)).sum();
    assert_eq!(told, 30, "{}", log.join("\n"));
    assert!(records.len() < 10, "failures are not folded:\n{}", log.join("\n"));
    let mut client = Connection::to(address);
    client.send(b"x");
    assert_eq!(client.receive(1), b"x");
}

/// The number of sessions that a record covers.
fn count(line: &str) -> usize {
    let Some((_, count)) = line.split_once(" count=") else { return 1 };
    count.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn clients_are_held_while_their_target_restarts() {
    let closed = ClosedPort::port();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', wait_for_target = '1h'}}",
        closed.address
    ));
    let clients: Vec<Connection> = (0..10)
        .map(|_| {
            let mut client = proxy.connect();
            client.send(b"x");
            client.finish();
            client
        })
        .collect();

    let _target = Target::echo_on(closed.address);

    for mut client in clients {
        assert_eq!(client.receive_all(), (b"x".to_vec(), Close::Fin));
        assert_eq!(proxy.record().outcome.end, End::Done);
    }
}

#[test]
fn a_wait_for_the_target_has_its_end() {
    let closed = ClosedPort::port();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', wait_for_target = '100ms'}}",
        closed.address
    ));

    assert_eq!(ending(proxy.address), Close::Reset);

    let outcome = proxy.record().outcome;
    assert_eq!(outcome.end, End::NoTarget(Cause::Refused));
    assert!(outcome.timing.total >= Duration::from_millis(100));
}

#[test]
fn a_client_that_resets_while_it_is_held_is_gone() {
    let closed = ClosedPort::port();
    let full = ClosedPort::port();
    let full_address = full.address;
    let _full = full.fill_up();
    let waiting =
        |target, key| format!("routes.test = {{listen = '127.0.0.1:0', target = '{target}', {key} = '1h'}}");
    for config in [waiting(closed.address, "wait_for_target"), waiting(full_address, "connect_timeout")] {
        let proxy = Proxy::builder().with(&config);
        let client = proxy.connect();
        proxy.only_session();

        client.reset();

        assert_eq!(proxy.record().outcome.end, End::ClientGone, "{config}");
    }
}

#[test]
fn localhost_is_tried_in_both_families_and_remembered() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let target = Target::manual_on(any.parse().unwrap());
        let port = target.address.port();
        let proxy = Proxy::builder()
            .with(&format!("routes.test = {{listen = '127.0.0.1:0', target = 'localhost:{port}'}}"));

        let mut tried = Vec::new();
        for _ in 0..3 {
            let mut client = proxy.connect();
            drop(target.accept());
            assert_eq!(client.receive_close(), Close::Fin);
            drop(client);
            let outcome = proxy.record().outcome;
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
        let proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = 'localhost:{port}', wait_for_target = '1h'}}"
        ));
        let echoes = || {
            let mut client = proxy.connect();
            client.send(b"x");
            assert_eq!(client.receive(1), b"x");
        };
        echoes();

        drop(target);
        thread::scope(|scope| {
            let waiting = scope.spawn(echoes);
            proxy.only_session();
            let _target = Target::echo_on(on(second, port));
            waiting.join().unwrap();
        });
    }
}

#[test]
fn ipv6_is_carried_like_ipv4() {
    let target = Target::echo_on("[::1]:0".parse().unwrap());
    let proxy = Proxy::builder()
        .with(&format!("routes.test = {{listen = ['[::1]:0', '[::]:0'], target = '{}'}}", target.address));

    for address in proxy.declared.listening.iter().map(|it| it.address.net().unwrap()) {
        let mut client = Connection::to(std::net::SocketAddr::new("::1".parse().unwrap(), address.port()));
        client.send_stream(1, 1 << 16);
        client.finish();
        client.receive_stream(1, 1 << 16);
        assert_eq!(client.receive_close(), Close::Fin);
        drop(client);
        assert_eq!(proxy.record().outcome.end, End::Done);
    }
}

#[test]
fn the_log_of_a_configuration_with_a_waiting_route_tells_the_refusal_once() {
    let closed = ClosedPort::port();
    let text = format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\nwait_for_target = '300ms'\n",
        closed.address
    );
    let config = Config::new(&text);
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();

    assert_eq!(ending(address), Close::Reset);

    program.wait_for("end=no_target cause=refused");
    // The target's line waits for a diagnosis, which a busy machine may finish after the session.
    let is_down = |line: &String| line.contains("DOWN refused");
    if !program.log().iter().any(is_down) {
        program.wait_for("DOWN refused");
    }
    let log = program.log();
    assert_eq!(log.iter().filter(|line| is_down(line)).count(), 1, "{}", log.join("\n"));
}
