//! The program adopts a new configuration, however it is saved, and no connected or connecting client notices.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{
    Close, ClosedPort, Config, Connection, Program, Save, Target, listening_inode, wait_until,
};

/// How many reloads, and every how many of them the file alone is to be noticed, without a signal.
const RELOADS: usize = 200;
const WITHOUT_A_SIGNAL: usize = 20;

#[test]
fn two_hundred_reloads_under_load_refuse_nobody_and_break_nothing() {
    let (one, two) = (Target::echo(), Target::echo());
    let (steady, moving, coming) = (ClosedPort::port(), ClosedPort::port(), ClosedPort::port());
    let text = |n: usize| {
        let target = if n.is_multiple_of(2) { &one } else { &two };
        let mut text =
            format!("[routes.steady]\nlisten = '{}'\ntarget = '{}'\n", steady.address, one.address);
        text += &format!("[routes.moving]\nlisten = '{}'\ntarget = '{}'\n", moving.address, target.address);
        if n.is_multiple_of(3) {
            text += &format!("[routes.coming]\nlisten = '{}'\ntarget = '{}'\n", coming.address, one.address);
        }
        text
    };
    let mut config = Config::new(&text(0));
    let mut program = Program::run(&config.path);
    wait_until("all listen", || listening_inode(coming.address));
    let inodes = || [steady.address, moving.address].map(listening_inode);
    let (before, descriptors) = (inodes(), program.descriptors());

    let (is_over, visits) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for port in [&steady, &moving] {
            scope.spawn(|| keep_visiting(port.address, &is_over, &visits));
            scope.spawn(|| keep_streaming(port.address, &is_over));
        }
        for n in 1..=RELOADS {
            config.save(Save::ALL[n % 4], &text(n));
            if !n.is_multiple_of(WITHOUT_A_SIGNAL) {
                program.signal(Signal::HUP);
            }
            program.wait_for("replaced=1 ");
            assert_eq!(inodes(), before, "reload {n}");
        }
        is_over.store(true, SeqCst);
    });

    assert!(visits.load(SeqCst) > 100, "hardly anybody came");
    let listeners = |n: usize| if n.is_multiple_of(3) { 3 } else { 2 };
    let expected = descriptors + listeners(RELOADS) - listeners(0);
    wait_until("descriptors are as before", || {
        (program.descriptors() <= expected + SPARE_PIPES).then_some(())
    });
    assert!(!program.log().iter().any(|line| line.contains("refused") || line.contains("_reset")));
}

/// Pipes that may stay open for the next stream, in descriptors.
const SPARE_PIPES: usize = 16;

/// One short session after the other.
fn keep_visiting(address: std::net::SocketAddr, is_over: &AtomicBool, visits: &AtomicU64) {
    while !is_over.load(SeqCst) {
        let mut client = Connection::to(address);
        client.send_stream(3, 3000);
        client.finish();
        client.receive_stream(3, 3000);
        assert_eq!(client.receive_close(), Close::Fin);
        visits.fetch_add(1, SeqCst);
    }
}

/// One session from the first reload to the last.
fn keep_streaming(address: std::net::SocketAddr, is_over: &AtomicBool) {
    let mut client = Connection::to(address);
    let mut at = 0;
    while !is_over.load(SeqCst) {
        client.send_stream_from(4, at, 20_000);
        client.receive_stream_from(4, at, 20_000);
        at += 20_000;
    }
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
}

fn route(target: &Target) -> String {
    format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address)
}

#[test]
fn every_way_of_saving_is_noticed() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let mut config = Config::new(&route(&one));
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();

    for (n, how) in Save::ALL.into_iter().chain(Save::ALL).enumerate() {
        let (target, words) = if n.is_multiple_of(2) { (&two, b"2") } else { (&one, b"1") };
        config.save(how, &route(target));

        program.wait_for("reload added=0 replaced=1 removed=0");
        assert_eq!(Connection::to(address).receive(1), words, "{how:?}");
    }
}

