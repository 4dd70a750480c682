//! Finds out whether a process has connections to other peers while it serves a client: it may be waiting for one of
//! them.

use std::collections::BTreeSet;
use std::fs;

use super::holders::socket_inode;
use crate::probe::sockets::{self, TcpState};
use crate::sys::sock_diag;

/// A process with this many sockets is assumed to have such connections.
const MAX_SOCKETS: usize = 256;

/// Whether a process has connections other than those that clients made to `port`, over TCP or a Unix socket; `None` if
/// its descriptors may not be read. The socket `ours` does not count.
pub fn elsewhere(pid: u32, port: u16, ours: u32) -> Option<bool> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inodes: BTreeSet<u32> = links
        .filter_map(|link| socket_inode(link.as_os_str().as_encoded_bytes()))
        .take(MAX_SOCKETS)
        .collect();
    let others = || inodes.iter().filter(|inode| **inode != ours);
    if inodes.len() == MAX_SOCKETS {
        return Some(true);
    }
    let (connections, _) = sockets::connections().ok()?;
    let talks = |state: TcpState| matches!(state, TcpState::Established | TcpState::SynSent);
    let over_tcp = connections.iter().any(|row| {
        row.inode != ours && inodes.contains(&row.inode) && row.local.port() != port && talks(row.state)
    });
    // An event loop wakes itself through a pair of sockets, both ends of which it holds.
    let with_another = |inode: &u32| {
        let peer = sock_diag::unix::of_inode(*inode).ok().and_then(|socket| socket.peer);
        peer.is_some_and(|peer| peer != 0 && !inodes.contains(&peer))
    };
    Some(over_tcp || others().any(with_another))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_connection_that_a_process_made_is_seen_and_its_clients_are_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _made = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _accepted = listener.accept().unwrap();
        let _own = UnixStream::pair().unwrap();

        assert_eq!(elsewhere(std::process::id(), port, 0), Some(true));
        assert_eq!(elsewhere(u32::MAX, port, 0), None);
    }
}
