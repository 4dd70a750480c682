//! Why listeners could not be bound: the explanation of a refused start or reload, and of a listener that is retried.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use crate::address::{Families, ListenAddress, NetListen, Protocol};
use crate::diagnosis::{self, BindFinding, Diagnosis, Verdict};
use crate::engine::api::BindFailure;
use crate::transport;

/// Why addresses could not be bound, including the processes that hold them.
#[derive(Debug)]
pub struct BindTrouble {
    ports: Vec<BindFinding>,
    sockets: Vec<Diagnosis>,
}

/// Finds out why each address could not be bound; to be called at once, while the causes still exist.
pub fn diagnose(failures: &[BindFailure]) -> BindTrouble {
    let (mut net, mut sockets) = (Vec::new(), Vec::new());
    for failure in failures {
        match &failure.address {
            ListenAddress::Net(listen) => net.push((failure, listen)),
            ListenAddress::Unix(name) => {
                let mut diagnosis = diagnosis::unix_bind_failure(name, &failure.error);
                diagnosis.routes.extend(route_of(failure));
                sockets.push(diagnosis);
            }
        }
    }
    let errors: Vec<_> =
        net.iter().map(|(it, listen)| (as_bound(listen), it.protocol.into(), &it.error)).collect();
    let findings = diagnosis::bind_failures(&errors).into_iter().zip(net);
    let ports = findings.map(|(finding, (it, listen))| {
        let finding = other_family(finding, listen, &it.error);
        match route_of(it) {
            Some(route) => finding.for_route(route),
            None => finding,
        }
    });
    BindTrouble { ports: ports.collect(), sockets }
}

/// The route that wanted the address; `None` for a service.
fn route_of(failure: &BindFailure) -> Option<String> {
    failure.owner.route().map(ToString::to_string)
}

/// Why each of these listeners could not be bound, one clause each.
pub(crate) fn summaries(failures: &[(Protocol, &ListenAddress, &io::Error)]) -> Vec<String> {
    let net = failures.iter().filter_map(|(protocol, address, error)| match address {
        ListenAddress::Net(listen) => Some((*protocol, listen, *error)),
        ListenAddress::Unix(_) => None,
    });
    let net: Vec<_> = net.collect();
    let errors: Vec<_> =
        net.iter().map(|(protocol, listen, error)| (as_bound(listen), (*protocol).into(), *error)).collect();
    let findings = diagnosis::bind_failures(&errors).into_iter().zip(net);
    let mut of_ports =
        findings.map(|(finding, (_, listen, error))| other_family(finding, listen, error).summary());
    let clauses = failures.iter().map(|(_, address, error)| match address {
        ListenAddress::Net(_) => of_ports.next().unwrap_or_else(|| error.to_string()),
        ListenAddress::Unix(name) => diagnosis::unix_bind_failure(name, error).summary,
    });
    clauses.collect()
}

fn as_bound(listen: &NetListen) -> SocketAddr {
    // An interface that does not exist has no number; then the errno explains the failure.
    transport::socket_address(listen).unwrap_or(SocketAddr::new(listen.ip, listen.port))
}

/// A listener for both families may be blocked by an IPv4 socket, which the search at `[::]` does not find.
fn other_family(finding: BindFinding, listen: &NetListen, error: &io::Error) -> BindFinding {
    if finding.verdict != Verdict::Unknown || listen.families != Families::Both {
        return finding;
    }
    diagnosis::bind_failure(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listen.port), error)
}

impl BindTrouble {
    /// Extends each finding about a port with `add`.
    #[must_use]
    pub fn with(mut self, add: impl FnMut(BindFinding) -> BindFinding) -> BindTrouble {
        self.ports = self.ports.into_iter().map(add).collect();
        self
    }

    /// The text for a person, ending in a line break.
    pub fn report(&self) -> String {
        let ports = (!self.ports.is_empty()).then(|| diagnosis::bind_report(&self.ports));
        let sockets = self.sockets.iter().take(MAX_REPORTED).map(diagnosis::block);
        ports.into_iter().chain(sockets).collect::<Vec<_>>().join("\n")
    }

    /// The exit code of a start that failed on these, never 0.
    pub fn exit_code(&self) -> u8 {
        let of_ports = (!self.ports.is_empty()).then(|| diagnosis::exit_code(&self.ports));
        let codes: Vec<u8> =
            of_ports.into_iter().chain(self.sockets.iter().map(diagnosis::unix_exit_code)).collect();
        [8, 6, 7, 4, 1, 5].into_iter().find(|code| codes.contains(code)).unwrap_or(1)
    }
}

/// The most Unix sockets that are reported in full.
const MAX_REPORTED: usize = 8;
