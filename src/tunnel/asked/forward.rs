//! Which route a session takes that the other end opens: one that is offered to it by name, or an address that it may have
//! us dial.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::judge::own_addresses;
use crate::acl::reached;
use crate::address::{Address, Host, Protocol, TargetAddress, There};
use crate::outcome::Cause;
use crate::plan::RouteId;
use crate::transport::{self, Whereabouts};
use crate::tunnel::link::{Link, Terms};

/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The route for a session that the other end opens. A name that it was not offered and one that does not exist get the same
/// answer.
///
/// Cancel safe.
///
/// # Errors
/// [`Cause::TunnelRefused`] if it may not; the cause of the look-up of a name.
pub(crate) async fn route_for(link: &Link, to: &There, protocol: Protocol) -> Result<RouteId, Cause> {
    let terms = link.terms();
    match to {
        There::Service(name) => terms.offers().route(name, protocol).cloned().ok_or(Cause::TunnelRefused),
        There::Address(address) => {
            let found = targets(&terms, address, protocol, &link.asked.look_ups).await;
            if found == Err(Cause::TunnelRefused) {
                link.asked.refused.tell(&link.name, address, protocol, &terms.tunnel.may_dial);
            }
            link.asked.dial((**address).clone(), protocol, found?).await
        }
    }
}

/// What would become of a session to this, as far as is known without a look-up and a dial: whether it may be opened, and why
/// its target is down.
pub(crate) fn would_reach(link: &Link, to: &There, protocol: Protocol) -> (bool, Option<Cause>) {
    let terms = link.terms();
    match to {
        There::Service(name) => match terms.offers().route(name, protocol) {
            Some(route) => (true, link.engine.down(route)),
            None => (false, None),
        },
        There::Address(address) => {
            let own = own_addresses();
            let is_own = |ip: IpAddr| own.contains(&ip);
            let is_name = matches!(**address, TargetAddress::Net(Host::Name(_), _));
            let may = terms.tunnel.may_dial.may_dial(address, protocol, &is_own)
                && (is_name || permits(&terms, address, address, protocol, &is_own));
            (may, None)
        }
    }
}

/// What is dialled for an address: itself, or for a name each of its addresses that may be dialled.
async fn targets(
    terms: &Terms,
    address: &TargetAddress,
    protocol: Protocol,
    look_ups: &Arc<Semaphore>,
) -> Result<Vec<TargetAddress>, Cause> {
    let own = own_addresses();
    let is_own = |ip: IpAddr| own.contains(&ip);
    if !terms.tunnel.may_dial.may_dial(address, protocol, &is_own) {
        return Err(Cause::TunnelRefused);
    }
    let found = match address {
        TargetAddress::Net(Host::Name(_), _) => found(address, look_ups).await?,
        TargetAddress::Net(Host::Ip(ip), port) => vec![TargetAddress::Net(Host::Ip(reached(*ip)), *port)],
        TargetAddress::Net(Host::Zoned(..), _) | TargetAddress::Unix(_) | TargetAddress::There(_) => {
            vec![address.clone()]
        }
    };
    let targets = found.into_iter().filter(|target| permits(terms, address, target, protocol, &is_own));
    let targets: Vec<_> = targets.collect();
    if targets.is_empty() { Err(Cause::TunnelRefused) } else { Ok(targets) }
}

/// The addresses of a name, each in its shortest form: that one is judged, and that one is dialled.
async fn found(address: &TargetAddress, look_ups: &Arc<Semaphore>) -> Result<Vec<TargetAddress>, Cause> {
    let at = match transport::whereabouts(address).map_err(|error| Cause::of_dial(&error))? {
        Whereabouts::At(at) => at,
        Whereabouts::Name(name, port) => look_up(name, port, look_ups).await?,
    };
    let net = at.into_iter().filter_map(|at| at.net());
    Ok(net.map(|at| TargetAddress::Net(Host::Ip(reached(at.ip())), at.port())).collect())
}

/// Asks the system's resolver on a thread of its own.
async fn look_up(name: &str, port: u16, look_ups: &Arc<Semaphore>) -> Result<Vec<Address>, Cause> {
    let looked = async {
        // It is never closed.
        let place = look_ups.clone().acquire_owned().await.map_err(|_| Cause::NoAddress)?;
        let (reply, answer) = oneshot::channel();
        let name = name.to_owned();
        let ask = move || {
            let _place = place;
            // Whoever asked may be gone.
            let _ = reply.send(transport::look_up(&name));
        };
        thread::Builder::new().name("lookup".into()).spawn(ask).map_err(|_| Cause::NoThread)?;
        let found = answer.await.map_err(|_| Cause::NoAddress)?;
        found.map_err(|error| Cause::of_dial(&error))
    };
    let found = timeout(PATIENCE, looked).await.map_err(|_| Cause::TimedOut)??;
    Ok(found.into_iter().map(|at| SocketAddr::new(at.ip(), port).into()).collect())
}

/// Whether `may_dial` has a target that was found for the address `written`, and it is no listener of Loopgate's own.
pub(super) fn permits(
    terms: &Terms,
    written: &TargetAddress,
    target: &TargetAddress,
    protocol: Protocol,
    is_own: &dyn Fn(IpAddr) -> bool,
) -> bool {
    let may_dial = &terms.tunnel.may_dial;
    match (written, target) {
        (TargetAddress::Net(Host::Name(name), _), TargetAddress::Net(Host::Ip(ip), port)) => {
            let at = SocketAddr::new(*ip, *port);
            may_dial.may_dial_answer(name, at, protocol, is_own) && !terms.plan.tunnels.listens_at(at, is_own)
        }
        (_, TargetAddress::Net(host, port)) => {
            let is_own_listener = |ip| terms.plan.tunnels.listens_at(SocketAddr::new(ip, *port), is_own);
            may_dial.may_dial(target, protocol, is_own) && !host.ip().is_some_and(is_own_listener)
        }
        (_, target) => may_dial.may_dial(target, protocol, is_own),
    }
}
