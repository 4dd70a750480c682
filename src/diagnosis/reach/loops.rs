//! Finds forwards that lead back to themselves, through any processes: 8080 → 8081 → 8080.
//!
//! A process that holds the service's end of a connection to one port and the dialling end of a connection to another
//! is a forward. If following these forwards from a port leads back to it, they form a loop.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Hop;
use crate::probe::process::holders::{self, Held};
use crate::probe::sockets::{self, Socket, TcpState};

/// Longer loops than this are not followed.
const MAX_HOPS: usize = 16;
/// A loop makes connections until something runs out; fewer than this are a program that calls itself.
pub(super) const LEAST_CONNECTIONS: usize = 4;
/// The holders of at most this many sockets are searched.
const MAX_SEARCHED: usize = 1024;

/// The loop through `port`, itself first; empty if there is none or the processes cannot be seen.
pub(super) fn find(port: u16) -> Vec<Hop> {
    let Ok((listeners, _)) = sockets::listeners() else { return Vec::new() };
    let Ok((connections, _)) = sockets::connections() else { return Vec::new() };
    let listening: BTreeSet<u16> = listeners.iter().map(|row| row.local.port()).collect();
    // At most three are our own.
    if connections.iter().filter(|row| row.local.port() == port).count() < LEAST_CONNECTIONS {
        return Vec::new();
    }
    let inner = |row: &&Socket| {
        let (local, remote) = (row.local.port(), row.remote.port());
        row.inode != 0 && (listening.contains(&local) || listening.contains(&remote))
    };
    let rows: Vec<Socket> = connections.iter().filter(inner).take(MAX_SEARCHED).cloned().collect();
    let held = holders::of_inodes(&rows.iter().map(|row| row.inode).collect()).found;
    follow(port, &rows, &listening, &held)
}

/// How many connections the user of `listener`, in its control group, has made to it since `earlier`: the only visible
/// sign of a loop whose processes belong to another user.
pub(super) fn multiplied(listener: Option<&Socket>, earlier: &[Socket]) -> usize {
    let Some(listener) = listener else { return 0 };
    let Ok((clients, _)) = sockets::towards_port(listener.local.port()) else { return 0 };
    let known: BTreeSet<u16> = earlier.iter().map(|row| row.remote.port()).collect();
    let its_own = |row: &&Socket| {
        row.inode != 0
            && row.uid == listener.uid
            && row.cgroup == listener.cgroup
            && !known.contains(&row.local.port())
    };
    clients.iter().filter(its_own).count()
}

/// For each port, the ports that the processes serving it dial.
type Steps = BTreeMap<u16, Vec<Hop>>;

fn follow(port: u16, rows: &[Socket], listening: &BTreeSet<u16>, held: &[Held]) -> Vec<Hop> {
    let steps = steps(rows, listening, held);
    let mut way: Vec<Hop> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = port;
    while way.len() < MAX_HOPS && seen.insert(at) {
        let Some(next) = steps.get(&at) else { break };
        // Prefer a loop of several forwards to a program that calls itself.
        let Some(step) = next
            .iter()
            .find(|step| step.port != at && !seen.contains(&step.port))
            .or_else(|| next.iter().find(|step| step.port == port))
        else {
            break;
        };
        way.push(Hop { port: at, ..step.clone() });
        at = step.port;
        if at == port {
            return way;
        }
    }
    Vec::new()
}

/// The forwards that the sockets show; the `port` of each is the one it dials.
fn steps(rows: &[Socket], listening: &BTreeSet<u16>, held: &[Held]) -> Steps {
    let mut serves: BTreeMap<u32, BTreeSet<u16>> = BTreeMap::new();
    let mut dials: BTreeMap<u32, BTreeSet<u16>> = BTreeMap::new();
    let mut names: BTreeMap<u32, &str> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state != TcpState::Listen) {
        let (local, remote) = (row.local.port(), row.remote.port());
        for held in held.iter().filter(|held| held.inode == row.inode) {
            names.insert(held.holder.pid, &held.holder.comm);
            if listening.contains(&local) {
                serves.entry(held.holder.pid).or_default().insert(local);
            } else {
                dials.entry(held.holder.pid).or_default().insert(remote);
            }
        }
    }
    let mut steps = Steps::new();
    for (pid, served) in &serves {
        let dialled: Vec<u16> = dials.get(pid).into_iter().flatten().copied().collect();
        for from in served {
            let comm = names.get(pid).copied().unwrap_or_default().to_owned();
            let to = dialled.iter().map(|to| Hop { comm: comm.clone(), pid: *pid, port: *to });
            steps.entry(*from).or_default().extend(to);
        }
    }
    steps
}
