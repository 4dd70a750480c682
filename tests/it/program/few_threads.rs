//! A limit on processes and threads, as `ulimit -u`, TasksMax= and --pids-limit set it. It does not bind root, so each
//! program runs as a user of its own.

use crate::harness::{Connection, Program, Target, address_in};

/// The threads of a program that carries no datagrams and has one worker: main, the log, the diagnosis, the worker.
const LEAST: u32 = 4;

/// `loopgate -L …`, as a user who may have so many threads and has no other.
fn start(user: u32, threads: u32, arguments: &[&str]) -> Program {
    let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
    let limit = format!("--nproc={threads}:{threads}");
    let before = ["setpriv", &user, &group, "--clear-groups", "prlimit", &limit];
    Program::start_under(&before, ["run"].iter().chain(arguments))
}

#[test]
#[ignore = "needs root, to be another user"]
fn a_start_that_gets_too_few_threads_says_so_and_does_not_panic() {
    let (stream, datagrams) = ("127.0.0.1:0:127.0.0.1:9", "127.0.0.1:0:127.0.0.1:9/udp");
    for (threads, last) in (1..LEAST).map(|n| (n, stream)).chain([(LEAST, datagrams)]) {
        let mut program = start(63_000 + threads, threads, &["-L", stream, "-L", last]);

        assert_eq!(program.exit_code(), Some(8), "{threads} threads");
        let log = program.log().join("\n");
        assert!(log.contains("no thread can be started") && log.contains("ulimit -u"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[test]
#[ignore = "needs root, to be another user"]
fn without_a_thread_for_a_look_up_its_route_says_so_and_the_others_go_on() {
    let target = Target::echo();
    let (address, name) = (format!("127.0.0.1:0:{}", target.address), "127.0.0.1:0:some.name.invalid:9");
    let mut program = start(63_900, LEAST, &["-L", &address, "-L", name]);
    let lines = [program.wait_for("Forwarding "), program.wait_for("Forwarding ")];
    let [named, plain] = ["-> some.name.invalid", "-> 127.0.0.1"].map(|target| {
        address_in(lines.iter().find(|line| line.contains(target)).expect("each route says where it listens"))
    });

    for _ in 0..3 {
        assert!(Connection::is_reset_at_once("127.0.0.1", named));
        assert!(program.wait_for("end=no_target").contains("cause=no_thread"));
    }

    Connection::to(plain).expect_whole_echo(1, 100_000);
    assert!(!program.log().iter().any(|line| line.contains("panicked") || line.contains("internal")));
}
