//! What is counted of a tunnel over its life. Plain numbers: whoever acts adds to them, and whoever shows them reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Deserialize;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that rises and falls.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// One more.
    pub fn rise(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One less; not below zero.
    pub fn fall(&self) {
        let less = |level: u64| Some(level.saturating_sub(1));
        // It always has a value.
        let _ = self.0.fetch_update(Relaxed, Relaxed, less);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How a dial of the other end went, from the look-up of its name to WELCOME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// It was let in.
    Up,
    /// Its name has no address.
    NoAddress,
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// No way there.
    Unreachable,
    /// The proxy on the way was not reached, or refused.
    Proxy,
    /// The handshake failed: see [`Numbers::handshakes_failed`].
    Handshake,
    /// It answered with BYE.
    Bye,
    /// Anything else.
    Other,
}

/// Why a handshake failed, at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailed {
    /// The other machine's key is not known here.
    UnknownHere,
    /// Our key is not known there.
    UnknownThere,
    /// It has another key than the one that is written here.
    WrongKey,
    /// It is no Loopgate.
    NotLoopgate,
    /// It speaks no version that we speak.
    Version,
    /// It took too long.
    TimedOut,
    /// Anything else.
    Other,
}

/// What carries the datagrams of a tunnel between the two machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowsBy {
    /// The QUIC connection beside the control.
    #[default]
    Quic,
    /// TLS connections.
    Tls,
}

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the other end.
    Sent,
    /// From the other end.
    Received,
}

/// Why a datagram was dropped in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramDropped {
    /// Too many waited, and it was the oldest; or nothing carries its flow now.
    Full,
    /// It is longer than one may be.
    TooBig,
    /// Its flow has ended.
    Ended,
    /// Its flow has not begun, and too many of such flows wait, or it has waited for too long.
    Early,
}

impl FlowsBy {
    /// Every one, in the order of the counts.
    pub const ALL: [FlowsBy; 2] = [FlowsBy::Quic, FlowsBy::Tls];

    /// The word in metrics.
    pub fn code(self) -> &'static str {
        match self {
            FlowsBy::Quic => "quic",
            FlowsBy::Tls => "tls",
        }
    }
}

impl Direction {
    /// Every one, in the order of the counts.
    pub const ALL: [Direction; 2] = [Direction::Sent, Direction::Received];

    /// The word in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Direction::Sent => "sent",
            Direction::Received => "received",
        }
    }
}

impl DatagramDropped {
    /// Every one, in the order of the counts.
    pub const ALL: [DatagramDropped; 4] =
        [DatagramDropped::Full, DatagramDropped::TooBig, DatagramDropped::Ended, DatagramDropped::Early];

    /// The word in metrics.
    pub fn code(self) -> &'static str {
        match self {
            DatagramDropped::Full => "full",
            DatagramDropped::TooBig => "too_big",
            DatagramDropped::Ended => "ended",
            DatagramDropped::Early => "early",
        }
    }
}

impl Dialled {
    /// Every one, in the order of the counts.
    pub const ALL: [Dialled; 9] = [
        Dialled::Up,
        Dialled::NoAddress,
        Dialled::Refused,
        Dialled::TimedOut,
        Dialled::Unreachable,
        Dialled::Proxy,
        Dialled::Handshake,
        Dialled::Bye,
        Dialled::Other,
    ];

    /// The word in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Dialled::Up => "up",
            Dialled::NoAddress => "no_address",
            Dialled::Refused => "refused",
            Dialled::TimedOut => "timed_out",
            Dialled::Unreachable => "unreachable",
            Dialled::Proxy => "proxy",
            Dialled::Handshake => "handshake",
            Dialled::Bye => "bye",
            Dialled::Other => "other",
        }
    }
}

impl HandshakeFailed {
    /// Every one, in the order of the counts.
    pub const ALL: [HandshakeFailed; 7] = [
        HandshakeFailed::UnknownHere,
        HandshakeFailed::UnknownThere,
        HandshakeFailed::WrongKey,
        HandshakeFailed::NotLoopgate,
        HandshakeFailed::Version,
        HandshakeFailed::TimedOut,
        HandshakeFailed::Other,
    ];

