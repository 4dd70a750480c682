//! A host as written → the addresses to try, in order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use tokio::sync::{Semaphore, oneshot};

use crate::address::{Address, Host, TargetAddress, is_localhost};
use crate::probe::network::scoped;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Look-ups that the sessions of one thread may have under way, each in a thread of its own; the others wait.
const MAX_LOOKUPS: usize = 4;

thread_local! {
    static PLACES: Arc<Semaphore> = Arc::new(Semaphore::new(MAX_LOOKUPS));
}

/// The addresses of a target, in the order to try them: for a literal or a Unix socket itself, for `localhost` both
/// loopback addresses whatever the resolver has, for another name the answer of the system's resolver.
///
/// # Errors
/// `NotFound` if a name has no address or the look-up fails; `QuotaExceeded` if no thread can be started for it; ENODEV
/// if the interface of a zone does not exist.
///
/// Cancel safe; a look-up that has begun continues in its own thread.
pub async fn resolve(target: &TargetAddress) -> io::Result<Vec<Address>> {
    let (name, port) = match (target.place(), target.net()) {
        (Some(place), _) => return Ok(vec![place]),
        (None, Some((Host::Zoned(ip, zone), port))) => return Ok(vec![scoped(*ip, zone, port)?.into()]),
        (None, Some((Host::Name(name), port))) => (name, port),
        (None, _) => return Ok(Vec::new()),
    };
    let found = look_up(name, port).await;
    let is_localhost = is_localhost(name);
    let mut addresses = match found {
        Err(error) if error.kind() == io::ErrorKind::QuotaExceeded && !is_localhost => return Err(error),
        found => found.unwrap_or_default(),
    };
    if is_localhost {
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

/// Asks the system's resolver, in a thread of its own: it blocks, and may do so for half a minute. A thread that is left
/// behind delays nothing, the end of the process neither.
async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let places = PLACES.with(Arc::clone);
    let place = places.acquire_owned().await.map_err(io::Error::other)?;
    let (sender, answer) = oneshot::channel();
    let name = name.to_owned();
    let started = thread::Builder::new().name("lookup".into()).spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        let _ = sender.send(found.map(|found| found.take(MAX_ADDRESSES).collect()));
        drop(place);
    });
    started.map_err(|error| io::Error::new(io::ErrorKind::QuotaExceeded, error))?;
    answer.await.map_err(io::Error::other)?
}
