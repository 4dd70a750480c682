//! Many clients at once: a storm against few descriptors, what an idle session holds, and what remains after all have
//! left.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use rustix::process::Signal;

use crate::harness::{Close, Config, Connection, Program, Target, wait_until};

fn start(target: &Target) -> Program {
    Program::start([format!("127.0.0.1:0:{}", target.address)])
}

#[test]
fn two_hundred_clients_and_64_descriptors_are_all_served_and_nothing_breaks() {
    let target = Target::echo();
    let before = ["sh", "-c", r#"ulimit -n 64; exec "$0" "$@""#];
    let mut program = Program::start_under(&before, [format!("127.0.0.1:0:{}", target.address)]);
    let address = program.address();

    thread::scope(|scope| {
        for seed in 0..200 {
            scope.spawn(move || Connection::to(address).expect_whole_echo(seed, 10_000));
        }
    });

    // At once, and not a second later.
    let mut client = Connection::to(address);
    client.send(b"still there?");
    assert_eq!(client.receive(12), b"still there?");
    drop(client);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    let log = program.log();
    assert_eq!(log.iter().filter(|line| line.contains("end=done")).count(), 201);
    assert!(!log.iter().any(|line| line.contains("no_descriptor")), "{}", log.join("\n"));
}

#[test]
fn who_waits_for_a_place_while_the_stop_closes_the_port_is_counted() {
    let target = Target::manual();
    let text = format!(
        "[limits]\nconnections = 1\n[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n",
        target.address
    );
    let config = Config::new(&text);
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();
    let mut seated = Connection::to(address);
    let served = target.accept();
    let waiting: Vec<Connection> = (0..3).map(|_| Connection::to(address)).collect();
    program.wait_for("sessions, the limit: ");

    program.signal(Signal::TERM);

    program.wait_for(&format!("3 clients in the accept queue of {address} reset"));
    for mut client in waiting {
        assert_eq!(client.receive_close(), Close::Reset);
    }
    drop(served);
    assert_eq!(seated.receive_close(), Close::Fin);
    drop(seated);
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn clients_that_only_hold_on_do_not_take_the_last_descriptor() {
    let target = Target::echo();
    let before = ["sh", "-c", r#"ulimit -n 64; exec "$0" "$@""#];
    let config =
        Config::new(&format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address));
    let mut program = Program::start_under(&before, ["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();

    let crowd: Vec<Connection> = (0..200).map(|_| Connection::to(address)).collect();
    program.wait_for("sessions, the limit: ");
    assert!(program.descriptors() < 64);
    program.signal(Signal::HUP);
    program.wait_for("reload added=0");
    drop(crowd);

    let mut client = Connection::to(address);
    client.send(b"x");
    assert_eq!(client.receive(1), b"x");
}

#[test]
fn an_idle_session_holds_two_descriptors_and_no_pipe() {
    const SESSIONS: usize = 50;
    let target = Target::echo();
    let mut program = start(&target);
    let address = program.address();
    drop(Connection::to(address));
    program.wait_for("end=done");
    wait_until("the target's process is known", || program.watches_a_process().then_some(()));
    // A look at the target holds a descriptor more for some microseconds, and a search for its process some for longer.
    const OF_LOOKS: usize = 4;
    let at_rest = || (0..20).map(|_| program.descriptors()).min().unwrap();
    let (before, born_with) = (at_rest(), program.pipes());

    let crowd: Vec<Connection> = (0..SESSIONS)
        .map(|seed| {
            let mut client = Connection::to(address);
            // A stream each, so that each has had a pipe.
            let mut listening = Connection::from(client.stream().try_clone().unwrap());
            thread::scope(|scope| {
                scope.spawn(|| client.send_stream(seed as u64, 1 << 20));
                listening.receive_stream(seed as u64, 1 << 20);
            });
            client
        })
        .collect();

    let pipes = || program.pipes() - born_with;
    wait_until("the pipes are given back", || (pipes() <= SPARE).then_some(()));
    let held = || at_rest() - before - pipes();
    wait_until("two a session are held", || (held().abs_diff(2 * SESSIONS) <= OF_LOOKS).then_some(()));
    drop(crowd);
}

/// Descriptors of pipes that may be kept for the next stream.
const SPARE: usize = 16;

#[test]
fn what_a_crowd_held_is_given_back_when_it_leaves() {
    let target = Target::echo();
    let mut program = start(&target);
    let address = program.address();
    let visit = |count: usize| {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let crowd: Vec<_> = (0..count)
                .map(|seed| {
                    let is_over = &is_over;
                    scope.spawn(move || {
                        let mut client = Connection::to(address);
                        let mut listening = Connection::from(client.stream().try_clone().unwrap());
                        thread::scope(|scope| {
                            scope.spawn(|| client.send_stream(seed as u64, 300_000));
                            listening.receive_stream(seed as u64, 300_000);
                        });
                        wait_until("all are there", || is_over.load(SeqCst).then_some(()));
                    })
                })
                .collect();
            wait_until("all are there", || (program.descriptors() > 2 * count).then_some(()));
            is_over.store(true, SeqCst);
            crowd.into_iter().for_each(|visitor| visitor.join().unwrap());
        });
    };

    let before = program.descriptors();
    // The first crowd finds out what the allocator keeps for good.
    visit(200);
    wait_until("descriptors are back", || (program.descriptors() <= before + SPARE).then_some(()));
    let memory = program.anonymous_memory();
    for _ in 0..3 {
        visit(200);
    }

    wait_until("descriptors are back", || (program.descriptors() <= before + SPARE).then_some(()));
    let grown = program.anonymous_memory().saturating_sub(memory);
    assert!(grown < 2 << 20, "{grown} bytes more than after the first crowd");
}