    /// The word in metrics.
    pub fn code(self) -> &'static str {
        match self {
            HandshakeFailed::UnknownHere => "unknown_here",
            HandshakeFailed::UnknownThere => "unknown_there",
            HandshakeFailed::WrongKey => "wrong_key",
            HandshakeFailed::NotLoopgate => "not_loopgate",
            HandshakeFailed::Version => "version",
            HandshakeFailed::TimedOut => "timed_out",
            HandshakeFailed::Other => "other",
        }
    }
}

/// The numbers of one tunnel. How many carriers are idle, and how many clients wait, [`super::Line::demand`] says.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Carriers that were asked for.
    pub takes: Count,
    /// Of these, how many had to be waited for.
    pub waits: Count,
    /// Of these, how many were not had in time, or because too many waited.
    pub busy: Count,
    /// Carriers with a session now, whichever end opened it.
    pub carriers_busy: Level,
    /// Carriers that are being opened now.
    pub carriers_opening: Level,
    /// Bytes of ended sessions to the other end, as far as the kernel took them.
    pub sent: Count,
    /// Bytes of ended sessions from the other end.
    pub received: Count,
    /// Flows of datagrams now, whichever end opened them.
    pub flows: Level,
    datagrams: [[Count; FlowsBy::ALL.len()]; Direction::ALL.len()],
    datagrams_dropped: [Count; DatagramDropped::ALL.len()],
    dials: [Count; Dialled::ALL.len()],
    handshakes: Handshakes,
}

/// Handshakes that failed, by the reason.
#[derive(Debug, Default)]
pub struct Handshakes([Count; HandshakeFailed::ALL.len()]);

impl Handshakes {
    /// Those that failed for this reason.
    pub fn failed(&self, why: HandshakeFailed) -> &Count {
        &self.0[why as usize]
    }
}

impl Numbers {
    /// Adds the bytes of a session that has ended.
    pub fn moved(&self, sent: u64, received: u64) {
        self.sent.add(sent);
        self.received.add(received);
    }

    /// The datagrams that went this way, by this.
    pub fn datagrams(&self, direction: Direction, by: FlowsBy) -> &Count {
        &self.datagrams[direction as usize][by as usize]
    }

    /// The datagrams that were dropped here for this reason.
    pub fn datagrams_dropped(&self, why: DatagramDropped) -> &Count {
        &self.datagrams_dropped[why as usize]
    }

    /// The dials, controls and carriers, with this result.
    pub fn dials(&self, result: Dialled) -> &Count {
        &self.dials[result as usize]
    }

    /// The handshakes that this end began and that failed for this reason. Of those that others began, none is of a tunnel
    /// yet: whoever listens counts them.
    pub fn handshakes_failed(&self, why: HandshakeFailed) -> &Count {
        self.handshakes.failed(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_has_its_own_count() {
        let numbers = Numbers::default();

        for (n, result) in Dialled::ALL.into_iter().enumerate() {
            numbers.dials(result).add(n as u64);
        }
        for (n, why) in HandshakeFailed::ALL.into_iter().enumerate() {
            numbers.handshakes_failed(why).add(n as u64);
        }

        assert_eq!(Dialled::ALL.map(|result| numbers.dials(result).get()), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let failed = HandshakeFailed::ALL.map(|why| numbers.handshakes_failed(why).get());
        assert_eq!(failed, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn datagrams_are_counted_by_direction_and_by_what_carries_them() {
        let numbers = Numbers::default();

        for (n, direction) in Direction::ALL.into_iter().enumerate() {
            for (m, by) in FlowsBy::ALL.into_iter().enumerate() {
                numbers.datagrams(direction, by).add((10 * n + m) as u64);
            }
        }
        for (n, why) in DatagramDropped::ALL.into_iter().enumerate() {
            numbers.datagrams_dropped(why).add(n as u64);
        }

        let all = Direction::ALL.map(|it| FlowsBy::ALL.map(|by| numbers.datagrams(it, by).get()));
        assert_eq!(all, [[0, 1], [10, 11]]);
        assert_eq!(DatagramDropped::ALL.map(|why| numbers.datagrams_dropped(why).get()), [0, 1, 2, 3]);
    }

    #[test]
    fn a_level_does_not_fall_below_zero() {
        let level = Level::default();

        level.fall();
        level.rise();

        assert_eq!(level.get(), 1);
    }
}
