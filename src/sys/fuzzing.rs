//! The entry to the netlink parsers for a fuzzer, which takes the place of the kernel. No shipped program contains it.

use super::netlink::{Answer, read_datagram};
use super::{nftables, rtnetlink, sock_diag};

/// Parses any bytes as a datagram from the kernel, and each of its messages as a row of every table that this crate
/// requests.
pub fn netlink(bytes: &[u8]) {
    let mut answer = Answer::default();
    // An error is expected here; only a panic would be a fault.
    let _ = read_datagram(bytes, &mut answer);
    let bodies = answer.messages.iter().map(|message| &message.body[..]);
    for body in bodies.chain([bytes]) {
        rtnetlink::fuzzing::read_any(body);
        sock_diag::read_any(body);
        nftables::read_any(body);
    }
    let _ = nftables::dormant_tables(&answer);
}
