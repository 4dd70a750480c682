//! A host as written → the addresses to try, in order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{Address, Host, TargetAddress, is_localhost};
use crate::probe::network::scoped;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The addresses of a target, in the order to try them: for a literal or a Unix socket itself, for `localhost` both
/// loopback addresses whatever the resolver has, for another name the answer of the system's resolver.
///
/// # Errors
/// `NotFound` if a name has no address or the look-up fails; ENODEV if the interface of a zone does not exist.
///
/// Cancel safe; a look-up that has begun continues in its own thread.
pub async fn resolve(target: &TargetAddress) -> io::Result<Vec<Address>> {
    let (name, port) = match (target.place(), target.net()) {
        (Some(place), _) => return Ok(vec![place]),
        (None, Some((Host::Zoned(ip, zone), port))) => return Ok(vec![scoped(*ip, zone, port)?.into()]),
        (None, Some((Host::Name(name), port))) => (name, port),
        (None, _) => return Ok(Vec::new()),
    };
    let found = tokio::net::lookup_host((&**name, port)).await;
    let mut addresses: Vec<_> = found.into_iter().flatten().take(MAX_ADDRESSES).collect();
    if is_localhost(name) {
        // A hosts file often has `localhost` in one family only, while the service listens in the other.
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            addresses.push(SocketAddr::new(ip, port));
        }
    }
    let mut seen = Vec::new();
    addresses.retain(|address| {
        !seen.contains(address) && {
            seen.push(*address);
            true
        }
    });
    match addresses.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, format!("`{name}` has no address"))),
        false => Ok(addresses.into_iter().map(Address::Net).collect()),
    }
}
