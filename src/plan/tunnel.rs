//! The tunnels of a plan: this machine's end, and each other Loopgate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Route, RouteName, Target};
use crate::acl::Permits;
use crate::address::{ListenAddress, Protocol, TargetAddress, TunnelName};
use crate::transport::Congestion;
use crate::transport::tunnel::identity::{PrivateKey, PublicKey};

/// Every tunnel of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tunnels {
    /// Where others may connect, `[tunnel] listen`; none by default.
    pub listen: Vec<ListenAddress>,
    /// Each `[tunnels.NAME]`.
    pub links: BTreeMap<TunnelName, Arc<Tunnel>>,
}

/// A link to one other Loopgate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `[tunnels.NAME]`.
    pub name: TunnelName,
    /// Where to connect, one after the other; empty if the other end connects to us.
    pub connect: Vec<TargetAddress>,
    /// Our key towards it.
    pub private_key: Arc<PrivateKey>,
    /// Its key; several while it is being changed.
    pub public_keys: Vec<PublicKey>,
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
    /// How often the control is asked whether it lives. Three questions without an answer are the end.
    pub ping: Duration,
    /// How many idle carriers are kept ready at least.
    pub pool: usize,
    /// The congestion control of its connections.
    pub congestion: Congestion,
    /// Routes that it asks for are this one for their protocol, but for name, addresses and target.
    pub templates: Templates,
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
