//! Diagnoses a target as a route names it: an address, a name with several addresses, a Unix socket.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::options::Options;
use super::{fixes, reach_tcp, reach_udp, reach_unix, unresolved};
use crate::address::{Host, Protocol, TargetAddress, TargetThere, UnixName, is_localhost};
use crate::diagnosis::{Diagnosis, Verdict};
use crate::probe::network::resolver::{self, Localhost};
use crate::probe::network::scoped;

/// Finds out whether a target can be reached. A name may have several addresses: the diagnosis is that of the first one
/// that answers, or else that of the first.
pub fn reach_target(target: &TargetAddress, protocol: Protocol, options: Options) -> Diagnosis {
    match target {
        TargetAddress::Net(Host::Ip(ip), port) => one(SocketAddr::new(*ip, *port), protocol, &options),
        TargetAddress::Net(Host::Zoned(ip, zone), port) => match scoped(*ip, zone, *port) {
            Ok(address) => one(address, protocol, &options),
            Err(error) => {
                let mut diagnosis = one(SocketAddr::new((*ip).into(), *port), protocol, &options);
                diagnosis.failed_with(&error);
                diagnosis.summary = format!("there is no interface {zone} here");
                diagnosis
            }
        },
        TargetAddress::Net(Host::Name(name), port) => named(name, *port, protocol, options),
        TargetAddress::There(there) => elsewhere(there),
        TargetAddress::Unix(UnixName::Path(path)) => reach_unix(Path::new(&**path), &options),
        TargetAddress::Unix(UnixName::Abstract(name)) => reach_unix(Path::new(&format!("@{name}")), &options),
    }
}

/// This machine knows nothing about it: the other end of the tunnel is to be asked.
fn elsewhere(there: &TargetThere) -> Diagnosis {
    let mut diagnosis = unresolved(&there.to_string(), 0);
    diagnosis.summary = format!("{there} is at the other end of a tunnel");
    diagnosis.fixes = vec![fixes::advice(format!("ask there: loopgate explain {}", there.to))];
    diagnosis
}

fn one(address: SocketAddr, protocol: Protocol, options: &Options) -> Diagnosis {
    match protocol {
        Protocol::Tcp => reach_tcp(address, options),
        Protocol::Udp => reach_udp(address, options),
    }
}

fn named(name: &str, port: u16, protocol: Protocol, mut options: Options) -> Diagnosis {
    let answer = resolver::look_up(name, options.timeout);
    let mut addresses = answer.addresses.clone().unwrap_or_default();
    options.name = Some(name.to_owned());
    options.localhost = Some(Localhost { answer: Some(answer), ..Localhost::read() });
    if is_localhost(name) && addresses.is_empty() {
        addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let mut first = None;
    for ip in addresses {
        let diagnosis = one(SocketAddr::new(ip, port), protocol, &options);
        if !tries_next_address(diagnosis.verdict) {
            return diagnosis;
        }
        first.get_or_insert(diagnosis);
    }
    first.unwrap_or_else(|| unresolved(name, port))
}

/// Whether the next address of a name is tried after this verdict.
fn tries_next_address(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::TargetNotRunning
            | Verdict::TargetOnOtherAddress
            | Verdict::TargetOnOtherFamily
            | Verdict::TargetOnOtherPort
            | Verdict::UdpTargetNotRunning
            | Verdict::Ipv6Disabled
    )
}
