//! The address of a service, looked up and reached: on this machine, unless another one was asked for.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::refusal::Refusal;
use crate::address::{Run, TargetAddress};
use crate::diagnosis::block;
use crate::diagnosis::reach::{Options, dial_failure};
use crate::probe::network::Network;
use crate::transport::{Whereabouts, look_up, whereabouts};
use crate::units::quoted;

/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As it was written, in full.
    pub(crate) written: String,
    /// The address that answered.
    pub(crate) at: SocketAddr,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_string();
        if at == self.written { f.write_str(&at) } else { write!(f, "{} ({at})", self.written) }
    }
}

/// Reads an address; of one service, and of TCP.
pub(super) fn read(text: &str) -> Result<TargetAddress, Refusal> {
    if text.ends_with("/udp") {
        return Err(Refusal::usage(
            format!("{}: bench measures TCP", quoted(text)),
            "UDP is not in this version",
        ));
    }
    let bare = text.strip_suffix("/tcp").unwrap_or(text);
    let run: Run<TargetAddress> =
        bare.parse().map_err(|misread| Refusal::Usage(format!("error: {misread}")))?;
    if run.count() > 1 {
        return Err(Refusal::usage(
            format!("{run} is more than one address"),
            format!("write one, such as {}", run.first()),
        ));
    }
    Ok(run.first().clone())
}

/// All addresses of a target, without connecting.
pub(super) fn addresses(target: &TargetAddress) -> Result<Vec<SocketAddr>, Refusal> {
    if target.unix().is_some() {
        return Err(Refusal::usage(
            format!("{target}: bench measures TCP"),
            "Unix sockets are not in this version; a route makes a TCP port of one: \
             loopgate 8080:unix:/run/app.sock",
        ));
    }
    let none = |error: &io::Error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "the name has no address here".to_owned(),
            _ => error.to_string(),
        };
        Refusal::Unreachable(format!(
            "error: cannot look up {target}: {why}\n = help: loopgate explain {target}"
        ))
    };
    match whereabouts(target).map_err(|error| none(&error))? {
        Whereabouts::At(at) => Ok(at.iter().filter_map(crate::address::Address::net).collect()),
        Whereabouts::Name(name, port) => {
            let found = look_up(name).map_err(|error| none(&error))?;
            Ok(found.into_iter().map(|at| SocketAddr::new(at.ip(), port)).collect())
        }
    }
}

/// Reaches a service, with the one connection on which it is asked what it does: an iperf3 server takes one client at a
/// time. An address of another machine is loaded only if that was asked for.
pub(super) fn reach(target: &TargetAddress, remote: bool) -> Result<(Place, TcpStream), Refusal> {
    let addresses = addresses(target)?;
    let network = Network::read();
    if let Some(away) = addresses.iter().find(|at| !is_here(at, &network))
        && !remote
    {
        return Err(Refusal::usage(
            format!("{target} ({}) is not on this machine", away.ip()),
            "bench loads a service and the network to it as far as they go, which others may take for an attack; \
             if it is yours to load, add --yes-remote",
        ));
    }
    let mut first = None;
    for at in addresses {
        match TcpStream::connect_timeout(&at, CONNECT) {
            Ok(stream) => return Ok((Place { written: target.to_string(), at }, stream)),
            Err(error) => _ = first.get_or_insert((at, error)),
        }
    }
    Err(Refusal::Unreachable(match first {
        Some((at, error)) => unreachable(at, &error),
        None => format!("error: {target} has no address"),
    }))
}

/// The diagnosis of an address to which no connection was made.
fn unreachable(at: SocketAddr, error: &io::Error) -> String {
    let diagnosis = dial_failure(at, error, &Options::default());
    format!("{}the whole page: loopgate explain {at}", block(&diagnosis))
}

fn is_here(at: &SocketAddr, network: &Network) -> bool {
    let ip = at.ip().to_canonical();
    // The addresses of interfaces count as this machine; where they cannot be read, loopback alone does.
    ip.is_loopback() || ip.is_unspecified() || network.has(ip) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(result: Result<T, Refusal>) -> String {
        match result {
            Err(Refusal::Usage(text) | Refusal::Unreachable(text)) => text,
            Err(Refusal::Config(problems)) => problems.to_string(),
            Ok(_) => panic!("it was taken"),
        }
    }

    #[test]
    fn an_address_of_another_machine_is_not_loaded_unless_asked_for() {
        // RFC 5737: nobody has it, and nothing is sent there.
        let target = read("192.0.2.7:80").ok().unwrap();

        assert!(refused(reach(&target, false)).contains("add --yes-remote"));
    }

    #[test]
    fn every_address_of_this_machine_is_here() {
        let network = Network { ipv4: Some(vec![([10, 1, 2, 3].into(), 32)]), ipv6: Some(Vec::new()) };
        let here = |text: &str| is_here(&SocketAddr::new(text.parse().unwrap(), 1), &network);

        assert!(
            here("127.9.9.9")
                && here("::1")
                && here("10.1.2.3")
                && here("0.0.0.0")
                && here("::ffff:127.0.0.1")
        );
        assert!(!here("10.1.2.4") && !here("2001:db8::1"));
    }

    #[test]
    fn what_it_cannot_measure_is_said() {
        assert!(refused(read("53/udp")).contains("UDP is not in this version"));
        assert!(refused(read("8000-8010")).contains("write one, such as 127.0.0.1:8000"));
        let socket = read("unix:/run/app.sock").ok().unwrap();
        assert!(refused(reach(&socket, false)).contains("Unix sockets are not in this version"));
    }
}
