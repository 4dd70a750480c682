//! A flow's slot in the table: its client, its number, and its neighbours in the lists.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::sys::datagrams::Asked;

/// The client of a flow. The same client on two listeners, or on two addresses of one, has two flows: each answer
/// leaves from the address the client sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientKey {
    pub(crate) listener: u32,
    pub(crate) from: SocketAddr,
    /// `None` where the listener has one address only.
    pub(crate) asked: Option<Asked>,
    /// The number of the tunnel's flow by which it came; 0 for a client of a socket. What a tunnel says of two clients may
    /// be the same.
    pub(crate) visitor: u32,
}

impl ClientKey {
    /// A client that sends to a socket.
    pub(crate) fn new(listener: u32, from: SocketAddr, asked: Option<Asked>) -> ClientKey {
        ClientKey { listener, from, asked, visitor: 0 }
    }

    /// Whether it came by a tunnel.
    pub(crate) fn is_visitor(&self) -> bool {
        self.visitor != 0
    }
}

/// One of these is hashed for each datagram: a word or two at once cost less than one field after the other. The hash
/// stays a keyed one, as a client may choose its address.
impl Hash for ClientKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let numbers = u128::from(self.visitor) << 96 | u128::from(self.listener) << 64;
        let place = numbers | u128::from(self.from.port()) << 32;
        match self.from.ip() {
            IpAddr::V4(ip) => state.write_u128(place | u128::from(ip.to_bits())),
            IpAddr::V6(ip) => {
                state.write_u128(place);
                state.write_u128(ip.to_bits());
            }
        }
        self.asked.hash(state);
    }
}

/// The number of a flow while it lives; it is reused later.
pub(crate) type FlowId = u32;

/// The number of a group: the flows of one route.
pub(crate) type GroupId = usize;

/// No flow has this number: so large a table would not fit into memory.
pub(super) const NONE: FlowId = FlowId::MAX;

/// A flow's neighbours in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) older: FlowId,
    pub(super) newer: FlowId,
}

impl Default for Link {
    fn default() -> Self {
        Link { older: NONE, newer: NONE }
    }
}

/// One flow in the table, and its position in the lists.
#[derive(Debug)]
pub(super) struct Slot<T> {
    pub(super) client: ClientKey,
    pub(super) group: GroupId,
    pub(super) born: Instant,
    pub(super) last: Instant,
    pub(super) in_all: Link,
    pub(super) in_group: Link,
    pub(super) by_birth: Link,
    pub(super) flow: T,
}
