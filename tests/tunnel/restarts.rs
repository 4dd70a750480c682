//! An end that is stopped and started again, under load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::harness::{ClosedPort, Connection, Target, pattern, wait_until};
use crate::pair::{Pair, message, says};

const RESTARTS: usize = 3;
const LENGTH: usize = 20_000;

/// One visit: every byte comes back, or the end is a reset. An answer that is short and looks whole would be a lie.
fn visit(visitors: std::net::SocketAddr, seed: u64) -> bool {
    let Ok(mut visitor) = Connection::try_to(visitors) else { return false };
    let mut sent = 0;
    while sent < LENGTH {
        let piece = pattern::at(seed, sent, LENGTH - sent);
        let Ok(more) = visitor.try_send(piece) else { return false };
        sent += more;
    }
    if rustix::net::shutdown(visitor.stream(), rustix::net::Shutdown::Write).is_err() {
        return false;
    }
    let (mut received, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        match visitor.try_receive(&mut buffer) {
            Ok(0) => {
                assert_eq!(received, LENGTH, "an answer is short and looks whole");
                return true;
            }
            Ok(n) => {
                assert_eq!(buffer[..n], *pattern::at(seed, received, n), "a foreign byte");
                received += n;
            }
            Err(_) => return false,
        }
    }
}

#[test]
fn restarts_of_either_end_under_load_leave_no_answer_short() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route);
    let visitors = pair.there("web");
    let (is_over, whole) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..4 {
            let (is_over, whole) = (&is_over, &whole);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    if visit(visitors, seed) {
                        whole.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let served = |more: usize| {
            let goal = whole.load(Ordering::Relaxed) + more;
            wait_until("visitors are served", || (whole.load(Ordering::Relaxed) >= goal).then_some(()));
        };
        // A panic here must not leave the visitors at their work for ever.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..RESTARTS {
                for is_vps in [true, false] {
                    served(20);
                    let end = if is_vps { &mut pair.vps } else { &mut pair.home };
                    end.program.signal(Signal::TERM);
                    assert!(end.program.exit_code().is_some(), "it does not stop");
                    end.restart();
                }
            }
            served(20);
        }));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(pair.there("web"), visitors);
}

#[test]
fn where_a_route_listens_is_told_each_time_the_tunnel_is_up_again() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{}\"]", port.address), "", &route);
    let forwarding = format!("Forwarding tunnel:vps/{}", port.address);
    pair.home.line("it listens", |line| says(line, &forwarding));

    pair.vps.program.signal(Signal::TERM);
    assert!(pair.vps.program.exit_code().is_some(), "it does not stop");
    pair.vps.restart();

    wait_until("it is told again", || {
        let told = pair.home.lines().iter().filter(|line| says(line, &forwarding)).count();
        (told == 2).then_some(())
    });
    let down = pair.home.state("vps", "down");
    assert!(message(&down).contains(&format!(" to={}", pair.relay.address)), "{down}");
    // Its own line says that the tunnel is gone: not each target in it as well.
    let targets = pair.vps.lines().iter().filter(|line| says(line, "DOWN tunnel_down")).count();
    assert_eq!(targets, 0);
}
