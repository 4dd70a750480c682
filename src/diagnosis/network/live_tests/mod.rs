//! The complete diagnosis in a separate network namespace: a real rule, a real connection, the verdict.
//!
//! Each case runs this test program again inside `unshare --net`, which causes the fault and diagnoses it.

mod cases;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::{getegid, geteuid};

use super::*;
use crate::probe::firewall::Firewall;
use crate::probe::network::counters::Counters;
use crate::probe::network::routing::Routing;
use crate::probe::sockets;
use crate::probe::system::sysctl::Settings;
use cases::{CASES, Case};

const CASE: &str = "LOOPGATE_TEST_CASE";

#[test]
#[ignore = "needs root"]
fn every_fault_of_the_network_has_its_verdict() {
    if let Ok(name) = std::env::var(CASE) {
        return inside(CASES.iter().find(|case| case.0 == name).unwrap());
    }
    let mut wrong = Vec::new();
    for (name, ..) in CASES {
        let test = "diagnosis::network::live_tests::every_fault_of_the_network_has_its_verdict";
        let run = Command::new("unshare")
            .arg("--net")
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", test])
            .env(CASE, name)
            .output()
            .unwrap();
        if !run.status.success() {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&run.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn inside((name, setup, listen, to, verdict): &Case) {
    shell("ip link set lo up");
    let _listener = (!listen.is_empty()).then(|| serve(TcpListener::bind(listen).unwrap()));
    shell(setup);
    let to: SocketAddr = to.parse().unwrap();

    let finding = diagnose(to);

    let found = finding.as_ref().map_or(Verdict::Healthy, |finding| finding.verdict);
    assert_eq!(found, *verdict, "{name}: {finding:#?}");
    if let Some(finding) = finding {
        assert_ne!(finding.certainty, Certainty::Unknown, "{finding:#?}");
    }
}

/// Answers every connection with a byte, until the case ends.
fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let _ = (&connection).write_all(b"x");
        }
    });
}

/// What `explain` does for the network: facts before, an attempt, facts after, the rules.
fn diagnose(to: SocketAddr) -> Option<Finding> {
    let before = Firewall::read();
    let counters = Counters::read();
    let (errno, from) = dial(to);
    let after = Firewall::read();
    let changes = Counters::read().since(&counters);
    let routing = Routing::read(to);
    let settings = Settings::read();
    let listener =
        match sockets::on_port(to.port()).rows.iter().find(|row| row.state == sockets::TcpState::Listen) {
            Some(row) => Listener::Stable { waiting: row.receive_queue, limit: row.send_queue },
            None => Listener::Nobody,
        };
    let attempt = Attempt { to, from, errno, uid: geteuid().as_raw(), gid: getegid().as_raw(), listener };
    let around = Surroundings {
        routing: &routing,
        settings: &settings,
        changes: &changes,
        before: &before,
        after: &after,
    };
    if errno.is_none() { shaped(&routing) } else { failure(&attempt, &around) }
}

fn dial(to: SocketAddr) -> (Option<i32>, SocketAddr) {
    let unknown = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    match TcpStream::connect_timeout(&to, Duration::from_millis(1500)) {
        Ok(mut stream) => {
            stream.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
            let mut byte = [0];
            let came = stream.read(&mut byte);
            (came.err().map(|_| libc::ETIMEDOUT), stream.local_addr().unwrap())
        }
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => (Some(libc::ETIMEDOUT), unknown),
        Err(error) => (Some(error.raw_os_error().unwrap()), unknown),
    }
}

fn shell(line: &str) {
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}
