//! The way into the netlink readers for a fuzzer, which takes the place of the kernel. No program has it.

use super::netlink::{Answer, read_datagram};
use super::{nftables, rtnetlink, sock_diag};

/// Reads any bytes as a datagram of the kernel's, and each of its messages as a row of every table that is ever asked for.
pub fn netlink(bytes: &[u8]) {
    let mut answer = Answer::default();
    // What is wrong with the bytes is no news: they are to be read without a panic.
    let _ = read_datagram(bytes, &mut answer);
    let bodies = answer.messages.iter().map(|message| &message.body[..]);
    for body in bodies.chain([bytes]) {
        rtnetlink::fuzzing::read_any(body);
        sock_diag::read_any(body);
        nftables::read_any(body);
    }
    let _ = nftables::dormant_tables(&answer);
}
