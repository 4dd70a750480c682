//! The congestion control of a listening socket over reloads.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::address::Address;
use crate::transport::Congestion;

/// What was set on a listening socket. One that never had a control of its own gives its clients the host's default of the
/// moment; one that had keeps what was set last, and nothing takes that back.
pub(super) struct OwnControl {
    /// The address it is bound to; `None` for a Unix socket.
    ip: Option<IpAddr>,
    is_set: AtomicBool,
}

impl OwnControl {
    /// Of a socket that was bound with this control.
    pub(super) fn new(address: &Address, bound_with: &Congestion) -> OwnControl {
        let ip = if let Address::Net(address) = address { Some(address.ip()) } else { None };
        OwnControl { ip, is_set: AtomicBool::new(ip.is_some_and(|ip| bound_with.concerns(ip))) }
    }

    /// Sets what is wanted now: at each reload, as the host's default may be another one since.
    pub(super) fn follow(&self, socket: impl AsFd, wanted: &Congestion) {
        let Some(ip) = self.ip else { return };
        if wanted.concerns(ip) {
            self.is_set.store(true, Relaxed);
        }
        if self.is_set.load(Relaxed) {
            wanted.set_up_again(socket, ip);
        }
    }
}
