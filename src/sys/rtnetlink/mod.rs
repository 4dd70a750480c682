//! Asks the kernel about links, addresses, routes, rules, neighbours and queues, the road `ip` and `tc` take (rtnetlink(7)).
//!
//! It needs no right and changes nothing. Offsets are those of the kernel's headers below include/uapi/linux.
//!
//! It is written by hand: the crate `rtnetlink` is asynchronous, brings ten others, and is made to change things. A few
//! fields of six kinds of message are all that is wanted.

use std::io;
use std::net::IpAddr;

use rustix::net::Protocol;
use serde::Serialize;

use super::netlink::{Answer, Request, ask, attribute, malformed, u32_at};

#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod link;
mod neighbour;
mod route;
mod rule;
mod tc;
pub use link::Link;
pub(crate) use link::links;
pub use neighbour::Neighbour;
pub(crate) use neighbour::neighbour;
pub use route::{Path, RouteKind};
pub(crate) use route::{path_to, routes};
pub use rule::PolicyRule;
pub(crate) use rule::policy_rules;
pub use tc::{Filter, Qdisc};
pub(crate) use tc::{filters, qdiscs};

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// How many of its bits name the network.
    pub prefix: u8,
    /// The interface's number.
    pub link: u32,
}

/// What a dump gave; `cut` says that there is more, or that it changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows<T> {
    /// The rows.
    pub(crate) rows: Vec<T>,
    /// Whether rows may be missing.
    pub(crate) cut: bool,
}

const RTM_GETADDR: u16 = 22;
const IFADDRMSG: usize = 8;
/// rtmsg, fib_rule_hdr and ndmsg are all of this size.
const RTMSG: usize = 12;

pub(crate) fn addresses() -> io::Result<Rows<Address>> {
    rows(&ask(protocol(), &Request::dump(RTM_GETADDR, &[0; IFADDRMSG]))?, read_address)
}

/// NETLINK_ROUTE is protocol 0.
fn protocol() -> Option<Protocol> {
    None
}

fn rows<T>(answer: &Answer, read: impl Fn(&[u8]) -> io::Result<T>) -> io::Result<Rows<T>> {
    let rows = answer.messages.iter().map(|message| read(&message.body)).collect::<io::Result<_>>()?;
    Ok(Rows { rows, cut: answer.truncated || answer.interrupted })
}

/// ifaddrmsg: family, prefix length, flags, scope, index. Of a point-to-point link, IFA_LOCAL is ours.
fn read_address(body: &[u8]) -> io::Result<Address> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let (Some(link), Some(rest)) = (u32_at(body, 4), body.get(IFADDRMSG..)) else {
        return Err(malformed("an address cut short"));
    };
    let ip = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS)).and_then(ip_of);
    let ip = ip.ok_or_else(|| malformed("an address without itself"))?;
    Ok(Address { ip, prefix: body[1], link })
}

fn family(ip: IpAddr) -> u8 {
    (if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn ip_of(payload: &[u8]) -> Option<IpAddr> {
    match payload.len() {
        4 => Some(<[u8; 4]>::try_from(payload).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(payload).ok()?.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
