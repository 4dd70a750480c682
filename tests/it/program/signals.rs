//! What each signal does to a running program. None that can be caught lets an answer that was cut look whole.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{Close, Config, Connection, Program, Target};

fn text(target: &Target) -> String {
    format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address)
}

/// A program under `before` with one session that has begun to relay, and the configuration it reads.
fn relaying(before: &[&str], target: &Target) -> (Config, Program, Connection, Connection) {
    let config = Config::new(&text(target));
    let mut program = Program::start_under(before, ["run", "-c", config.path.to_str().unwrap()]);
    let (client, served) = session(&mut program, target);
    (config, program, client, served)
}

fn session(program: &mut Program, target: &Target) -> (Connection, Connection) {
    let mut client = Connection::to(program.address());
    let mut served = target.accept();
    client.send(b"?");
    assert_eq!(served.receive(1), b"?");
    (client, served)
}

/// Sends a signal by its name, which may be one that has none in a library.
fn kill(program: &Program, name: &str) {
    let done = Command::new("kill").args([&format!("-{name}"), &program.pid().to_string()]).status();
    assert!(done.unwrap().success(), "{name}");
}

fn still_relays(client: &mut Connection, served: &mut Connection) {
    served.send(b"and");
    assert_eq!(client.receive(3), b"and");
}

#[test]
fn a_signal_that_means_nothing_here_ends_nothing() {
    let target = Target::manual();
    let (_config, mut program, mut client, mut served) = relaying(&[], &target);

    for name in [
        "ALRM", "VTALRM", "PROF", "IO", "XFSZ", "STKFLT", "PIPE", "32", "33", "RTMIN", "RTMIN+3", "64",
        "USR1", "USR1", "USR2", "USR2",
    ] {
        kill(&program, name);
        still_relays(&mut client, &mut served);
    }

    program.wait_for("SIGUSR1: nothing to reopen");
    program.wait_for("SIGUSR2: not supported yet: upgrade");
    kill(&program, "USR1");
    kill(&program, "TERM");
    program.wait_for("stopping: waiting");
    served.send(b"END");
    drop(served);
    assert_eq!(client.receive_all(), (b"END".to_vec(), Close::Fin));
    drop(client);
    assert_eq!(program.exit_code(), Some(0));
    let log = program.log().join("\n");
    assert_eq!(log.matches("SIGUSR1").count(), 1, "{log}");
    assert_eq!(log.matches("SIGUSR2").count(), 1, "{log}");
}

#[test]
fn quit_and_the_end_of_power_or_of_processor_time_stop_as_term_does() {
    for (name, code) in [("QUIT", 131), ("PWR", 158), ("XCPU", 152)] {
        let target = Target::manual();
        let (_config, mut program, mut client, mut served) = relaying(&[], &target);

        kill(&program, name);
        program.wait_for("stopping: waiting");
        still_relays(&mut client, &mut served);
        while program.is_running() {
            kill(&program, name);
        }

        assert_eq!(program.exit_code(), Some(code), "{name}");
        assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset), "{name}");
    }
}

#[test]
fn a_hang_up_ends_a_run_without_a_file_and_reloads_one_with_a_file() {
    let target = Target::manual();
    let forward = format!("127.0.0.1:0:{}", target.address);
    let mut program = Program::start([forward]);
    let (client, served) = session(&mut program, &target);
    program.signal(Signal::HUP);
    program.wait_for("stopping: waiting");
    drop((client, served));
    assert_eq!(program.exit_code(), Some(0));

    let (config, mut program, mut client, mut served) = relaying(&[], &target);
    let other = text(&target).replace("routes.web", "routes.other");
    fs::write(&config.path, text(&target) + &other).unwrap();
    program.signal(Signal::HUP);
    program.wait_for("reload added=1 replaced=0 removed=0");
    still_relays(&mut client, &mut served);
}

#[test]
fn a_hang_up_that_was_ignored_at_the_start_stays_ignored() {
    let target = Target::manual();
    let forward = format!("127.0.0.1:0:{}", target.address);
    let mut program = Program::start_under(&["env", "--ignore-signal=HUP"], [forward]);
    let (mut client, mut served) = session(&mut program, &target);

    program.signal(Signal::HUP);
    kill(&program, "USR1");
    program.wait_for("SIGUSR1");

    still_relays(&mut client, &mut served);
    assert!(!program.log().join("\n").contains("stopping"));
}

#[test]
fn a_stop_is_heard_where_the_parent_had_its_signal_blocked() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let target = Target::manual();
        let forward = format!("127.0.0.1:0:{}", target.address);
        let mut program = Program::start_under(&["env", "--block-signal"], [forward]);
        program.address();

        program.signal(signal);

        assert_eq!(program.exit_code(), Some(0), "{signal:?}");
    }
}

#[test]
fn an_answer_that_a_crash_cuts_ends_in_a_reset() {
    for name in ["ABRT", "SEGV", "BUS", "FPE", "ILL", "SYS", "TRAP"] {
        let target = Target::manual();
        let (_config, mut program, mut client, mut served) = relaying(&["prlimit", "--core=0"], &target);
        served.send(b"half of");
        assert_eq!(client.receive(7), b"half of");

        kill(&program, name);

        assert_eq!(client.receive_close(), Close::Reset, "{name}");
        assert_eq!(served.receive_close(), Close::Reset, "{name}");
        // A process that a signal ended has no exit code.
        assert_eq!(program.exit_code(), None, "{name}");
    }
}
