//! Listeners in other network namespaces, such as a container whose port is not published.
//!
//! This needs no privilege: the file /proc/PID/net/tcp has one inode per network namespace, and every user may read it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;

use super::Socket;
use crate::probe::network::Network;
use crate::probe::network::counters;
use crate::probe::process::pids;
use crate::probe::read_text;
use crate::probe::sockets;
use crate::units::shown;

/// The listeners found in other namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// A process of the namespace, and a listener on the port in that namespace.
    pub listeners: Vec<(u32, Socket)>,
    /// The number of other namespaces searched.
    pub looked: usize,
    /// Whether there were more namespaces.
    pub truncated: bool,
}

/// The most namespaces searched. A machine full of containers has hundreds; each costs a few file reads.
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
    for pid in pids() {
        if let Some(theirs) = namespace(&pid.to_string()).filter(|theirs| *theirs != ours) {
            others.entry(theirs).or_insert(pid);
        }
    }
    others
}

/// Another network namespace of this machine that has an address: a container's host, or a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// A process that lives there.
    pub pid: u32,
    /// The interface whose network contains the address, if known.
    pub interface: Option<String>,
    /// The listeners there on the port in question.
    pub listeners: Vec<Socket>,
    /// Packets dropped there because they arrived from outside for a loopback address.
    pub martians: u64,
}

/// The other namespace that has `address`.
pub fn beyond(address: SocketAddr) -> Option<Beyond> {
    let ip = address.ip().to_canonical();
    let pid = others()
        .into_values()
        .take(MAX_NAMESPACES)
        .find(|pid| Network::beside(*pid).has(ip) == Some(true))?;
    let table = read_text(format!("/proc/{pid}/net/route"), MAX_FILE).unwrap_or_default();
    Some(Beyond {
        pid,
        interface: interface_to(&table, ip),
        listeners: sockets::listeners_beside(pid, address.port()),
        martians: martians(pid),
    })
}

/// Reads [`Beyond::martians`] again.
pub fn martians(pid: u32) -> u64 {
    read_text(format!("/proc/{pid}/net/stat/rt_cache"), MAX_FILE)
        .map_or(0, |table| counters::column(&table, "in_martian_dst"))
}

const MAX_FILE: u64 = 1 << 20;

/// `h0 0003C80A 00000000 0001 0 0 0 00FFFFFF …`: interface, network, gateway, flags, …, mask, all in hexadecimal.
fn interface_to(table: &str, ip: IpAddr) -> Option<String> {
    let IpAddr::V4(ip) = ip else { return None };
    let wanted = u32::from_ne_bytes(ip.octets());
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let (network, mask) = (number(1)?, number(7)?);
        (mask != 0 && wanted & mask == network).then(|| shown(fields[0], 16))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_of_a_network_is_found_in_the_table_of_routes() {
        let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                     eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n\
                     h0 0003C80A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        let ip = |text: &str| text.parse().unwrap();

        // The table is in the machine's byte order, and this one was read on a little-endian machine.
        if cfg!(target_endian = "little") {
            assert_eq!(interface_to(table, ip("10.200.3.1")).as_deref(), Some("h0"));
        }
        assert_eq!(interface_to(table, ip("192.0.2.1")), None);
        assert_eq!(interface_to("", ip("::1")), None);
    }

    #[test]
    fn our_own_listener_is_not_elsewhere() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();

        let found = listeners_elsewhere(port);

        let ours = sockets::on_port(port).rows[0].inode;
        assert!(found.listeners.iter().all(|(_, socket)| socket.inode != ours));
    }
}
