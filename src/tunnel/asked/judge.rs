//! What a plan permits of what the other end wants.

use std::net::IpAddr;

use super::spots::{Rules, Spots};
use crate::address::ListenAddress;
use crate::probe::network::routing;
use crate::transport::tunnel::message::{RouteIs, WantedRoute};
use crate::tunnel::link::{Link, Terms};

/// Judges routes by what the plan permits.
pub(super) fn judge(spots: &mut Spots, terms: &Terms, wanted: &[WantedRoute]) {
    let tunnel = &terms.tunnel;
    let permits = |address: &ListenAddress, protocol| {
        tunnel.may_listen.may_listen(address, protocol) && !terms.is_own_listener(address)
    };
    let rules = Rules {
        permits: &permits,
        ports: &|run, protocol| tunnel.may_listen.free_ports(run, protocol),
        most: tunnel.max_listeners,
        seed: &|what| tunnel.private_key.choice(&format!("{} {what}", tunnel.name)),
    };
    spots.ask(wanted, &rules);
}

/// What would become of these routes, as far as that is known without a try: what they would be permitted, and what has become
/// of those that are asked for already.
pub(crate) fn would_be(link: &Link, wanted: &[WantedRoute]) -> Vec<RouteIs> {
    let mut spots = Spots::default();
    judge(&mut spots, &link.terms(), wanted);
    let known = link.asked.fates.borrow().clone();
    let is = |it: RouteIs| {
        let same = known.iter().find(|known| (&known.name, &known.asked) == (&it.name, &it.asked));
        same.cloned().unwrap_or(it)
    };
    spots.fates().into_iter().map(is).collect()
}

/// The addresses of this machine.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    // Where the kernel does not say, only loopback is known to be this machine's.
    routing::addresses().unwrap_or_default().into_iter().map(|address| address.ip).collect()
}
