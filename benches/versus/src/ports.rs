//! Free ports for targets and forwarders.
//!
//! They are taken from below the range the kernel gives to outgoing connections: a port found by binding port 0 lies in
//! that range, and between finding and using it any connection of the load may get it as its source. In a namespace of
//! the run's own, where the range is nearly all there is, some are reserved for this.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::machine::sysctl;
use crate::namespace::{PORT_RANGE, RESERVED_PORTS};

const LOWEST: u16 = 10_000;

/// The last of those reserved in a namespace: enough for five times a thousand routes, and few beside all others.
const LAST_RESERVED: u16 = 15_999;

/// The next candidate. No port is used twice in a run, so that no turn meets the TIME_WAIT of another.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// `count` loopback addresses on which nobody listens.
pub(crate) fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    let end = end(&sysctl(RESERVED_PORTS), &sysctl(PORT_RANGE));
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

/// What a namespace keeps from outgoing connections, as the kernel writes it.
pub(crate) fn reserved() -> String {
    format!("{LOWEST}-{LAST_RESERVED}")
}

/// The port after the last that may be taken, by what the kernel reserves and by its range for outgoing connections.
fn end(reserved: &str, range: &str) -> u16 {
    if reserved == self::reserved() {
        return LAST_RESERVED + 1;
    }
    let first = range.split_whitespace().next().and_then(|low| low.parse().ok());
    first.filter(|low| *low > LOWEST + 4_000).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_taken_that_an_outgoing_connection_may_get() {
        assert_eq!(end("", "32768 60999"), 32_768);
        assert_eq!(end("10000-15999", "1024 65535"), 16_000);
        // Somebody else's reservation says nothing about ours.
        assert_eq!(end("8080", "20000 65535"), 20_000);
    }
}
