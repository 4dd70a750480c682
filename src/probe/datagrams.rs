//! The UDP socket a datagram would meet, asked without sending one.

use std::io;
use std::net::SocketAddr;

use crate::sys::udp_diag;

/// A UDP socket that receives, as the kernel shows it to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The inode behind `/proc/PID/fd/N -> socket:[inode]`: its identity.
    pub inode: u32,
    /// The user who made it.
    pub uid: u32,
    /// Memory that its unread datagrams take, in bytes by the kernel's accounting.
    pub used: u32,
    /// How much they may take.
    pub most: u32,
    /// Datagrams dropped since it was made, because there was no room.
    pub dropped: u32,
}

/// The socket that a datagram for `address` would meet, wildcards included; `None` where there is none.
///
/// # Errors
/// Where the kernel cannot be asked: no udp_diag, or a sandbox.
pub fn receiver(address: SocketAddr) -> io::Result<Option<Receiver>> {
    let found = udp_diag::receiver(address)?;
    Ok(found.map(|it| {
        let udp_diag::Receiver { inode, uid, used, most, dropped } = it;
        Receiver { inode, uid, used, most, dropped }
    }))
}
