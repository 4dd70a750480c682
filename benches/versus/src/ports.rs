//! Free ports for targets and forwarders.
//!
//! They are taken from below the range the kernel gives to outgoing connections: a port found by binding port 0 lies in
//! that range, and between finding and using it any connection of the load may get it as its source.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const LOWEST: u16 = 10_000;

/// The next candidate. No port is used twice in a run, so that no turn meets the TIME_WAIT of another.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// `count` loopback addresses on which nobody listens.
pub(crate) fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    let end = first_ephemeral();
    let mut found = Vec::with_capacity(count);
    for _ in LOWEST..end {
        if found.len() == count {
            break;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, candidate(end)));
        if TcpListener::bind(address).is_ok() {
            found.push(address);
        }
    }
    if found.len() < count {
        return Err(io::Error::other(format!("only {} of {count} ports are free", found.len())));
    }
    Ok(found)
}

pub(crate) fn one() -> io::Result<SocketAddr> {
    Ok(free(1)?[0])
}

/// Starts where the process number says, so that two benches at once rarely try the same ports.
fn candidate(end: u16) -> u16 {
    let span = u32::from(end - LOWEST);
    let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
    let offset = (std::process::id().wrapping_mul(131) % span + step) % span;
    LOWEST + u16::try_from(offset).unwrap_or(0)
}

fn first_ephemeral() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|low| low.parse().ok());
    first.filter(|low| *low > LOWEST + 4_000).unwrap_or(32_768)
}
