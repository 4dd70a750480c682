//! The datagrams of a flow: how many came, how many went, and why the others did not.

/// Why a datagram was not passed on. One bare word in records and lines; it never changes meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Longer than the way to its destination carries (EMSGSIZE), as an IPv6 client's 65,527 bytes are for IPv4.
    TooBig,
    /// Cut by the kernel before we had it: it would not have arrived whole.
    Truncated,
    /// No room in our own send buffer (EAGAIN, ENOBUFS).
    NoRoom,
    /// Its client sent more than its share while others waited behind it.
    OverShare,
    /// An answer beyond what a client that has proved nothing may be sent: see `max_amplification`.
    Amplified,
    /// It came from another address than the flow's target.
    Stranger,
    /// Any other error of sendmsg(2).
    Unsent,
}

impl DropReason {
    /// One of each.
    pub const ALL: [DropReason; 7] = [
        DropReason::TooBig,
        DropReason::Truncated,
        DropReason::NoRoom,
        DropReason::OverShare,
        DropReason::Amplified,
        DropReason::Stranger,
        DropReason::Unsent,
    ];

    /// The bare word.
    pub fn code(self) -> &'static str {
        match self {
            DropReason::TooBig => "too_big",
            DropReason::Truncated => "truncated",
            DropReason::NoRoom => "no_room",
            DropReason::OverShare => "over_share",
            DropReason::Amplified => "amplified",
            DropReason::Stranger => "stranger",
            DropReason::Unsent => "unsent",
        }
    }
}

/// How many datagrams were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// Books `datagrams` dropped for one reason.
    pub fn add(&mut self, why: DropReason, datagrams: u64) {
        self.0[why as usize] += datagrams;
    }

    /// How many were dropped for this reason.
    pub fn count(&self, why: DropReason) -> u64 {
        self.0[why as usize]
    }

    /// How many were dropped in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons there were, with their counts.
    pub fn each(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|why| (why, self.count(why))).filter(|(_, count)| *count > 0)
    }
}

/// The datagrams of one flow. What was taken from a side and neither delivered nor dropped does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Client → target, accepted by the target's kernel.
    pub up: u64,
    /// Target → client, accepted by the client's.
    pub down: u64,
    /// Those of the client that were dropped.
    pub up_dropped: Drops,
    /// Those of the target that were dropped.
    pub down_dropped: Drops,
    /// Datagrams that the target's own receive buffer dropped while the flow lived, those of other senders included.
    pub target_dropped: u64,
}
