//! Watches a listener that has just appeared, or may be about to, to see whether it stays.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::facts::Watch;
use crate::probe::process::{self, holders, port_mentions};
use crate::probe::sockets;

/// A process younger than this may be in a crash loop.
pub(super) const YOUNG: Duration = Duration::from_secs(2);
/// The interval between two lookups.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks the listener up repeatedly until it has disappeared once, or `patience` is over.
pub(super) fn watch(address: SocketAddr, patience: Duration) -> Watch {
    let begun = Instant::now();
    let mut seen = Watch::default();
    let mut up = look(address);
    seen.note(up);
    loop {
        sleep(PAUSE);
        let now = look(address);
        match (up, now) {
            (None, Some(_)) => seen.came += 1,
            (Some(_), None) => seen.went += 1,
            (Some(before), Some(now)) if before != now => {
                seen.went += 1;
                seen.came += 1;
            }
            _ => {}
        }
        seen.note(now);
        up = now;
        seen.lasted = begun.elapsed();
        // One disappearance proves the crash loop; a second listener to name makes the proof better.
        if seen.lasted >= patience || seen.went > 0 && seen.inodes.len() > 1 {
            seen.up = up.is_some();
            return seen;
        }
    }
}

impl Watch {
    /// Records a listening socket, and its process.
    fn note(&mut self, inode: Option<u32>) {
        let Some(inode) = inode.filter(|inode| !self.inodes.contains(inode)) else { return };
        self.inodes.push(inode);
        let held = holders::of_inodes(&BTreeSet::from([inode])).found;
        self.holders.extend(held.into_iter().take(1).map(|held| held.holder));
    }
}

fn look(address: SocketAddr) -> Option<u32> {
    sockets::listener(address).ok().flatten().map(|socket| socket.inode)
}

/// Programs that restart a service that has ended.
const SUPERVISORS: [&str; 18] = [
    "systemd",
    "supervisord",
    "runsv",
    "s6-supervise",
    "openrc-run",
    "supervise-daemo",
    "monit",
    "pm2",
    "nodemon",
    "forever",
    "foreman",
    "overmind",
    "honcho",
    "watchexec",
    "entr",
    "air",
    "containerd-shim",
    "conmon",
];

/// Whether a process that started in the last two seconds may be about to listen on `port`: it mentions the port, or
/// one of `SUPERVISORS` started it. Processes of this very command do not count.
pub(super) fn may_come(port: u16) -> bool {
    let Ok(me) = process::identify(std::process::id()) else { return false };
    let ours: BTreeSet<u32> = me.chain.iter().map(|ancestor| ancestor.pid).chain([me.pid]).collect();
    process::young(YOUNG).into_iter().any(|(pid, parent)| {
        // A process that the same shell started next to it, such as the other end of a pipe, belongs to the same
        // command.
        if ours.contains(&pid) || parent == me.parent {
            return false;
        }
        let Ok(young) = process::identify(pid) else { return false };
        let line = young.chain.iter().rev().filter(|ancestor| !ours.contains(&ancestor.pid));
        let line: Vec<_> = line.filter(|ancestor| ancestor.pid > 1).collect();
        let supervised = line
            .iter()
            .skip(1)
            .take(1)
            .any(|parent| SUPERVISORS.iter().any(|name| parent.comm.starts_with(name)));
        supervised || port_mentions::name_number(line.iter().map(|ancestor| ancestor.pid), port)
    })
}
