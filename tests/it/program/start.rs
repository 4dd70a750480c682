//! The program starts, or reports why it cannot: its forms, its guarantees at startup, and its exit codes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;

use crate::harness::{
    Close, ClosedPort, Config, Connection, Program, Target, address_in, namespace, wait_until,
};

/// A route to `target` on a port the kernel chooses, as `-L` takes it.
fn forward(target: &Target) -> String {
    format!("127.0.0.1:0:{}", target.address)
}

#[test]
fn forwarding_is_said_when_a_client_can_connect() {
    let target = Target::echo();
    let mut program = Program::start([forward(&target)]);

    let mut client = Connection::to(program.address());

    client.send(b"ping");
    assert_eq!(client.receive(4), b"ping");
}

#[test]
fn several_routes_of_the_command_line_each_reach_their_own_target() {
    let (one, two, three) = (Target::greeting(b"one"), Target::greeting(b"two"), Target::greeting(b"3 "));
    let (first, second, third) = (forward(&one), forward(&two), forward(&three));
    let mut program = Program::start(["run", "-L", &first, "-L", &second, "-L", &third]);

    let lines: Vec<String> = (0..3).map(|_| program.wait_for("Forwarding ")).collect();

    let mut received = BTreeSet::new();
    for line in &lines {
        let (_, target) = line.split_once(" -> ").unwrap();
        let words = Connection::to(address_in(line)).receive(2);
        let expected = [(&one, b"on"), (&two, b"tw"), (&three, b"3 ")];
        let (_, right) = expected.iter().find(|(it, _)| target.contains(&it.address.to_string())).unwrap();
        assert_eq!(words, *right, "{line}");
        received.insert(words);
    }
    assert_eq!(received.len(), 3);
}

#[test]
fn a_file_and_the_command_line_run_together() {
    let target = Target::echo();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loopgate.toml");
    fs::write(&file, format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address))
        .unwrap();

    let mut program = Program::start(["run", "-c", file.to_str().unwrap(), "-L", &forward(&target)]);

    for _ in 0..2 {
        let mut client = Connection::to(program.address());
        client.send(b"x");
        assert_eq!(client.receive(1), b"x");
    }
}

#[test]
fn a_wrong_configuration_is_exit_2_with_every_problem_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loopgate.toml");
    fs::write(&file, "[routes.web]\nlistn = '127.0.0.1:0'\ntarget = '127.0.0.1'\n").unwrap();

    let mut program = Program::start(["run", "-c", file.to_str().unwrap()]);

    assert_eq!(program.exit_code(), Some(2));
    let said = program.log().join("\n");
    for place in ["loopgate.toml:2:1: ", "loopgate.toml:3:10: ", "did you mean listen?"] {
        assert!(said.contains(place), "no {place} in:\n{said}");
    }
}

