//! A host as written → the addresses to try, in order: at once where none is asked, or by the system's resolver.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::address::{Address, Host, TargetAddress};
use crate::probe::network::scoped;
use crate::sys;

/// The most addresses of one name that a look-up returns.
const MAX_ADDRESSES: usize = 64;

/// The shortest time after which a resolver repeats a question, or gives up (resolv.conf(5), `timeout`).
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);

/// What `localhost` is, in the order to try.
pub(crate) const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Where a target is, before any look-up.
#[derive(Debug, PartialEq, Eq)]
pub enum Whereabouts<'t> {
    /// At these addresses, in the order to try them.
    At(Vec<Address>),
    /// Where the system's resolver says that this name is, with this port.
    Name(&'t str, u16),
}

/// The addresses of a target that needs no look-up: a literal, a Unix socket, and `localhost`, which is both loopback
/// addresses whatever a resolver has (RFC 6761, section 6.3). A name under it, as `app.localhost`, may be on another machine:
/// hosts files of containers have such lines.
///
/// # Errors
/// ENODEV if the interface of a zone does not exist; the errno of socket(2) if it cannot be asked for.
pub fn whereabouts(target: &TargetAddress) -> io::Result<Whereabouts<'_>> {
    let at = match (target.place(), target.net()) {
        (Some(place), _) => vec![place],
        (None, Some((Host::Zoned(ip, zone), port))) => vec![scoped(*ip, zone, port)?.into()],
        (None, Some((Host::Name(name), port))) if is_itself(name) => {
            LOOPBACK.map(|ip| Address::Net(SocketAddr::new(ip, port))).into()
        }
        (None, Some((Host::Name(name), port))) => return Ok(Whereabouts::Name(name, port)),
        (None, _) => Vec::new(),
    };
    Ok(Whereabouts::At(at))
}

fn is_itself(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost")
}

/// Asks the system's resolver for the addresses of a name, in its order; their port is 0. Blocks, for half a minute where
/// name servers do not answer.
///
/// # Errors
/// `NotFound` if the name has no address or the look-up fails; `TimedOut` if the resolver gave up waiting; the errno of a
/// call that failed.
pub fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    let begun = Instant::now();
    sys::look_up(name, MAX_ADDRESSES).map_err(|error| match error {
        sys::NoAnswer::System(error) => error,
        // An answer that says "failed" (SERVFAIL) gives the same code, but sooner.
        sys::NoAnswer::GaveUp if begun.elapsed() >= LEAST_TIMEOUT => io::ErrorKind::TimedOut.into(),
        sys::NoAnswer::GaveUp | sys::NoAnswer::NoAddress => io::ErrorKind::NotFound.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Run;

    #[test]
    fn only_a_name_that_is_not_localhost_needs_a_look_up() {
        let at = |text: &str| {
            let target = text.parse::<Run<TargetAddress>>().unwrap().first().clone();
            match whereabouts(&target).unwrap() {
                Whereabouts::At(at) => at.iter().map(Address::to_string).collect::<Vec<_>>().join(" "),
                Whereabouts::Name(name, port) => format!("{name} {port}"),
            }
        };

        assert_eq!(at("127.0.0.1:80"), "127.0.0.1:80");
        assert_eq!(at("[fe80::1%lo]:80"), "[fe80::1%1]:80");
        assert_eq!(at("unix:@x"), "unix:@x");
        for localhost in ["localhost:80", "LOCALHOST.:80"] {
            assert_eq!(at(localhost), "127.0.0.1:80 [::1]:80", "{localhost}");
        }
        for name in ["db", "db.localhost", "localhost.example"] {
            assert_eq!(at(&format!("{name}:80")), format!("{name} 80"));
        }
    }
}
