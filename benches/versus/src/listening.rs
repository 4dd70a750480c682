//! Which ports are listened on, as the kernel tells it.
//!
//! Asked instead of connecting: a trial connection would be forwarded, and a target such as iperf3 takes it for a test.

use loopgate_load::{Fallible, Group};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Where the kernel lists sockets.
#[derive(Clone, Copy)]
pub(crate) enum Tables {
    Tcp,
    Udp,
}

/// Waits until `group` listens on every address, looking once in `every`.
pub(crate) fn wait_for(group: &mut Group, addresses: &[SocketAddr], every: Duration) -> Fallible<()> {
    wait_for_all(group, addresses, Tables::Tcp, every)
}

/// The same, for sockets of either protocol.
pub(crate) fn wait_for_all(
    group: &mut Group,
    addresses: &[SocketAddr],
    tables: Tables,
    every: Duration,
) -> Fallible<()> {
    wait_until(group, every, || {
        let ports = match tables {
            Tables::Tcp => inodes(),
            Tables::Udp => bound(),
        };
        addresses.iter().all(|address| ports.contains_key(&address.port()))
    })
}

/// The same for a Unix socket.
pub(crate) fn wait_for_path(group: &mut Group, path: &Path, every: Duration) -> Fallible<()> {
    wait_until(group, every, || {
        let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
        path.exists() && table.lines().any(|line| is_listened_on(line, path))
    })
}

/// Whether a line of `/proc/net/unix` is of a socket that listens at `path`, or did before it was renamed to that: the
/// kernel keeps the name it was bound with, which for HAProxy's has more at its end.
fn is_listened_on(line: &str, path: &Path) -> bool {
    const ACCEPTS: &str = "00010000";
    let mut fields = line.split_whitespace().skip(3);
    fields.next() == Some(ACCEPTS)
        && fields.nth(3).is_some_and(|listed| listed.starts_with(&*path.to_string_lossy()))
}

fn wait_until(group: &mut Group, every: Duration, listens: impl Fn() -> bool) -> Fallible<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if listens() {
            return Ok(());
        }
        if let Some(status) = group.ended() {
            return Err(format!("ended before it listened: {status}").into());
        }
        if Instant::now() > deadline {
            return Err("does not listen after 10 s".into());
        }
        std::thread::sleep(every);
    }
}

/// Every port listened on, with the inode of (one of) its sockets.
pub(crate) fn inodes() -> BTreeMap<u16, u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| File::open(table).ok())
        .flat_map(listed)
        .collect()
}

/// Every UDP port that is bound, with the inode of (one of) its sockets.
fn bound() -> BTreeMap<u16, u64> {
    let lines = ["/proc/net/udp", "/proc/net/udp6"].into_iter().filter_map(|table| File::open(table).ok());
    let lines = lines.flat_map(|table| BufReader::new(table).lines().skip(1).map_while(Result::ok));
    lines.filter_map(|line| numbers(&line).map(|(port, inode, _)| (port, inode))).collect()
}

/// The kernel lists listening sockets first; the rest, often a hundred thousand in TIME_WAIT, is never read.
fn listed(table: File) -> impl Iterator<Item = (u16, u64)> {
    BufReader::new(table).lines().skip(1).map_while(|line| entry(&line.ok()?))
}

fn entry(line: &str) -> Option<(u16, u64)> {
    let (port, inode, state) = numbers(line)?;
    (state == LISTEN).then_some((port, inode))
}

/// Port, inode and state of a line of any of these tables.
fn numbers(line: &str) -> Option<(u16, u64, &str)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    Some((port, fields.get(9)?.parse().ok()?, fields[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_is_listened_on_when_the_kernel_says_that_it_accepts() {
        let path = Path::new("/tmp/versus-x/listen.sock");
        let listens = "0000000000000000: 00000002 00000000 00010000 0001 01 46893 /tmp/versus-x/listen.sock";
        assert!(is_listened_on(listens, path));
        assert!(is_listened_on(&format!("{listens}.4711.tmp"), path));
        assert!(!is_listened_on(listens, Path::new("/tmp/versus-x/target.sock")));
        assert!(!is_listened_on(&listens.replace("00010000", "00000000"), path));
        assert!(!is_listened_on("Num       RefCount Protocol Flags    Type St Inode Path", path));
    }
}
