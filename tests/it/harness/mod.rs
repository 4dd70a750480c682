//! The test harness: a proxy in this process, the program in its own process, targets of every behaviour, and
//! connections between them.

mod client_hello;
mod config;
mod connection;
pub(crate) mod datagrams;
pub(crate) mod namespace;
pub(crate) mod pattern;
mod program;
mod proxy;
pub(crate) mod sandbox;
mod target;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use loopgate::probe::sockets::{self, TcpState};

pub(crate) use client_hello::HelloBuilder;
pub(crate) use config::{Config, Save};
pub(crate) use connection::{Close, Connection};
pub(crate) use program::{Program, address_in};
pub(crate) use proxy::{Proxy, ProxyBuilder};
pub(crate) use target::{ClosedPort, Target};

/// The time-out of every wait. It is long, for a loaded machine; no passing test takes as long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// Polls for what the system has no event for; panics with `what` after [`TIMEOUT`].
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The inode of the socket that listens on `address`; while it stays the same, no client can have been refused.
pub(crate) fn listening_inode(address: SocketAddr) -> Option<u32> {
    let rows = sockets::on_port(address.port()).rows;
    let listens = |row: &sockets::Socket| row.state == TcpState::Listen && row.local == address;
    rows.into_iter().find(listens).map(|row| row.inode)
}
