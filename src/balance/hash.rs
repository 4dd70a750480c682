//! Numbers for names and addresses, the same in every process and every release.

use std::net::IpAddr;

use crate::outcome::Client;

/// A client or a target, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key of any bytes. (FNV-1a; `mix` makes up for its weak upper bits.)
    pub fn of(bytes: &[u8]) -> Key {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Key(mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)))
    }

    /// The key of an address without its port, which differs per connection. An IPv4-mapped IPv6 address counts as the
    /// IPv4 address.
    pub fn of_ip(ip: IpAddr) -> Key {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Key::of(&ip.octets()),
            IpAddr::V6(ip) => Key::of(&ip.octets()),
        }
    }

    /// The key of a client: its address, or the user its process runs as. Those of which neither is known are one client.
    pub fn of_client(client: Client) -> Key {
        match client {
            Client::Net(address) => Key::of_ip(address.ip()),
            Client::Unix { uid, .. } => Key::of(&uid.to_be_bytes()),
            Client::Unknown => Key::of(&[]),
        }
    }

    /// A different number for each pair.
    pub(super) fn with(self, other: Key) -> u64 {
        mix(self.0.wrapping_add(other.0.rotate_left(32)))
    }
}

/// Spreads every bit over all bits: the last step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
/// number generators", 2014).
pub(super) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
