//! Recorded facts of a service that listens and answers, and functions to change them in tests.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::diagnose;
use super::facts::{Life, Lookup, ReachFacts};
use super::options::Options;
use super::start::blank;
use crate::diagnosis::finding::{Diagnosis, Subject};
use crate::diagnosis::verdict::Verdict;
use crate::probe::process::holders::Held;
use crate::probe::process::process_stats::{Queued, Vitals};
use crate::probe::process::threads::{Call, Thread};
use crate::probe::sockets::{Socket, TcpState};
use crate::probe::trace::{Connection, Dial, ServerSide, request};

pub(super) const ADDRESS: &str = "127.0.0.1:62893";

pub(super) fn address() -> SocketAddr {
    ADDRESS.parse().unwrap()
}

pub(super) fn listening(local: &str) -> Socket {
    Socket {
        state: TcpState::Listen,
        local: local.parse().unwrap(),
        remote: "0.0.0.0:0".parse().unwrap(),
        inode: 9,
        uid: 1000,
        receive_queue: 0,
        send_queue: 64,
        v6only: None,
        cgroup: None,
        interface: 0,
        expires: None,
    }
}

pub(super) fn vitals() -> Vitals {
    Vitals {
        pid: 7,
        comm: "web".to_owned(),
        state: 'S',
        threads: vec![Thread {
            state: 'S',
            waits_in: Some("ep_poll".to_owned()),
            call: Call::Events { endless: false },
        }],
        used: Duration::ZERO,
        queued: Queued::default(),
        descriptors: Some(10),
        descriptor_limit: Some(1024),
        tracer: None,
        frozen: false,
        at: Instant::now(),
    }
}

pub(super) fn living(change: impl Fn(&mut Vitals)) -> Vec<Life> {
    let mut vitals = vitals();
    change(&mut vitals);
    vec![Life { before: vitals.clone(), after: vitals }]
}

/// A connection on which our request was read and answered.
pub(super) fn answered(received: &[u8]) -> Connection {
    Connection {
        server: Some(ServerSide { inode: 11, unread: 0, half_open: false }),
        accepted: Some(Duration::from_micros(60)),
        sent: Some(request::http(ADDRESS)),
        said: Some(Duration::from_millis(200)),
        first_byte: Some(Duration::from_millis(201)),
        received: received.to_vec(),
        watched: Duration::from_millis(260),
        ..dialled(Dial::Connected(Duration::from_micros(40)))
    }
}

pub(super) fn dialled(dial: Dial) -> Connection {
    Connection { dial, ..Connection::failed(libc::ECONNREFUSED) }
}

/// A connection that was accepted but not answered.
pub(super) fn silent(unread: u32) -> Connection {
    Connection {
        server: Some(ServerSide { inode: 11, unread, half_open: false }),
        first_byte: None,
        ..answered(b"")
    }
}

/// A connection that was never accepted.
pub(super) fn waiting() -> Connection {
    Connection {
        server: Some(ServerSide { inode: 0, unread: 0, half_open: false }),
        accepted: None,
        sent: None,
        said: None,
        ..silent(0)
    }
}

/// A service that listens and answers.
pub(super) fn healthy() -> ReachFacts {
    let mut facts = blank(Subject::Tcp(address()), &Options::default());
    facts.local = true;
    facts.before = Lookup::Found(listening(ADDRESS));
    facts.after = facts.before.clone();
    facts.rows = vec![listening(ADDRESS)];
    facts.held = vec![held(9)];
    facts.life = living(|_| {});
    facts.descriptors.hard = Some(20_000);
    facts.descriptors.used = Some(5);
    facts.trace.connections = vec![answered(b"HTTP/1.1 200 OK\r\n\r\n")];
    facts
}

pub(super) fn held(inode: u32) -> Held {
    let holder = crate::diagnosis::listen::samples::holder(7, "web");
    Held { inode, descriptor: 3, holder }
}

/// Nothing listens, and the dial was refused.
pub(super) fn refused() -> ReachFacts {
    let mut facts = healthy();
    facts.before = Lookup::Nobody;
    facts.after = Lookup::Nobody;
    facts.rows.clear();
    facts.trace.connections = vec![Connection::failed(libc::ECONNREFUSED)];
    facts.absent.looked = true;
    facts
}

pub(super) fn diagnosis_of(change: impl Fn(&mut ReachFacts)) -> Diagnosis {
    let mut facts = healthy();
    change(&mut facts);
    diagnose(&facts)
}

pub(super) fn verdict(change: impl Fn(&mut ReachFacts)) -> Verdict {
    diagnosis_of(change).verdict
}

pub(super) fn of_refused(change: impl Fn(&mut ReachFacts)) -> Verdict {
    let mut facts = refused();
    change(&mut facts);
    diagnose(&facts).verdict
}

pub(super) fn of_connection(connection: Connection) -> Verdict {
    verdict(|facts| facts.trace.connections = vec![connection.clone()])
}