#[test]
fn a_bad_file_changes_nothing_and_says_where() {
    let target = Target::greeting(b"1");
    let mut config = Config::new(&route(&target));
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();
    let inode = listening_inode(address);

    config.save(Save::RenameOver, &(route(&target) + "tarrget = '127.0.0.1:1'\n"));

    program.wait_for("reload refused, nothing has changed");
    program.wait_for("loopgate.toml:4:1: ");
    assert_eq!(Connection::to(address).receive(1), b"1");
    assert_eq!(listening_inode(address), inode);

    config.save(Save::RenameOver, &(route(&target) + "connect_timeout = '3s'\n"));
    program.wait_for("reload added=0 replaced=1 removed=0");
}

#[test]
fn what_a_reload_must_not_do_is_refused_with_a_reason() {
    let target = Target::greeting(b"1");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let good = route(&target);
    let held = taken.local_addr().unwrap().to_string();
    let mut config = Config::new(&good);
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();

    let log = "[log]\nformat = 'json'\n".to_owned() + &good;
    let limit = "[limits]\nconnections = 7\n".to_owned() + &good;
    let bind = format!("{good}[routes.new]\nlisten = '{held}'\ntarget = '{}'\n", target.address);
    let cases = [
        ("# nothing left\n", "there are no routes"),
        (&log, "log.format: this key cannot change while running"),
        (&limit, "limits.connections: this key cannot change while running"),
        (&bind, &held),
    ];
    for (text, why) in cases {
        config.save(Save::InPlace, text);
        program.signal(Signal::HUP);
        program.wait_for("reload refused, nothing has changed");
        program.wait_for(why);
        assert_eq!(Connection::to(address).receive(1), b"1", "after {why}");
    }
}

#[test]
fn a_burst_of_signals_becomes_a_few_reloads() {
    let target = Target::greeting(b"1");
    let config = Config::new(&route(&target));
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    program.address();

    for _ in 0..1000 {
        program.signal(Signal::HUP);
    }
    program.signal(Signal::TERM);

    assert_eq!(program.exit_code(), Some(0));
    let reloads = program.log().iter().filter(|line| line.contains("reload added=0")).count();
    assert!(reloads < 1000, "each of a burst was carried out");
}

#[test]
fn a_file_that_is_never_left_alone_does_not_keep_a_signal_waiting() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let mut config = Config::new(&route(&one));
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();
    let is_over = AtomicBool::new(false);

    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                config.save(Save::RenameOver, &format!("# {n}\n{}", route(&two)));
                if is_over.load(SeqCst) {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        // Long enough for the file's change to be noticed; it cannot settle.
        let begun = Instant::now();
        wait_until("it is noticed", || (begun.elapsed() > Duration::from_millis(600)).then_some(()));
        program.signal(Signal::HUP);
        program.wait_for("reload added=0 replaced=1 removed=0");
        is_over.store(true, SeqCst);
    });

    assert_eq!(Connection::to(address).receive(1), b"2");
}

#[test]
fn a_configuration_from_a_pipe_runs_and_is_not_read_again() {
    let target = Target::greeting(b"1");
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("config");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let writing = thread::spawn({
        let (pipe, text) = (pipe.clone(), route(&target));
        move || fs::write(pipe, text).unwrap()
    });

    let mut program = Program::start(["run", "-c", pipe.to_str().unwrap()]);

    let address = program.address();
    writing.join().unwrap();
    program.signal(Signal::HUP);
    program.wait_for("is not a regular file, so it cannot be read again");
    assert_eq!(Connection::to(address).receive(1), b"1");
}

#[test]
fn the_port_that_the_kernel_chose_for_a_route_of_a_reload_is_logged() {
    let target = Target::echo();
    let route =
        |name: &str| format!("[routes.{name}]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address);
    let mut config = Config::new(&route("first"));
    let mut program = Program::run(&config.path);

    config.save(Save::InPlace, &(route("first") + &route("second")));
    program.wait_for("reload added=1");
    let line = program.wait_for("(route second)");

    let address = line.split("Forwarding ").nth(1).unwrap().split(' ').next().unwrap();
    Connection::to(address.parse().unwrap()).expect_whole_echo(1, 1000);
}
