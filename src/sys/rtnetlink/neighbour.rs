//! The neighbours of this machine. Offsets follow include/uapi/linux/neighbour.h.

use std::io;
use std::net::IpAddr;

use serde::Serialize;

use super::super::netlink::{Request, ask, malformed, u16_at};
use super::{RTMSG, family, octets, protocol};

/// The state of a neighbouring address: ndm_state of rtnetlink(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbour {
    /// It answers, or answered a while ago, or has a static entry.
    Known,
    /// The kernel is resolving it and has no answer yet.
    Incomplete,
    /// It did not answer.
    Failed,
    /// It needs no resolution.
    NoArp,
    /// No recent packet needed it.
    Unasked,
}

const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;

/// The state of a neighbour on a link.
pub(crate) fn neighbour(ip: IpAddr, link: u32) -> io::Result<Neighbour> {
    const NDA_DST: u16 = 1;
    let mut fixed = [0; RTMSG];
    fixed[0] = family(ip);
    fixed[4..8].copy_from_slice(&link.to_ne_bytes());
    let answer = match ask(protocol(), &Request::one(RTM_GETNEIGH, &fixed).with(NDA_DST, &octets(ip))) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(Neighbour::Unasked),
        answer => answer?,
    };
    let message = answer.messages.iter().find(|message| message.kind == RTM_NEWNEIGH);
    let state = message.and_then(|message| u16_at(&message.body, 8));
    Ok(neighbour_state(state.ok_or_else(|| malformed("no neighbour in the answer"))?))
}

/// The NUD_ bits of include/uapi/linux/neighbour.h.
fn neighbour_state(bits: u16) -> Neighbour {
    match bits {
        0x01 => Neighbour::Incomplete,
        0x20 => Neighbour::Failed,
        0x40 => Neighbour::NoArp,
        0 => Neighbour::Unasked,
        _ => Neighbour::Known,
    }
}
