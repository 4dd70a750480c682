//! How many bytes of a session are in the bytes on the wire that carry them.

/// The number of writes whose sizes are remembered one by one.
const EXACT: usize = 8;

/// Bytes on the wire after which the counts of the older ones are halved: more than a socket holds.
const REMEMBERED: u64 = 64 << 20;

/// What was written to a socket, or is kept for it.
#[derive(Default)]
pub(super) struct Carried {
    /// The last writes, the newest before `next`.
    last: [Write; EXACT],
    next: usize,
    /// Those before them, in sum. Halved now and then, so that the sum is one of writes not long ago.
    older: Write,
    /// Bytes on the wire behind the last plain ones.
    tail: u64,
}

/// Plain bytes, and those on the wire that carry them.
#[derive(Clone, Copy, Default)]
struct Write {
    plain: u64,
    wire: u64,
}

impl Write {
    /// The plain bytes that correspond to the last `wire` bytes.
    fn share(self, wire: u64) -> u64 {
        let share = u128::from(self.plain) * u128::from(wire) / u128::from(self.wire.max(1));
        share.try_into().unwrap_or(u64::MAX)
    }
}

impl Carried {
    /// Adds bytes on the wire that carry so many plain ones.
    pub(super) fn add(&mut self, plain: usize, wire: usize) {
        if plain == 0 {
            self.tail += wire as u64;
            return;
        }
        // What lies between two writes counts with the second.
        let wire = wire as u64 + std::mem::take(&mut self.tail);
        let oldest = std::mem::replace(&mut self.last[self.next], Write { plain: plain as u64, wire });
        self.next = (self.next + 1) % EXACT;
        self.older.plain += oldest.plain;
        self.older.wire += oldest.wire;
        if self.older.wire > REMEMBERED {
            self.older.plain /= 2;
            self.older.wire /= 2;
        }
    }

    /// The plain bytes in the last `wire` bytes that a socket was given, before `kept` that it has not taken.
    pub(super) fn plain_of(&self, wire: u64, kept: u64) -> u32 {
        let plain = self.plain_in(wire + kept).saturating_sub(self.plain_in(kept));
        plain.try_into().unwrap_or(u32::MAX)
    }

    /// The plain bytes in the last `wire` bytes of all.
    fn plain_in(&self, wire: u64) -> u64 {
        let (mut left, mut plain) = (wire.saturating_sub(self.tail), 0);
        for back in 1..=EXACT {
            let write = self.last[(self.next + EXACT - back) % EXACT];
            if left < write.wire {
                return plain + write.share(left);
            }
            left -= write.wire;
            plain += write.plain;
        }
        plain + self.older.share(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_notify_behind_the_last_bytes_is_no_byte_of_the_session() {
        let mut sent = Carried::default();
        sent.add(4, 26);
        sent.add(187, 209);
        sent.add(0, 24);

        for (unsent, lost) in [(0, 0), (24, 0), (24 + 209, 187), (24 + 209 + 26, 191)] {
            assert_eq!(sent.plain_of(unsent, 0), lost, "{unsent}");
        }
        // As the socket has not taken it yet, what the socket holds is the session's.
        assert_eq!(sent.plain_of(209, 24), 187);
    }

    #[test]
    fn what_was_sent_long_ago_does_not_say_what_is_lost_now() {
        let mut sent = Carried::default();
        for _ in 0..1000 {
            sent.add(16_384, 16_406);
        }
        for _ in 0..1_000_000 {
            sent.add(1, 23);
        }

        assert_eq!(sent.plain_of(23 * EXACT as u64, 0), EXACT as u32);
        for _ in 0..20_000_000 {
            sent.add(1, 23);
        }
        assert!((99..120).contains(&sent.plain_of(2300, 0)), "{}", sent.plain_of(2300, 0));
    }
}
