//! The tunnels of a plan: this machine's end, and each other Loopgate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Route, RouteName, Target};
use crate::acl::{IsOwn, Permits, reached};
use crate::address::{ListenAddress, Protocol, TargetAddress, TunnelName};
use crate::proxy_protocol::Senders;
use crate::transport::Congestion;
use crate::transport::proxied::ProxyChoice;
use crate::transport::tunnel::identity::{PrivateKey, PublicKey};
use crate::transport::tunnel::line::FlowsBy;
use crate::transport::tunnel::pairing::Invite;

/// Every tunnel of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tunnels {
    /// Where others may connect, `[tunnel] listen`; none by default.
    pub listen: Vec<ListenAddress>,
    /// The key that those who connect there are shown, `[tunnel] private_key`; `None` if nobody can connect.
    pub private_key: Option<Arc<PrivateKey>>,
    /// Who may name the address of a connecting Loopgate in a PROXY header, `[tunnel] accept_proxy`.
    pub accept_proxy: Senders,
    /// The congestion control of connections that come on loopback.
    pub loopback: Congestion,
    /// What carries datagrams, `[tunnel] datagrams`: QUIC where it passes, or TLS alone.
    pub datagrams: FlowsBy,
    /// Each `[tunnels.NAME]`.
    pub links: BTreeMap<TunnelName, Arc<Tunnel>>,
}

impl Tunnels {
    /// Whether an address is one of those where other Loopgates connect: no tunnel may dial it, whatever it may dial.
    /// `ip` counts in its shortest form; `is_own` says whether an address is one of this machine's.
    pub fn listens_at(&self, to: SocketAddr, is_own: IsOwn<'_>) -> bool {
        let ip = reached(to.ip());
        let is_here = ip.is_loopback() || ip.is_unspecified() || is_own(ip);
        self.listen.iter().any(|listen| match listen {
            ListenAddress::Net(net) => {
                // What is dialled as 0.0.0.0 or :: is loopback.
                net.port == to.port() && is_here && (net.covers(ip) || ip.is_unspecified())
            }
            ListenAddress::Unix(_) | ListenAddress::There(_) => false,
        })
    }
}

/// A link to one other Loopgate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `[tunnels.NAME]`.
    pub name: TunnelName,
    /// Where to connect, one after the other; empty if the other end connects to us.
    pub connect: Vec<TargetAddress>,
    /// Through which proxy that is done.
    pub proxy: ProxyChoice,
    /// Our key towards it.
    pub private_key: Arc<PrivateKey>,
    /// Its key; several while it is being changed, none until it has joined with its invite.
    pub public_keys: Vec<PublicKey>,
    /// With what it may join, while it has no key.
    pub invited: Option<Invited>,
    /// What it may have us listen on.
    pub may_listen: Permits,
    /// What it may have us dial.
    pub may_dial: Permits,
    /// Whether the addresses of visitors that it names count, and what their proxies said.
    pub trust_client: bool,
    /// The most sessions that it may open here.
    pub max_connections: usize,
    /// The most addresses that it may have us listen on.
    pub max_listeners: usize,
    /// The most flows of datagrams that each end may have at one time; beyond them the oldest idle one ends.
    pub max_flows: usize,
    /// How often the control is asked whether it lives. Three questions without an answer are the end.
    pub ping: Duration,
    /// How many idle carriers are kept ready at least.
    pub pool: usize,
    /// The congestion control of its connections, if one was named.
    pub congestion: Congestion,
    /// That of those that stay on loopback, if none was named.
    pub loopback: Congestion,
    /// Routes that it asks for are this one for their protocol, but for name, addresses and target.
    pub templates: Templates,
}

/// An invite, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The invite.
    pub invite: Invite,
    /// Its file.
    pub file: PathBuf,
}

impl Tunnel {
    /// The congestion control of its connections, and that of those that stay on loopback.
    pub fn congestion(&self) -> [&Congestion; 2] {
        [&self.congestion, &self.loopback]
    }
}

/// `[tunnels.NAME.defaults]`, as routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    /// For streams.
    pub tcp: Arc<Route>,
    /// For datagrams.
    pub udp: Arc<Route>,
}

impl Templates {
    /// A route of this protocol that the other end asked for.
    pub fn route(
        &self,
        name: RouteName,
        protocol: Protocol,
        listen: Vec<ListenAddress>,
        target: Target,
    ) -> Route {
        let template = match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
        };
        Route { name, listen, targets: vec![target], ..(**template).clone() }
    }
}

/// The new tunnels, but each that equals an old one is that old one: what its templates hold beside their settings, such
/// as the keys by which TLS sessions are resumed, is kept.
pub fn keep_equal_tunnels(old: &Tunnels, mut new: Tunnels) -> Tunnels {
    let kept = |name: &TunnelName, tunnel: Arc<Tunnel>| match old.links.get(name) {
        Some(old) if *old == tunnel => old.clone(),
        _ => tunnel,
    };
    let links =
        std::mem::take(&mut new.links).into_iter().map(|(name, tunnel)| (name.clone(), kept(&name, tunnel)));
    Tunnels { links: links.collect(), ..new }
}
