//! Listeners in other network namespaces, as in a container whose port is not published.
//!
//! Without any right: the file /proc/PID/net/tcp has one inode per network namespace, and everybody may read it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use super::holders;
use super::sockets::{self, Socket};

/// What was found in other namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// A process of the namespace, and a listener on the port there.
    pub listeners: Vec<(u32, Socket)>,
    /// How many other namespaces were looked into.
    pub looked: usize,
    /// Whether there were more than that.
    pub truncated: bool,
}

/// A machine full of containers has hundreds; each costs a few file reads.
const MAX_NAMESPACES: usize = 128;

/// Every TCP listener on `port` in a network namespace other than this process's.
pub fn listeners_elsewhere(port: u16) -> Elsewhere {
    let mut found = Elsewhere::default();
    let others = others();
    found.truncated = others.len() > MAX_NAMESPACES;
    for pid in others.into_values().take(MAX_NAMESPACES) {
        found.looked += 1;
        found.listeners.extend(sockets::listeners_beside(pid, port).into_iter().map(|socket| (pid, socket)));
    }
    found
}

/// One process of each other network namespace, by the namespace's number.
pub fn others() -> BTreeMap<u64, u32> {
    let namespace = |pid: &str| fs::metadata(format!("/proc/{pid}/net/tcp")).map(|file| file.ino()).ok();
    let Some(ours) = namespace("self") else { return BTreeMap::new() };
    let mut others = BTreeMap::new();
    for pid in holders::pids() {
        if let Some(theirs) = namespace(&pid.to_string()).filter(|theirs| *theirs != ours) {
            others.entry(theirs).or_insert(pid);
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_listener_is_not_elsewhere() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();

        let found = listeners_elsewhere(port);

        let ours = sockets::on_port(port).rows[0].inode;
        assert!(found.listeners.iter().all(|(_, socket)| socket.inode != ours));
    }
}
