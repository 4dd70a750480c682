//! Network interfaces. Offsets follow include/uapi/linux/if_link.h.

use std::io;

use serde::Serialize;

use super::super::netlink::{Request, ask, attribute, attributes, malformed, text, u32_at, u64_at};
use super::{Rows, protocol, rows};

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name; not yet escaped.
    pub name: String,
    /// Whether it is set up (IFF_UP). The operational state is not used: for `lo` it is "unknown" both up and down.
    pub up: bool,
    /// Whether there is a signal (IFF_LOWER_UP): a cable, the other end of a veth.
    pub carrier: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Packets it received and dropped.
    pub received_dropped: u64,
    /// Packets it should have sent and dropped.
    pub sent_dropped: u64,
    /// `veth`, `bridge`, `tun` …; empty for plain devices.
    pub kind: String,
    /// Whether an XDP program receives its packets first.
    pub xdp: bool,
}

pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const IFINFOMSG: usize = 16;

pub(crate) fn links() -> io::Result<Rows<Link>> {
    rows(&ask(protocol(), &Request::dump(RTM_GETLINK, &[0; IFINFOMSG]))?, read)
}

/// ifinfomsg: family, pad, type, index, flags, change.
pub(super) fn read(body: &[u8]) -> io::Result<Link> {
    const IFLA_IFNAME: u16 = 3;
    const IFLA_MTU: u16 = 4;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_STATS64: u16 = 23;
    const IFLA_XDP: u16 = 43;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_XDP_ATTACHED: u16 = 2;
    let (Some(index), Some(flags), Some(rest)) = (u32_at(body, 4), u32_at(body, 8), body.get(IFINFOMSG..))
    else {
        return Err(malformed("a link cut short"));
    };
    let is = |flag: i32| flags & flag as u32 != 0;
    let mut link = Link {
        index,
        up: is(libc::IFF_UP),
        carrier: is(libc::IFF_LOWER_UP),
        loopback: is(libc::IFF_LOOPBACK),
        ..Link::default()
    };
    for (kind, payload) in attributes(rest) {
        match kind {
            IFLA_IFNAME => link.name = text(payload),
            IFLA_MTU => link.mtu = u32_at(payload, 0).unwrap_or_default(),
            IFLA_LINKINFO => link.kind = attribute(payload, IFLA_INFO_KIND).map(text).unwrap_or_default(),
            // rtnl_link_stats64: its seventh and eighth number.
            IFLA_STATS64 => {
                link.received_dropped = u64_at(payload, 48).unwrap_or_default();
                link.sent_dropped = u64_at(payload, 56).unwrap_or_default();
            }
            IFLA_XDP => {
                link.xdp = attribute(payload, IFLA_XDP_ATTACHED).is_some_and(|mode| mode.first() != Some(&0));
            }
            _ => {}
        }
    }
    Ok(link)
}
