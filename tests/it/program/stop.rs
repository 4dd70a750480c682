//! The program stops: it drains, reports how many sessions remain, resets them after the time limit, and exits at once
//! on a second signal.

use rustix::process::Signal;

use crate::harness::{Close, Config, Connection, Program, Target, wait_until};

/// A program with one session that has begun to relay.
fn with_one_session(limits: &str, target: &Target) -> (Program, Connection, Connection) {
    let text =
        format!("[limits]\n{limits}\n[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address);
    let config = Config::new(&text);
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let mut client = Connection::to(program.address());
    let mut served = target.accept();
    client.send(b"?");
    assert_eq!(served.receive(1), b"?");
    (program, client, served)
}

#[test]
fn a_stop_says_how_many_it_waits_for_and_ends_with_the_last_of_them() {
    for signal in [Signal::TERM, Signal::INT] {
        let target = Target::manual();
        let (mut program, mut client, mut served) = with_one_session("drain_timeout = '1h'", &target);

        program.signal(signal);

        assert!(program.wait_for("stopping: waiting").contains(" 1 session"));
        served.send(b"the rest");
        drop(served);
        assert_eq!(client.receive_all(), (b"the rest".to_vec(), Close::Fin));
        drop(client);
        assert_eq!(program.exit_code(), Some(0));
        let log = program.log().join("\n");
        assert!(log.contains("end=done") && log.contains("stopped"), "{log}");
    }
}

#[test]
fn a_stop_lets_nobody_in() {
    let target = Target::manual();
    let (mut program, client, _served) = with_one_session("drain_timeout = '1h'", &target);
    let proxy = client.peer();

    program.signal(Signal::TERM);
    program.wait_for("stopping: waiting");

    assert!(Connection::try_to(proxy).is_err());
    assert!(program.is_running());
}

#[test]
fn a_stop_insists_when_its_time_is_over() {
    let target = Target::manual();
    let (mut program, mut client, mut served) = with_one_session("drain_timeout = '50ms'", &target);

    program.signal(Signal::TERM);

    assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset));
    assert_eq!(program.exit_code(), Some(0));
    let log = program.log().join("\n");
    assert!(log.contains("end=drained") && log.contains("1 session reset after 50ms"), "{log}");
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let target = Target::manual();
        let (mut program, mut client, mut served) = with_one_session("drain_timeout = '1h'", &target);

        program.signal(signal);
        program.wait_for("stopping: waiting");
        // One Ctrl-C that arrives twice counts once, so the test repeats it until the program reacts.
        wait_until("it ends", || {
            program.signal(signal);
            (!program.is_running()).then_some(())
        });

        assert_eq!(program.exit_code(), Some(code));
        // An end that looks whole would be a lie.
        assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset));
        assert!(program.log().join("\n").contains("end=drained"));
    }
}

#[test]
fn a_stop_with_nobody_there_is_clean() {
    let target = Target::echo();
    let mut program = Program::start([format!("127.0.0.1:0:{}", target.address)]);
    program.address();

    program.signal(Signal::TERM);

    assert_eq!(program.exit_code(), Some(0));
    assert_eq!(program.printed(), "");
}
