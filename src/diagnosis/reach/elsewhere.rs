//! Searches the system for a service that is not at its address. The judgement happens elsewhere.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::facts::Absent;
use crate::probe::process::{holders, memory};
use crate::probe::sockets::{self, Socket};
use crate::probe::sockets::{namespaces, udp, unix};
use crate::probe::system::services;

/// A port farther away than this is not taken for the intended one.
const NEAR: u16 = 10;
/// At most this many near listeners are kept.
const MAX_NEAR: usize = 8;

/// Searches the places where a service that is missing at its address has been found before. `others` are the listeners
/// on the port at other addresses.
pub(super) fn look(address: SocketAddr, others: &[Socket]) -> Absent {
    let port = address.port();
    let mut absent = Absent { looked: true, ..Absent::default() };
    if others.is_empty() {
        // A socket with a remote end is a client.
        let receives = |receiver: &udp::Receiver| receiver.socket.remote.port() == 0;
        absent.udp = udp::on_port(port).unwrap_or_default().into_iter().filter(receives).collect();
        absent.elsewhere = namespaces::listeners_elsewhere(port);
        absent.unix = unix::listeners_named(port).unwrap_or_default();
        let (all, _) = sockets::listeners().unwrap_or_default();
        absent.near = near(address, all);
        absent.usual = services::name(port, "tcp");
        absent.kills = memory::recent_kills();
    }
    absent.held = holders::of_inodes(&inodes(&absent)).found;
    // A listener of this proxy, or of the instance that runs while doctor examines it, is not the intended service.
    let held = &absent.held;
    absent.near.retain(|near| !held.iter().any(|held| held.inode == near.inode && held.holder.same_program));
    absent
}

fn inodes(absent: &Absent) -> BTreeSet<u32> {
    let udp = absent.udp.iter().map(|receiver| receiver.socket.inode);
    let elsewhere = absent.elsewhere.listeners.iter().map(|(_, socket)| socket.inode);
    let unix = absent.unix.iter().map(|listening| listening.inode);
    let near = absent.near.iter().map(|socket| socket.inode);
    udp.chain(elsewhere).chain(unix).chain(near).filter(|inode| *inode != 0).collect()
}

/// Listeners that a connection to `address` with another port would reach, the likeliest port first.
fn near(address: SocketAddr, all: Vec<Socket>) -> Vec<Socket> {
    let covers = |socket: &Socket| {
        let (local, wanted) = (socket.local.ip().to_canonical(), address.ip().to_canonical());
        local == wanted
            || local.is_unspecified() && local.is_ipv4() == wanted.is_ipv4()
            || local.is_unspecified() && local.is_ipv6() && socket.v6only != Some(true)
            || local.is_loopback() && wanted.is_loopback()
    };
    let mut near: Vec<(u32, Socket)> = all
        .into_iter()
        .filter(covers)
        .filter_map(|socket| Some((distance(address.port(), socket.local.port())?, socket)))
        .collect();
    near.sort_by_key(|(distance, socket)| (*distance, socket.local.port()));
    near.dedup_by_key(|(_, socket)| socket.local.port());
    near.into_iter().take(MAX_NEAR).map(|(_, socket)| socket).collect()
}

/// How likely a user who wrote `wanted` meant `found`, smaller is likelier: the next ports, as a development server
/// takes them, two digits exchanged, one digit too many or too few, 80 for 8080. `None` if unlikely; a well-known port
/// is not taken for a typing error.
fn distance(wanted: u16, found: u16) -> Option<u32> {
    if wanted == found {
        return None;
    }
    let gap = u32::from(wanted.abs_diff(found));
    let (wanted_text, found_text) = (wanted.to_string(), found.to_string());
    if u32::from(found) == u32::from(wanted) + 8000 || u32::from(wanted) == u32::from(found) + 8000 {
        return (wanted.min(found) < 1024).then_some(1);
    }
    if wanted < 1024 || found < 1024 {
        return None;
    }
    if gap <= u32::from(NEAR) {
        return Some(gap);
    }
    let slip = swapped(&wanted_text, &found_text)
        || one_more(&wanted_text, &found_text)
        || one_more(&found_text, &wanted_text);
    slip.then_some(u32::from(NEAR) + 1)
}

/// 62893 and 62983
fn swapped(a: &str, b: &str) -> bool {
    let differing: Vec<usize> =
        (0..a.len().min(b.len())).filter(|at| a.as_bytes()[*at] != b.as_bytes()[*at]).collect();
    let [first, second] = differing[..] else { return false };
    let (a, b) = (a.as_bytes(), b.as_bytes());
    a.len() == b.len() && second == first + 1 && a[first] == b[second] && a[second] == b[first]
}

/// 3000 and 30000
fn one_more(short: &str, long: &str) -> bool {
    long.len() == short.len() + 1
        && (0..long.len()).any(|at| long[..at].to_owned() + &long[at + 1..] == short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_a_typing_error_and_a_known_pair_are_near_and_nothing_else_is() {
        assert_eq!(distance(62893, 62894), Some(1));
        assert_eq!(distance(62893, 62983), Some(11));
        assert_eq!(distance(3000, 30000), Some(11));
        assert_eq!(distance(80, 8080), Some(1));
        assert_eq!(distance(8443, 443), Some(1));
        assert_eq!(distance(25, 22), None);
        assert_eq!(distance(62893, 5432), None);
        assert_eq!(distance(62893, 62893), None);
    }
}
