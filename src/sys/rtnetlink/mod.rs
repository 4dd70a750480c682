//! Reads links, addresses, routes, rules, neighbours and queues from the kernel, by the interface that `ip` and `tc`
//! use (rtnetlink(7)).
//!
//! It needs no privilege and changes nothing. Offsets follow the kernel's headers in include/uapi/linux.
//!
//! It is written by hand: the crate `rtnetlink` is asynchronous, brings ten others, and is built for changing things.
//! Only a few fields of six message types are needed.

use std::io;
use std::net::IpAddr;

use rustix::net::Protocol;
use serde::Serialize;

use super::netlink::{Answer, Request, ask, attribute, malformed, u32_at};

mod changes;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod link;
mod neighbour;
mod route;
mod rule;
mod tc;
pub(crate) use changes::Changes;
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
    /// Its prefix length, in bits.
    pub prefix: u8,
    /// The index of the interface.
    pub link: u32,
}

/// The rows of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows<T> {
    /// The rows.
    pub(crate) rows: Vec<T>,
    /// Whether rows may be missing, because there were too many or the table changed meanwhile.
    pub(crate) cut: bool,
}

const RTM_GETADDR: u16 = 22;
const IFADDRMSG: usize = 8;
/// The size of rtmsg, fib_rule_hdr and ndmsg.
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

/// ifaddrmsg: family, prefix length, flags, scope, index. On a point-to-point link, IFA_LOCAL is the local address.
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
