//! Finds the processes that hold a socket: inode → /proc/PID/fd.
//!
//! It finds all holders, not only the first: a master and its workers may share a socket. It searches the processes of
//! the socket's control group first, then those of its user, then the rest; among these the youngest first, because a
//! process that took a port is usually young. The search has a time budget, since a machine can have hundreds of
//! thousands of descriptors (about 5 µs each), and it counts the processes it may not inspect, so that no caller
//! concludes "free" from "not seen".

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Dir, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;
use rustix::net::sockopt::socket_reuseport;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::cgroups;
use super::proc_stat::pids;
use crate::outcome::Holder;
use crate::probe::process;
use crate::probe::read_text;
use crate::probe::sockets::Socket;

/// How long a search may take before it stops and reports that there may be further holders.
const BUDGET: Duration = Duration::from_millis(300);

/// How long it may take once a holder is known and only less likely processes are left.
const ENOUGH: Duration = Duration::from_millis(50);

/// How long to look for candidates if no process was seen to hold the socket.
const GUESSING: Duration = Duration::from_millis(150);

/// From this number of processes on, two threads search.
const WORTH_A_THREAD: usize = 64;

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The descriptors found, at most one per process and socket.
    pub found: Vec<Held>,
    /// How many processes could not be inspected, for lack of rights or of a free descriptor.
    pub closed: usize,
    /// Whether the budget ran out before the search was complete.
    pub cut_short: bool,
    /// Whether /proc hides the processes of other users, so that not even their number is known (proc(5), hidepid).
    pub hidepid: bool,
}

/// A process's descriptor of a socket.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// The socket.
    pub inode: u32,
    /// The descriptor's number.
    pub descriptor: u32,
    /// The process.
    pub holder: Holder,
}

/// Finds every process that holds one of these sockets. No process holds a socket with inode 0.
pub fn of(sockets: &[Socket]) -> Search {
    let inodes: BTreeSet<u32> =
        sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
    let mut search = Search::default();
    if inodes.is_empty() {
        return search;
    }
    let start = Instant::now();
    let mut looked_into = BTreeSet::new();
    for circle in [in_groups(sockets, start + ENOUGH), of_users(sockets), pids()] {
        let budget = if search.found.is_empty() { BUDGET } else { ENOUGH };
        let mut left: Vec<u32> = circle.into_iter().filter(|pid| looked_into.insert(*pid)).collect();
        left.sort_unstable_by_key(|pid| Reverse(*pid));
        search.look_into(&left, &inodes, start + budget);
    }
    search.hidepid = search.found.is_empty() && hidepid();
    search
}

/// Whether a process holds a socket, by one pass over its descriptors.
pub fn holds(pid: u32, inode: u32) -> bool {
    let deadline = Instant::now() + BUDGET;
    descriptors(pid, &BTreeSet::from([inode]), deadline).is_ok_and(|looked| !looked.held.is_empty())
}

/// Whether a socket has SO_REUSEPORT set, which no table reports. It is read from a duplicate of the holder's
/// descriptor, which needs the right to trace the holder (pidfd_getfd(2)). The duplicate is closed at once.
pub fn shares_port(held: &Held) -> Option<bool> {
    let pid = Pid::from_raw(held.holder.pid.try_into().ok()?)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let descriptor = held.descriptor.try_into().ok()?;
    let socket = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()).ok()?;
    // The descriptor's number may have been reused meanwhile.
    let same = fstat(&socket).is_ok_and(|stat| stat.st_ino == u64::from(held.inode));
    if same { socket_reuseport(&socket).ok() } else { None }
}

const MAX_MOUNTS: u64 = 1 << 20;

fn hidepid() -> bool {
    let mounts = read_text("/proc/self/mounts", MAX_MOUNTS).unwrap_or_default();
    let proc = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/proc"));
    proc.is_some_and(|line| {
        line.contains("hidepid=") && !line.contains("hidepid=0") && !line.contains("hidepid=off")
    })
}

/// Like [`of`], for sockets of which only the inode is known.
pub fn of_inodes(inodes: &BTreeSet<u32>) -> Search {
    let mut search = Search::default();
    if !inodes.is_empty() {
        let mut all = pids();
        all.sort_unstable_by_key(|pid| Reverse(*pid));
        search.look_into(&all, inodes, Instant::now() + BUDGET);
    }
    search
}

impl Search {
    /// Two threads halve the time; for a few processes one thread is as fast.
    fn look_into(&mut self, pids: &[u32], inodes: &BTreeSet<u32>, deadline: Instant) {
        let part = |turn: usize, turns: usize| {
            let mut part = Search::default();
            part.look_through(pids.iter().skip(turn).step_by(turns), inodes, deadline);
            part
        };
        if pids.len() < WORTH_A_THREAD {
            return self.add(part(0, 1));
        }
        let (first, second) = thread::scope(|scope| {
            let other = thread::Builder::new().spawn_scoped(scope, || part(1, 2));
            let first = part(0, 2);
            // If no thread can be started, this one does the rest.
            (first, other.map_or_else(|_| part(1, 2), |other| other.join().unwrap_or_default()))
        });
        self.add(first);
        self.add(second);
    }

    fn add(&mut self, other: Search) {
        self.found.extend(other.found);
        self.closed += other.closed;
        self.cut_short |= other.cut_short;
    }

