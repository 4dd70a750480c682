//! Which processes hold a socket: inode → /proc/PID/fd.
//!
//! All holders are found, not the first: a socket may be shared by a master and its workers. The processes of the
//! socket's user are looked into first, the youngest first, because what took a port is usually young. The search has a
//! budget, since a machine can have hundreds of thousands of descriptors (some 5 µs each), and it counts the processes
//! it was not allowed to look into, so that nobody concludes "free" from "not seen".

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::process;
use super::sockets::Socket;
use crate::outcome::Holder;

/// How long a search may take before it stops and says that there may be others.
pub const BUDGET: Duration = Duration::from_millis(300);

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Every descriptor found, at most one per process and socket.
    pub found: Vec<Held>,
    /// How many processes could not be looked into for want of rights.
    pub closed: usize,
    /// Whether the budget ran out first.
    pub cut_short: bool,
}

/// A socket in the hands of a process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// The socket.
    pub inode: u32,
    /// The descriptor's number.
    pub descriptor: u32,
    /// The process.
    pub holder: Holder,
}

/// Finds every process that holds one of these sockets. A socket with inode 0 is held by none.
pub fn of(sockets: &[Socket]) -> Search {
    let inodes: BTreeSet<u32> =
        sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
    let users: BTreeSet<u32> = sockets.iter().map(|socket| socket.uid).collect();
    let mut search = Search::default();
    if inodes.is_empty() {
        return search;
    }
    let deadline = Instant::now() + BUDGET;
    for pid in in_order(&users) {
        if Instant::now() >= deadline {
            search.cut_short = true;
            break;
        }
        match descriptors(pid, &inodes, deadline) {
            Ok(Looked { held, cut_short }) => {
                search.cut_short |= cut_short;
                search.note(pid, held);
            }
            Err(Errno::ACCESS | Errno::PERM) => search.closed += 1,
            // It ended meanwhile; a process that ended holds nothing.
            Err(_) => {}
        }
    }
    search
}

impl Search {
    fn note(&mut self, pid: u32, held: Vec<(u32, u32)>) {
        if held.is_empty() {
            return;
        }
        let Ok(holder) = process::identify(pid) else { return };
        self.found.extend(held.into_iter().map(|(inode, descriptor)| Held {
            inode,
            descriptor,
            holder: holder.clone(),
        }));
    }
}

/// The processes that fit what everybody may know of a socket: its user, and its cgroup where that tells them apart.
/// They are no proof: `Holder::proven` is false.
pub fn candidates(socket: &Socket) -> Vec<Holder> {
    let of_user: Vec<u32> =
        pids().into_iter().filter(|pid| process::effective_user(*pid).ok() == Some(socket.uid)).collect();
    let of_cgroup: Vec<u32> = of_user
        .iter()
        .copied()
        .filter(|pid| socket.cgroup.is_some() && process::cgroup(*pid) == socket.cgroup)
        .collect();
    let fitting = if of_cgroup.is_empty() { of_user } else { of_cgroup };
    fitting
        .into_iter()
        .filter_map(|pid| process::identify(pid).ok())
        // A kernel thread has no command line and no socket of ours.
        .filter(|holder| !holder.cmdline.is_empty())
        .take(MAX_CANDIDATES)
        .map(|holder| Holder { proven: false, ..holder })
        .collect()
}

/// More than this fit so badly that naming them helps nobody.
const MAX_CANDIDATES: usize = 16;

/// Every process id, those of the wanted users first, the youngest first.
fn in_order(users: &BTreeSet<u32>) -> Vec<u32> {
    let mut order: Vec<(bool, u32)> = pids()
        .into_iter()
        .map(|pid| {
            let owner = fs::metadata(format!("/proc/{pid}")).map(|metadata| metadata.uid());
            (owner.is_ok_and(|owner| users.contains(&owner)), pid)
        })
        .collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    order.into_iter().map(|(_, pid)| pid).collect()
}

fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

struct Looked {
    /// (inode, descriptor)
    held: Vec<(u32, u32)>,
    cut_short: bool,
}

/// Looks through the descriptors of one process, one readlinkat(2) each.
fn descriptors(pid: u32, inodes: &BTreeSet<u32>, deadline: Instant) -> Result<Looked, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = Dir::new(openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?)?;
    let mut looked = Looked { held: Vec::new(), cut_short: false };
    let mut missing = inodes.clone();
    let mut link = Vec::with_capacity(64);
    let mut count = 0u32;
    while let Some(entry) = directory.read() {
        let entry = entry?;
        let Some(descriptor) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        count += 1;
        // One process alone can have a million descriptors.
        if count.is_multiple_of(256) && Instant::now() >= deadline {
            looked.cut_short = true;
            break;
        }
        let Ok(target) = readlinkat(directory.fd()?, entry.file_name(), link) else {
            link = Vec::with_capacity(64);
            continue;
        };
        if let Some(inode) = socket_inode(target.as_bytes())
            && missing.remove(&inode)
        {
            looked.held.push((inode, descriptor));
        }
        if missing.is_empty() {
            break;
        }
        link = target.into_bytes();
    }
    Ok(looked)
}

/// `socket:[58037]`
fn socket_inode(link: &[u8]) -> Option<u32> {
    std::str::from_utf8(link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::probe::sockets;

    #[test]
    fn the_holder_of_our_own_listener_is_this_process_with_the_right_descriptor() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let rows = sockets::on_port(listener.local_addr().unwrap().port()).rows;

        let search = of(&rows);

        let me = search.found.iter().find(|held| held.holder.this_process).unwrap();
        assert_eq!(me.descriptor, listener.as_raw_fd() as u32);
    }

    #[test]
    fn a_socket_without_an_owner_is_not_searched_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut rows = sockets::on_port(listener.local_addr().unwrap().port()).rows;
        rows[0].inode = 0;

        assert!(of(&rows).found.is_empty());
    }

    #[test]
    fn this_process_fits_its_own_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let rows = sockets::on_port(listener.local_addr().unwrap().port()).rows;

        let order = in_order(&BTreeSet::from([rows[0].uid]));

        assert!(order.contains(&std::process::id()));
        assert!(candidates(&rows[0]).iter().all(|holder| !holder.proven && holder.uid == rows[0].uid));
    }

    #[test]
    fn only_a_socket_link_has_an_inode() {
        assert_eq!(socket_inode(b"socket:[58037]"), Some(58037));
        assert_eq!(socket_inode(b"pipe:[58037]"), None);
        assert_eq!(socket_inode(b"/tmp/socket:[1]"), None);
    }
}
