//! A sandbox that refuses system calls: what there is another way for goes on, and the rest is said.

use std::fs;

use libc::{EACCES, ENOPROTOOPT, ENOSYS, EPERM};

use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, receive, receive_trains, socket};
use crate::harness::sandbox::{without, without_trains};
use crate::harness::{Config, Connection, Program, Target, wait_until};

/// More than what is copied before a stream is spliced.
const STREAM: usize = 3 << 20;

fn stream_route(target: &Target) -> Config {
    Config::new(&format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address))
}

/// On every address of the machine, so that each datagram tells which one it was sent to.
fn datagram_route(target: &EchoDatagrams) -> Config {
    Config::new(&format!(
        "[routes.dns]\nlisten = '0.0.0.0:0'\ntarget = '{}'\nprotocol = 'udp'\nallow = ['0.0.0.0/0']\n",
        target.address
    ))
}

/// A program in that sandbox, with its route's port.
fn run(config: &Config, calls: &[i64], errno: i32) -> (Program, u16) {
    without(calls, errno, || {
        let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
        let port = program.address().port();
        (program, port)
    })
}

/// How often the threads that carry datagrams have waited.
fn times_slept(program: &Program) -> u64 {
    let threads = fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap().flatten();
    let carries = |thread: &fs::DirEntry| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.starts_with("udp-"))
    };
    let slept = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse::<u64>().unwrap()
    };
    threads.filter(carries).map(slept).sum()
}

#[test]
fn a_stream_goes_on_where_splice_is_refused_and_nobody_is_blamed() {
    for (errno, word) in [(EPERM, "EPERM"), (EACCES, "EACCES"), (ENOSYS, "ENOSYS")] {
        let target = Target::echo();
        let config = stream_route(&target);
        let (mut program, port) = run(&config, &[libc::SYS_splice], errno);

        Connection::to(([127, 0, 0, 1], port).into()).expect_whole_echo(1, STREAM);

        let record = program.wait_for("end=");
        assert!(record.contains("end=done") && record.contains("way=copy"), "{record}");
        let said = format!("may not call splice ({word}): streams are copied");
        assert_eq!(program.log().iter().filter(|line| line.contains(&said)).count(), 1);
    }
}

#[test]
fn datagrams_are_carried_where_batches_are_refused() {
    for call in [libc::SYS_recvmmsg, libc::SYS_sendmmsg] {
        for errno in [EPERM, EACCES, ENOSYS] {
            let echo = EchoDatagrams::start();
            let config = datagram_route(&echo);
            let (mut program, port) = run(&config, &[call], errno);
            let client = client(([127, 0, 0, 9], port).into());

            for word in [b"one".as_slice(), b"", b"three"] {
                assert_eq!(ask(&client, word), word);
            }

            assert!(
                program.log().iter().any(|line| line.contains("may not call") && line.contains("mmsg (E"))
            );
        }
    }
}

#[test]
fn datagrams_that_wait_together_go_on_apart_where_the_kernel_sends_no_trains() {
    for errno in [ENOPROTOOPT, EPERM] {
        let target = socket("127.0.0.1:0");
        receive_trains(&target);
        let route = format!("127.0.0.1:0:{}/udp", target.local_addr().unwrap());
        let mut program = without_trains(errno, || Program::start([&route]));
        let client = client(program.address());

        // In fewer bursts than these, some datagrams wait together.
        for _ in 0..300 {
            for n in 0..40 {
                client.send(&[n; 64]).unwrap();
            }
            for n in 0..40 {
                assert_eq!(receive(&target), [n; 64]);
            }
        }
    }
}

#[test]
fn where_datagrams_cannot_be_received_at_all_it_is_said_and_no_processor_burns() {
    let echo = EchoDatagrams::start();
    let calls = [libc::SYS_recvmmsg, libc::SYS_recvmsg];
    let config = datagram_route(&echo);
    let (mut program, port) = run(&config, &calls, EPERM);
    let client = client(([127, 0, 0, 1], port).into());

    client.send(b"lost").unwrap();

    let line = program.wait_for("cannot receive on");
    assert!(line.contains("route dns") && line.contains("allow recvmsg and recvmmsg"), "{line}");
    // A loop that spins never sleeps: its thread gives up the processor by no will of its own.
    let slept = times_slept(&program);
    wait_until("it has paused a few times", || (times_slept(&program) >= slept + 5).then_some(()));
    assert!(is_silent(&client));
    assert_eq!(program.log().iter().filter(|line| line.contains("cannot receive")).count(), 1);
}

#[test]
fn clients_are_taken_in_where_accept4_is_refused() {
    for errno in [EPERM, EACCES, ENOSYS] {
        let target = Target::greeting(b"hello");
        let config = stream_route(&target);
        let (mut program, port) = run(&config, &[libc::SYS_accept4], errno);

        assert_eq!(Connection::to(([127, 0, 0, 1], port).into()).receive(5), b"hello");
        assert!(program.log().iter().any(|line| line.contains("may not call accept4")));
    }
}

#[test]
fn a_start_without_a_call_it_cannot_do_without_names_it() {
    for (call, name) in [
        (libc::SYS_eventfd2, "eventfd2"),
        (libc::SYS_socketpair, "socketpair"),
        (libc::SYS_shutdown, "shutdown"),
        (libc::SYS_getsockopt, "getsockopt"),
        (libc::SYS_setsockopt, "setsockopt"),
    ] {
        let mut program = without(&[call], EPERM, || Program::start(["127.0.0.1:0:127.0.0.1:9"]));

        assert_eq!(program.exit_code(), Some(6));
        let log = program.log().join("\n");
        assert!(log.contains(&format!("may not call {name} (EPERM)")) && !log.contains("panicked"), "{log}");
    }
}

#[test]
fn it_starts_where_the_limit_of_descriptors_may_not_be_asked_for() {
    let target = Target::echo();
    let config = stream_route(&target);
    let (mut program, port) = run(&config, &[libc::SYS_prlimit64], EPERM);

    Connection::to(([127, 0, 0, 1], port).into()).expect_whole_echo(1, 1000);

    assert!(!program.log().iter().any(|line| line.contains("panicked")));
}
