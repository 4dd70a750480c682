//! Whether a target may lead to a Loopgate, this one or another on this machine, and whether it leads back.
//!
//! Loops within one configuration are refused before it runs (`plan/loops.rs`). What is left arises while running: a name
//! that means this machine, two instances that lead to each other, a reload of the other one. So a dial to a Loopgate of
//! this machine bears the number of forwards that its connection has come through (`transport/hops.rs`), and one that
//! would be too many is refused. The number is told and asked for only where the target may be a Loopgate: the data path
//! to any other has an atomic read, and once a second a look at whether its listener is still the same socket.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::probe::{process, sockets};
use crate::transport::{MAX_HOPS, Stream};

/// How long it counts that a listener is another program's, or an address this machine's, until it is looked at again.
const FRESH: Duration = Duration::from_secs(1);

/// The most listeners of one target that are remembered.
const MAX_LISTENERS: usize = 16;

/// What is known about where a target leads.
#[derive(Default)]
pub(crate) struct Leads {
    /// Whether its listeners are known to be another program's. Of a network address that is assumed only once it was
    /// seen; of a Unix socket until its other end is known to be a Loopgate.
    is_others: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Its listeners, if they are another program's, by inode.
    others: Vec<u32>,
    /// When these, or the other end of a Unix socket, were last looked at.
    looked: Option<Instant>,
    /// An address beyond loopback, whether it is this machine's, and when that was looked at.
    here: Option<(IpAddr, bool, Instant)>,
    /// Whether a Unix socket's other end is a Loopgate.
    is_ours: bool,
}

/// A connection has come through too many forwards of this machine.
pub(super) struct LeadsBack;

impl Leads {
    /// The mark of a dial to these addresses for a client that `came_through` so many forwards: `None` if none of them can
    /// be a Loopgate's.
    ///
    /// # Errors
    /// The target leads back to this machine's forwards again and again.
    pub(super) fn mark(
        &self,
        addresses: &[Address],
        came_through: impl FnOnce() -> u8,
        now: Instant,
    ) -> Result<Option<u8>, LeadsBack> {
        if !addresses.iter().any(|address| self.may_be_ours(address, now)) {
            return Ok(None);
        }
        let hops = came_through().saturating_add(1);
        // Nothing is remembered of it: a client can forge the mark, and shuts out itself alone.
        if hops <= MAX_HOPS { Ok(Some(hops)) } else { Err(LeadsBack) }
    }

    fn may_be_ours(&self, address: &Address, now: Instant) -> bool {
        match address {
            Address::Net(address) => self.is_here(address.ip(), now) && !self.is_others(*address, now),
            Address::Unix(_) => self.known().is_ours,
            Address::Named(_) => false,
        }
    }

    /// Whether the listener of this address is known to be another program's still.
    fn is_others(&self, address: SocketAddr, now: Instant) -> bool {
        if !self.is_others.load(Relaxed) {
            return false;
        }
        let mut known = self.known();
        if known.looked.is_some_and(|looked| now.saturating_duration_since(looked) < FRESH) {
            return true;
        }
        known.looked = Some(now);
        let is_same = match sockets::listener(address) {
            Ok(found) => found.is_none_or(|found| known.others.contains(&found.inode)),
            Err(_) => false,
        };
        self.is_others.store(is_same, Relaxed);
        is_same
    }

    /// Notes the program that holds its listeners, each by its inode.
    pub(super) fn led_to(&self, is_loopgate: bool, inodes: impl Iterator<Item = u32>) {
        let mut known = self.known();
        known.others = inodes.take(MAX_LISTENERS).collect();
        known.looked = None;
        self.is_others.store(!is_loopgate && !known.others.is_empty(), Relaxed);
    }

    /// Looks at the other end of a Unix socket that was dialled, once a second.
    pub(super) fn look_at_peer(&self, stream: &Stream, now: Instant) {
        let Stream::Unix(socket) = stream else { return };
        let mut known = self.known();
        if known.looked.is_some_and(|looked| now.saturating_duration_since(looked) < FRESH) {
            return;
        }
        known.looked = Some(now);
        let peer = socket.peer_cred().ok().and_then(|peer| u32::try_from(peer.pid()?).ok());
        known.is_ours = peer.is_some_and(process::is_loopgate);
    }

    /// Whether an address is this machine's: only to such a one can be bound.
    fn is_here(&self, ip: IpAddr, now: Instant) -> bool {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            return true;
        }
        let mut known = self.known();
        if let Some((of, is_here, looked)) = known.here
            && of == ip
            && now.saturating_duration_since(looked) < FRESH
        {
            return is_here;
        }
        let is_here = UdpSocket::bind((ip, 0)).is_ok();
        known.here = Some((ip, is_here, now));
        is_here
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic cannot leave it half-changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
