//! What the other end of a tunnel may have us listen on or dial: `may_listen` and `may_dial`.
//!
//! Closed by default: what no entry permits is refused. This room looks nothing up: names, answers and this machine's own
//! addresses are arguments.

mod closed;
mod entry;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use crate::address::{Families, Host, ListenAddress, NetListen, Protocol, Run, TargetAddress, is_localhost};
use entry::{What, has};

pub(crate) use closed::reached;
pub use entry::May;

/// The ports that every process may take (ip(7), `ip_unprivileged_port_start`). Where an entry names no ports, only these
/// are chosen from.
const UNPRIVILEGED: u16 = 1024;

/// Whether an address, in its shortest form, is one of this machine's. Loopback need not be.
pub type IsOwn<'f> = &'f dyn Fn(IpAddr) -> bool;

/// A list of addresses, networks and port ranges. Empty, it permits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permits {
    entries: Vec<May>,
}

impl FromIterator<May> for Permits {
    fn from_iter<I: IntoIterator<Item = May>>(entries: I) -> Permits {
        Permits { entries: entries.into_iter().collect() }
    }
}

impl Permits {
    /// Whether it permits nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its entries, as written.
    pub fn entries(&self) -> &[May] {
        &self.entries
    }

    /// Whether the other end may have us listen here, of this protocol. An address is permitted by an entry whose
    /// network has it; every address (0.0.0.0, ::) permits each of its family, and is itself permitted only by that
    /// entry or by the whole network (0.0.0.0/0, ::/0). Port 0 is permitted if any port is (see [`Permits::free_ports`]).
    /// A Unix socket is permitted by its very name, a place in another tunnel never.
    pub fn may_listen(&self, at: &ListenAddress, protocol: Protocol) -> bool {
        match at {
            ListenAddress::Net(net) if net.port == 0 => {
                !self.free_ports(&Run::from(at.clone()), protocol).is_empty()
            }
            ListenAddress::Net(net) => self.opens(net, protocol),
            ListenAddress::Unix(name) => {
                let is_it = |may: &May| matches!(&may.what, What::Unix(own) if own == name);
                protocol == Protocol::Tcp && self.entries.iter().any(is_it)
            }
            ListenAddress::There(_) => false,
        }
    }

    /// The ports among which one is chosen for a listener: those of the range that are permitted there, or for port 0
    /// every permitted one, without those below 1024 that no entry names. Sorted, each once; empty if none is permitted.
    pub fn free_ports(&self, at: &Run<ListenAddress>, protocol: Protocol) -> Vec<u16> {
        let ListenAddress::Net(net) = at.first() else { return Vec::new() };
        let wanted = match net.port {
            0 => 1..=u16::MAX,
            // A run ends with the ports.
            port => port..=port + (at.count() - 1) as u16,
        };
        let of_each: Vec<Vec<bool>> =
            taken_by(net).map(|ip| self.permitted_ports(ip, protocol, net.port == 0)).collect();
        wanted.filter(|port| of_each.iter().all(|ports| ports[usize::from(*port)])).collect()
    }

    /// Of each port, whether an entry permits to listen on it at `ip`; `any` if no port is asked for by its number. It
    /// takes as long as there are entries and ports, however many ports each entry has.
    fn permitted_ports(&self, ip: IpAddr, protocol: Protocol, any: bool) -> Vec<bool> {
        // How many ranges begin and end at each port.
        let mut changes = vec![0_i32; usize::from(u16::MAX) + 2];
        for may in self.of(protocol) {
            let (networks, ports) = may.what.networks();
            if networks.iter().any(|network| covers(network, ip)) {
                let all = if any { UNPRIVILEGED..=u16::MAX } else { 1..=u16::MAX };
                let ports = ports.clone().unwrap_or(all);
                changes[usize::from(*ports.start())] += 1;
                changes[usize::from(*ports.end()) + 1] -= 1;
            }
        }
        let open = changes.into_iter().scan(0, |open, change| {
            *open += change;
            Some(*open > 0)
        });
        open.collect()
    }

    /// Whether entries permit each family that a listener takes.
    fn opens(&self, net: &NetListen, protocol: Protocol) -> bool {
        taken_by(net).all(|ip| {
            self.of(protocol).any(|may| {
                let (networks, ports) = may.what.networks();
                has(ports, net.port) && networks.iter().any(|network| covers(network, ip))
            })
        })
    }