    fn look_through<'a>(
        &mut self,
        pids: impl Iterator<Item = &'a u32>,
        inodes: &BTreeSet<u32>,
        deadline: Instant,
    ) {
        for pid in pids {
            if Instant::now() >= deadline {
                self.cut_short = true;
                return;
            }
            match descriptors(*pid, inodes, deadline) {
                Ok(Looked { held, cut_short, .. }) => {
                    self.cut_short |= cut_short;
                    self.note(*pid, held);
                }
                Err(Errno::ACCESS | Errno::PERM | Errno::MFILE | Errno::NFILE) => self.closed += 1,
                // The process ended meanwhile, so it holds nothing.
                Err(_) => {}
            }
        }
    }

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

/// The processes that match what every user may read of a socket: its user, and its cgroup if that narrows the choice.
/// They are guesses: `Holder::proven` is false.
pub fn candidates(socket: &Socket) -> Vec<Holder> {
    let deadline = Instant::now() + GUESSING;
    let fits =
        |pid: &u32| Instant::now() < deadline && process::effective_user(*pid).ok() == Some(socket.uid);
    let in_group = in_groups(std::slice::from_ref(socket), deadline).into_iter().filter(fits);
    let mut fitting: Vec<u32> = in_group.collect();
    if fitting.is_empty() {
        let of_user: Vec<u32> = pids().into_iter().filter(fits).collect();
        let of_group = |pid: &u32| socket.cgroup.is_some() && cgroups::of(*pid) == socket.cgroup;
        fitting = of_user.iter().copied().filter(of_group).collect();
        if fitting.is_empty() {
            fitting = of_user;
        }
    }
    fitting
        .into_iter()
        .filter_map(|pid| process::identify(pid).ok())
        // A kernel thread has no command line and holds no such socket.
        .filter(|holder| !holder.cmdline.is_empty())
        .take(MAX_CANDIDATES)
        .map(|holder| Holder { proven: false, ..holder })
        .collect()
}

/// The most candidates; a longer list would not help.
const MAX_CANDIDATES: usize = 16;
/// The most groups searched; sockets of more groups do not belong to one service.
const MAX_GROUPS: usize = 4;

/// The processes of the sockets' control groups; none if a group yields nothing.
fn in_groups(sockets: &[Socket], deadline: Instant) -> Vec<u32> {
    let groups: BTreeSet<u64> = sockets.iter().filter_map(|socket| socket.cgroup).collect();
    groups.into_iter().take(MAX_GROUPS).filter_map(|id| cgroups::members(id, deadline)).flatten().collect()
}

/// The processes of the sockets' users, by the owner of /proc/PID, which is root for a process that is not dumpable.
fn of_users(sockets: &[Socket]) -> Vec<u32> {
    let users: BTreeSet<u32> = sockets.iter().map(|socket| socket.uid).collect();
    let owner = |pid: &u32| fs::metadata(format!("/proc/{pid}")).map(|metadata| metadata.uid());
    pids().into_iter().filter(|pid| owner(pid).is_ok_and(|owner| users.contains(&owner))).collect()
}

struct Looked {
    /// (inode, descriptor)
    held: Vec<(u32, u32)>,
    /// How many descriptors were read until all sockets were found.
    count: u32,
    cut_short: bool,
}

/// Searches the descriptors of one process. If its first thread has ended and others run on, that thread has no
/// descriptors any more and the others have all of them.
fn descriptors(pid: u32, inodes: &BTreeSet<u32>, deadline: Instant) -> Result<Looked, Errno> {
    let looked = descriptors_in(&format!("/proc/{pid}/fd"), inodes, deadline)?;
    if looked.count > 0 {
        return Ok(looked);
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    for thread in threads.take(MAX_THREADS) {
        let folder = format!("/proc/{pid}/task/{}/fd", thread.file_name().to_string_lossy());
        match descriptors_in(&folder, inodes, deadline) {
            Ok(found) if found.count > 0 => return Ok(found),
            _ => {}
        }
    }
    Ok(looked)
}

const MAX_THREADS: usize = 64;

/// Calls readlinkat(2) once per descriptor.
fn descriptors_in(folder: &str, inodes: &BTreeSet<u32>, deadline: Instant) -> Result<Looked, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = Dir::new(openat(CWD, folder, flags, Mode::empty())?)?;
    let mut looked = Looked { held: Vec::new(), count: 0, cut_short: false };
    let mut missing = inodes.clone();
    let mut link = Vec::with_capacity(64);
    while let Some(entry) = directory.read() {
        let entry = entry?;
        let Some(descriptor) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        looked.count += 1;
        // A single process can have a million descriptors.
        if looked.count.is_multiple_of(256) && Instant::now() >= deadline {
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
pub(crate) fn socket_inode(link: &[u8]) -> Option<u32> {
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

        assert!(of_users(&rows).contains(&std::process::id()));
        assert!(candidates(&rows[0]).iter().all(|holder| !holder.proven && holder.uid == rows[0].uid));
    }

    #[test]
    fn only_a_socket_link_has_an_inode() {
        assert_eq!(socket_inode(b"socket:[58037]"), Some(58037));
        assert_eq!(socket_inode(b"pipe:[58037]"), None);
        assert_eq!(socket_inode(b"/tmp/socket:[1]"), None);
    }
}
