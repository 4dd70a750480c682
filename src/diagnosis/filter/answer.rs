//! What the sender sees of a rejection: a reset, or the errno that an ICMP message becomes. Pure.

use crate::probe::firewall::RejectKind;

/// The answer to a rejected packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A TCP reset.
    Reset,
    /// An ICMP or ICMPv6 message that becomes this errno; 0 means unknown.
    Icmp(i32),
}

impl Answer {
    /// The answer of an nf_tables rule. Its codes for both families (NFT_REJECT_ICMPX_) are 0 no route, 1 port, 2 host,
    /// 3 prohibited.
    pub(super) fn of_nftables(kind: RejectKind, code: u8, ipv4: bool) -> Answer {
        match (kind, code) {
            (RejectKind::Reset, _) => Answer::Reset,
            (RejectKind::IcmpAny, 0) => Answer::Icmp(libc::ENETUNREACH),
            (RejectKind::IcmpAny, 1) => Answer::Icmp(libc::ECONNREFUSED),
            (RejectKind::IcmpAny, 3) if !ipv4 => Answer::Icmp(libc::EACCES),
            (RejectKind::IcmpAny, _) => Answer::Icmp(libc::EHOSTUNREACH),
            (RejectKind::Icmp, code) => Answer::Icmp(icmp_errno(code, ipv4)),
        }
    }

    /// The answer of an iptables rule: enum ipt_reject_with and ip6t_reject_with.
    pub(super) fn of_iptables(with: u32, ipv4: bool) -> Answer {
        let (reset, codes) =
            if ipv4 { (7, [0, 1, 2, 3, 255, 9, 10, 255, 13]) } else { (6, [0, 1, 2, 3, 4, 255, 255, 5, 6]) };
        if with == reset {
            return Answer::Reset;
        }
        Answer::Icmp(codes.get(with as usize).map_or(0, |code| icmp_errno(*code, ipv4)))
    }
}

/// The errno of an unreachable message: icmp_err_convert in net/ipv4/icmp.c, tab_unreach in net/ipv6/icmp.c.
fn icmp_errno(code: u8, ipv4: bool) -> i32 {
    match (ipv4, code) {
        (true, 0 | 6 | 9 | 11) => libc::ENETUNREACH,
        (true, 1 | 7 | 8 | 10 | 12 | 13) => libc::EHOSTUNREACH,
        (true, 2) => libc::ENOPROTOOPT,
        (true, 3) => libc::ECONNREFUSED,
        (false, 0) => libc::ENETUNREACH,
        (false, 1 | 5 | 6) => libc::EACCES,
        (false, 2 | 3) => libc::EHOSTUNREACH,
        (false, 4) => libc::ECONNREFUSED,
        _ => 0,
    }
}
