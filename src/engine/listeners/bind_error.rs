//! Why listeners could not be bound, in words: what a refused start or reload, and a listener left for later, says.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use crate::address::{Families, ListenAddress, NetListen, Protocol};
use crate::diagnosis::{self, Diagnosis, Instead, Verdict};
use crate::engine::api::BindFailure;
use crate::probe::sockets::ports::Transport;
use crate::transport;

/// Finds out why each address could not be bound, in the same order; call it at once, while the causes still exist.
/// `instead` is asked for the command that starts the same on a free port.
pub fn diagnose(failures: &[BindFailure], instead: Instead<'_>) -> Vec<Diagnosis> {
    let errors: Vec<_> = failures.iter().map(|it| (it.protocol, &it.address, &it.error)).collect();
    let mut diagnoses = of_errors(&errors, instead);
    for (diagnosis, failure) in diagnoses.iter_mut().zip(failures) {
        // The address of a service stands for itself.
        diagnosis.routes.extend(failure.owner.route().map(ToString::to_string));
    }
    diagnoses
}

/// Why each listener of these could not be bound, a clause each.
pub(crate) fn summaries(failures: &[(Protocol, &ListenAddress, &io::Error)]) -> Vec<String> {
    of_errors(failures, &|_, _| None).into_iter().map(|diagnosis| diagnosis.summary).collect()
}

fn of_errors(failures: &[(Protocol, &ListenAddress, &io::Error)], instead: Instead<'_>) -> Vec<Diagnosis> {
    let ports = failures.iter().filter_map(|(protocol, address, error)| match address {
        ListenAddress::Net(listen) => Some((as_bound(listen), (*protocol).into(), *error)),
        ListenAddress::Unix(_) | ListenAddress::There(_) => None,
    });
    let mut of_ports = diagnosis::bind_failures(&ports.collect::<Vec<_>>(), instead).into_iter();
    let diagnosis = |&(_, address, error): &(_, &ListenAddress, &io::Error)| match address {
        ListenAddress::Net(listen) => {
            of_ports.next().map(|diagnosis| other_family(diagnosis, listen, error, instead))
        }
        ListenAddress::There(_) => None,
        ListenAddress::Unix(name) => Some(diagnosis::unix_bind_failure(name, error)),
    };
    failures.iter().filter_map(diagnosis).collect()
}

fn as_bound(listen: &NetListen) -> SocketAddr {
    // An interface that is not there has no number; the errno then says it all.
    transport::socket_address(listen).unwrap_or(SocketAddr::new(listen.ip, listen.port))
}

/// A listener for both families may be blocked by an IPv4 socket, which the search at `[::]` does not find.
fn other_family(
    diagnosis: Diagnosis,
    listen: &NetListen,
    error: &io::Error,
    instead: Instead<'_>,
) -> Diagnosis {
    if diagnosis.verdict != Verdict::Unknown || listen.families != Families::Both {
        return diagnosis;
    }
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listen.port);
    diagnosis::bind_failures(&[(any, Transport::Tcp, error)], instead).pop().unwrap_or(diagnosis)
}
