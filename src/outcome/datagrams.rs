//! The datagrams of a flow: how many were received and delivered, and why the others were dropped.

/// Why a datagram was not passed on. One bare word in records and log lines; it never changes meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Longer than the path to its destination carries (EMSGSIZE), as an IPv6 client's 65,527 bytes are for IPv4.
    TooBig,
    /// Truncated by the kernel before Loopgate received it: it would not have arrived whole.
    Truncated,
    /// No room in Loopgate's own send buffer (EAGAIN, ENOBUFS).
    NoRoom,
    /// Its client sent more than its share while other clients waited.
    OverShare,
    /// Beyond what `bandwidth` or `bandwidth_per_connection` allowed at that moment.
    OverRate,
    /// An answer beyond what a client with an unproven address may be sent: see `max_amplification`.
    Amplified,
    /// It came from another address than the flow's target.
    Stranger,
    /// Any other error of sendmsg(2).
    Unsent,
    /// A tunnel did not take it, or dropped it on the way: it was too long, or too many waited.
    TunnelFull,
}

impl DropReason {
    /// One of each.
    pub const ALL: [DropReason; 9] = [
        DropReason::TooBig,
        DropReason::Truncated,
        DropReason::NoRoom,
        DropReason::OverShare,
        DropReason::OverRate,
        DropReason::Amplified,
        DropReason::Stranger,
        DropReason::Unsent,
        DropReason::TunnelFull,
    ];

    /// The bare word.
    pub fn code(self) -> &'static str {
        match self {
            DropReason::TooBig => "too_big",
            DropReason::Truncated => "truncated",
            DropReason::NoRoom => "no_room",
            DropReason::OverShare => "over_share",
            DropReason::OverRate => "over_rate",
            DropReason::Amplified => "amplified",
            DropReason::Stranger => "stranger",
            DropReason::Unsent => "unsent",
            DropReason::TunnelFull => "tunnel_full",
        }
    }
}

/// How many datagrams were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// Counts `datagrams` dropped for one reason.
    pub fn add(&mut self, why: DropReason, datagrams: u64) {
        self.0[why as usize] += datagrams;
    }

    /// The number dropped for this reason.
    pub fn count(&self, why: DropReason) -> u64 {
        self.0[why as usize]
    }

    /// The number dropped in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn each(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|why| (why, self.count(why))).filter(|(_, count)| *count > 0)
    }
}

/// The datagrams of one flow. Each datagram received is counted as delivered or dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Client → target, accepted by the target's kernel.
    pub up: u64,
    /// Target → client, accepted by the client's kernel.
    pub down: u64,
    /// The client's datagrams that were dropped.
    pub up_dropped: Drops,
    /// The target's datagrams that were dropped.
    pub down_dropped: Drops,
    /// Datagrams that the target's own receive buffer dropped while the flow lived, including those of other senders.
    pub target_dropped: u64,
}
