//! Which sockets of this process's flows send on this machine, and through how many forwards their datagrams have come: a
//! client at such an address is one of our own flows, and too many in a row are a loop.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::diagnosis::Verdict;
use crate::transport::{MAX_HOPS, local_address};

/// The flows that send to this machine, by their own address; at most one entry for each flow.
#[derive(Default)]
pub(crate) struct OwnFlows(Mutex<HashMap<(IpAddr, u16), u8>>);

/// Keeps an entry for as long as its flow lives.
pub(super) struct Entered {
    all: Arc<OwnFlows>,
    at: (IpAddr, u16),
}

impl OwnFlows {
    /// Through how many forwards a flow of this client goes, its own included; `None` if these are too many.
    pub(super) fn hops_with(&self, client: SocketAddr) -> Option<u8> {
        let before = self.all().get(&key(client)).copied().unwrap_or(0);
        before.checked_add(1).filter(|hops| *hops <= MAX_HOPS)
    }

    /// Notes a flow's socket, if its datagrams stay on this machine, or its client came by a tunnel: then the way may lead
    /// over other machines and back by the tunnel, whose other end says where a client comes from.
    pub(super) fn enter(
        self: &Arc<Self>,
        socket: impl AsFd,
        target: SocketAddr,
        hops: u8,
        is_visitor: bool,
    ) -> Option<Entered> {
        let own = local_address(socket).ok()?;
        let stays = own.ip().to_canonical().is_loopback() || own.ip() == target.ip();
        let at = key(own);
        (stays || is_visitor).then(|| {
            self.all().insert(at, hops);
            Entered { all: self.clone(), at }
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(IpAddr, u16), u8>> {
        // A panic cannot leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.all.all().remove(&self.at);
    }
}

fn key(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// The hint of a client that is refused.
pub(super) fn words() -> String {
    let verdict = Verdict::ForwardLoop;
    format!(
        "this target leads back to itself: its datagrams have come through {MAX_HOPS} routes of this process; change the \
         target of one of them [{verdict}]"
    )
}