#[test]
fn a_wrong_use_is_exit_2() {
    for arguments in [vec!["run", "--nonsense"], vec!["8080"], vec!["run", "-c", "/nowhere/loopgate.toml"]] {
        assert_eq!(Program::start(&arguments).exit_code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn taken_addresses_are_exit_4_and_told_together_with_their_holder() {
    let target = Target::echo();
    let (one, two) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::1]:0").unwrap());
    let taken = [one.local_addr().unwrap(), two.local_addr().unwrap()];
    let routes = taken.map(|address| format!("{address}:{}", target.address));

    let mut program = Program::start(["run", "-L", &forward(&target), "-L", &routes[0], "-L", &routes[1]]);

    assert_eq!(program.exit_code(), Some(4));
    let said = program.log().join("\n");
    for address in taken {
        assert!(said.contains(&address.to_string()), "{address} is not told in:\n{said}");
    }
    assert!(said.contains(&format!("pid {}", std::process::id())), "the holder is not named in:\n{said}");
    assert!(!said.contains("Forwarding"), "nothing may run half:\n{said}");
}

#[test]
fn a_second_copy_is_exit_5() {
    let target = Target::echo();
    let mut first = Program::start([forward(&target)]);
    let address = first.address();

    let mut second = Program::start([format!("{address}:{}", target.address)]);

    assert_eq!(second.exit_code(), Some(5));
    let said = second.log().join("\n");
    assert!(said.contains(&format!("pid {}", first.pid())), "{said}");
    assert!(first.is_running());
}

#[test]
fn an_address_of_another_machine_is_exit_7() {
    let target = Target::echo();

    let mut program = Program::start([format!("192.0.2.1:8080:{}", target.address)]);

    assert_eq!(program.exit_code(), Some(7));
    assert!(program.log().join("\n").contains("192.0.2.1"));
}

#[test]
fn without_descriptors_it_is_exit_8_and_never_a_panic() {
    let target = Target::echo();
    let mut refused = 0;
    for limit in 4.. {
        let before = ["sh", "-c", r#"ulimit -n "$0"; exec "$@""#, &limit.to_string()];
        let mut program = Program::start_under(&before, [forward(&target)]);
        if let Some(address) = program.address_or_end() {
            // With so few, what looks after the target may hold the last one at that moment: then it is a reset.
            let mut client = TcpStream::connect(address).unwrap();
            let mut answer = [0];
            let _ = client.write_all(b"x");
            if client.read_exact(&mut answer).is_ok() {
                assert_eq!(&answer, b"x");
                break;
            }
            continue;
        }

        assert_eq!(program.exit_code(), Some(8), "of {limit}");
        let said = program.log().join("\n");
        assert!(said.contains("descriptor") || said.contains("Too many open files"), "of {limit}: {said}");
        refused += 1;
    }
    assert!(refused > 3, "a handful of descriptors is not enough");
}

#[test]
#[ignore = "needs root"]
fn a_low_port_without_the_right_is_exit_6() {
    let target = Target::echo();
    let before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--"];
    namespace::alone("program::start::a_low_port_without_the_right_is_exit_6", || {
        let mut program = Program::start_under(&before, [format!("80:{}", target.address)]);

        assert_eq!(program.exit_code(), Some(6));
        assert!(program.log().join("\n").contains("127.0.0.1:80"));
    });
}

#[test]
fn a_route_that_retries_says_so_and_begins_when_the_port_is_free() {
    let target = Target::echo();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loopgate.toml");
    let route = |name, listen: &dyn std::fmt::Display| {
        format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{}'\nbind = 'retry'\n", target.address)
    };
    let any = "127.0.0.1:0";
    fs::write(&file, route("free", &any) + &route("taken", &address)).unwrap();

    let mut program = Program::start(["run", "-c", file.to_str().unwrap()]);

    let free = program.address();
    program.wait_for(&format!("route taken does NOT listen on {address}"));
    drop(taken);
    program.wait_for(&format!("route taken listens on {address}"));
    for address in [free, address] {
        let mut client = Connection::to(address);
        client.send(b"x");
        assert_eq!(client.receive(1), b"x");
    }
    assert!(
        !program.log().iter().any(|line| line.contains("Forwarding") && line.contains(&address.to_string()))
    );
}

#[test]
#[ignore = "needs root"]
fn the_demo_answers_on_its_port_and_shows_the_visit() {
    namespace::alone("program::start::the_demo_answers_on_its_port_and_shows_the_visit", || {
        let mut program = Program::start(["demo"]);
        assert_eq!(program.address().to_string(), "127.0.0.1:62893");

        let mut visitor = Connection::to("127.0.0.1:62893".parse().unwrap());
        visitor.send(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n");
        let (page, ending) = visitor.receive_all();
        drop(visitor);

        assert_eq!(ending, Close::Fin);
        assert!(String::from_utf8(page).unwrap().contains("It works"));
        program.wait_for("end=done");

        let mut visitor = Connection::to("127.0.0.1:62893".parse().unwrap());
        visitor.send(b"GET /large HTTP/1.1\r\n\r\n");
        assert!(visitor.receive_all().0.len() > 64 << 20);
        drop(visitor);
        assert!(program.wait_for("end=done").contains("way=splice"));
        program.signal(Signal::INT);
        assert_eq!(program.exit_code(), Some(0));
    });
}

#[test]
fn limits_are_told_at_the_start() {
    let target = Target::echo();
    let before = ["sh", "-c", r#"ulimit -n 64; exec "$0" "$@""#];
    let mut program = Program::start_under(&before, [forward(&target)]);

    let line = program.wait_for("sessions at one time");

    assert!(line.contains("64 descriptors"), "{line}");
    program.wait_for("Forwarding ");
    wait_until("it is counted", || (program.descriptors() < 64).then_some(()));
}

#[test]
fn under_a_low_limit_doctor_foretells_the_sessions_of_the_start_and_a_refusal_stays_one() {
    let port = ClosedPort::port();
    let route = format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", port.address);
    let config = Config::new(&route);
    let path = config.path.to_str().unwrap();
    let before = ["sh", "-c", r#"ulimit -n 64; exec "$0" "$@""#];
    let mut program = Program::start_under(&before, ["run", "-c", path]);
    let line = program.wait_for("sessions at one time");
    let most = line.split_once("at most ").and_then(|(_, rest)| rest.split_once(" sessions")).unwrap().0;

    let mut doctor = Program::start_under(&before, ["doctor", "-c", path]);
    doctor.exit_code();
    let report = doctor.printed();
    assert!(report.contains(&format!("room for {most} sessions")), "at most {most} beside: {report}");

    let address = program.address();
    assert!(Connection::is_reset_at_once("127.0.0.1", address));
    let down = program.wait_for(" DOWN ");
    assert!(down.contains("[target-not-running]"), "{down}");
}