    /// Whether the other end may have us dial this. For a name it says only that it may be looked up: each answer is
    /// judged by [`Permits::may_dial_answer`]. An address is judged by where it leads (an IPv4 address in IPv6 by the IPv4
    /// address); this machine, its link, multicast and the metadata of a virtual machine are reached only by an entry
    /// that lies wholly inside them. A Unix socket is permitted by its very name, a place in another tunnel never.
    pub fn may_dial(&self, to: &TargetAddress, protocol: Protocol, is_own: IsOwn<'_>) -> bool {
        match to {
            TargetAddress::Net(Host::Ip(ip), port) => {
                self.reaches(SocketAddr::new(*ip, *port), protocol, is_own, |_| false)
            }
            TargetAddress::Net(Host::Zoned(ip, _), port) => {
                self.reaches(SocketAddr::new((*ip).into(), *port), protocol, is_own, |_| false)
            }
            TargetAddress::Net(Host::Name(name), port) => {
                self.of(protocol).any(|may| may.permits_look_up(name, *port))
            }
            TargetAddress::Unix(name) => {
                let is_it = |may: &May| matches!(&may.what, What::Unix(own) if own == name);
                protocol == Protocol::Tcp && self.entries.iter().any(is_it)
            }
            TargetAddress::There(_) => false,
        }
    }

    /// Whether an answer of the look-up of a name may be dialled. The very address that was judged must be dialled: a
    /// second look-up may answer otherwise.
    pub fn may_dial_answer(
        &self,
        name: &str,
        answer: SocketAddr,
        protocol: Protocol,
        is_own: IsOwn<'_>,
    ) -> bool {
        let is_named = self.of(protocol).any(|may| may.permits_look_up(name, answer.port()));
        // That a name under localhost means this machine is known before it is looked up (RFC 6761, section 6.3).
        let is_known = |ip: IpAddr| ip.is_loopback() && is_localhost(name);
        is_named && self.reaches(answer, protocol, is_own, |ip| around(ip, is_own).is_empty() || is_known(ip))
    }

    /// Whether an entry reaches an address, or `by_name` does.
    fn reaches(
        &self,
        to: SocketAddr,
        protocol: Protocol,
        is_own: IsOwn<'_>,
        by_name: impl Fn(IpAddr) -> bool,
    ) -> bool {
        let ip = reached(to.ip());
        let closed = around(ip, is_own);
        let is_permitted = self.of(protocol).any(|may| {
            let (networks, ports) = may.what.networks();
            let opens = |network: &IpNet| {
                network.contains(&ip) && closed.iter().all(|closed| closed.contains(network))
            };
            has(ports, to.port()) && networks.iter().any(opens)
        });
        is_permitted || by_name(ip)
    }

    fn of(&self, protocol: Protocol) -> impl Iterator<Item = &May> {
        self.entries.iter().filter(move |may| may.protocol == protocol)
    }

    /// The entries by which a listener may be reached from beyond this machine.
    pub fn beyond_loopback(&self) -> impl Iterator<Item = &May> {
        self.entries
            .iter()
            .filter(|may| may.what.networks().0.iter().any(|network| !network.network().is_loopback()))
    }

    /// The entries that open loopback, or the metadata of a virtual machine, to whoever may dial.
    pub fn into_this_machine(&self) -> impl Iterator<Item = &May> {
        let metadata: IpAddr = Ipv4Addr::new(169, 254, 169, 254).into();
        self.entries.iter().filter(move |may| {
            let opens = |network: &IpNet| {
                let first = network.network();
                first.is_loopback() && closed::around(first).all(|closed| closed.contains(network))
                    || *network == IpNet::from(metadata)
            };
            may.what.networks().0.iter().any(opens)
        })
    }
}

/// The address that a listener takes, and 0.0.0.0 if it takes both families.
fn taken_by(net: &NetListen) -> impl Iterator<Item = IpAddr> {
    let ip = net.ip.to_canonical();
    let of_both = net.families == Families::Both && ip.is_ipv6();
    [Some(ip), of_both.then_some(Ipv4Addr::UNSPECIFIED.into())].into_iter().flatten()
}

/// What only an entry wholly inside it opens: closed networks around the address, and the address itself where it is this
/// machine's own.
fn around(ip: IpAddr, is_own: IsOwn<'_>) -> Vec<IpNet> {
    let own = (!ip.is_loopback() && is_own(ip)).then(|| IpNet::from(ip));
    closed::around(ip).chain(own).collect()
}

/// Whether an entry for this network permits to listen on `ip`.
fn covers(network: &IpNet, ip: IpAddr) -> bool {
    let (first, same_family) = (network.network(), network.network().is_ipv4() == ip.is_ipv4());
    let is_every = first.is_unspecified()
        && (network.prefix_len() == 0 || network.prefix_len() == network.max_prefix_len());
    match ip.is_unspecified() {
        true => is_every && same_family,
        false => network.contains(&ip) || is_every && same_family,
    }
}

#[cfg(test)]
mod tests;
