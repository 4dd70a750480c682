//! A client that comes by a tunnel: one flow of the tunnel, whatever the other end says of its address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::context::UdpRouteRuntime;
use super::flow_table::ClientKey;
use super::path::TunnelFlow;
use crate::ledger::Through;
use crate::outcome::Client;
use crate::transport::Visitor as Described;

/// A client of a route that the loop does not know yet.
pub(super) struct Newcomer {
    pub(super) runtime: Arc<UdpRouteRuntime>,
    pub(super) visitor: Box<Visitor>,
}

/// A client behind the other end of a tunnel.
pub(super) struct Visitor {
    pub(super) flow: TunnelFlow,
    pub(super) client: Client,
    pub(super) through: Through,
    pub(super) described: Described,
    /// Where it came in.
    pub(super) gate: u32,
    /// Its flows along the route: several where a flow ends by its client's requests.
    pub(super) flows: usize,
    /// When it ends, while it has no flow.
    pub(super) lonely_until: Option<Instant>,
}

impl Visitor {
    pub(super) fn new(flow: TunnelFlow, client: Client, through: Through, described: Described) -> Visitor {
        Visitor { flow, client, through, described, gate: 0, flows: 0, lonely_until: None }
    }

    pub(super) fn key(&self) -> ClientKey {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let from = if let Client::Net(from) = self.client { from } else { nowhere };
        ClientKey { visitor: self.flow.mark.number, ..ClientKey::new(self.gate, from, None) }
    }
}
