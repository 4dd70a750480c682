//! What a start needs of the descriptors, and so how many sessions they leave room for: one computation for `run`, which
//! carries them, and for `doctor` and `explain`, which foretell them.

use super::{Budget, Wanted, budget};

/// Descriptors of the program's main runtime (its poller twice, its wake-up, its end of the signal pipe) and of the signal
/// pipe.
pub const OF_PROGRAM: usize = 6;

/// Descriptors opened after the count: a reload's file and what its check of /proc opens, a query of the kernel.
const LATER: usize = 5;

/// Per worker's runtime: its poller twice, its wake-up, its end of the signals.
const PER_WORKER: usize = 4;

/// Per worker's loop for datagrams, if a route carries UDP: its poller and its wake-up.
const PER_LOOP: usize = 2;

/// What an engine consists of, as far as it takes descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Listening addresses over all routes.
    pub listeners: usize,
    /// Worker threads.
    pub workers: usize,
    /// Whether a route carries UDP.
    pub udp: bool,
}

impl Needs {
    /// The descriptors of an engine without a session.
    pub fn of_engine(self) -> usize {
        let per_loop = if self.udp { PER_LOOP } else { 0 };
        self.listeners + (PER_WORKER + per_loop) * self.workers
    }

    /// The fewest with which it carries one session.
    pub fn least(self) -> usize {
        self.of_engine() + 2
    }

    /// The budget of an engine that is about to start, where `used` of `limit` descriptors are open already.
    pub fn budget(self, limit: usize, used: usize, wanted: Wanted) -> Budget {
        budget(limit, used.saturating_add(LATER + self.of_engine()), wanted)
    }

    /// How many sessions a program could carry that was started with `inherited` descriptors open; zero where it would
    /// refuse to start.
    pub fn sessions(self, limit: usize, inherited: usize, wanted: Wanted) -> usize {
        let used = inherited.saturating_add(OF_PROGRAM);
        if used.saturating_add(self.least()) > limit {
            return 0;
        }
        self.budget(limit, used, wanted).connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Needs = Needs { listeners: 1, workers: 2, udp: false };

    #[test]
    fn what_is_foretold_is_what_the_engine_is_given() {
        for limit in [40, 64, 1024, 20_000] {
            for udp in [false, true] {
                let (needs, wanted) = (Needs { udp, ..ONE }, Wanted { udp, ..Wanted::default() });

                let given = needs.budget(limit, 3 + OF_PROGRAM, wanted).connections;

                assert_eq!(needs.sessions(limit, 3, wanted), given, "of {limit}, udp {udp}");
            }
        }
    }

    #[test]
    fn where_it_would_not_start_there_is_room_for_none() {
        let least = 3 + OF_PROGRAM + ONE.least();

        assert_eq!(ONE.sessions(least - 1, 3, Wanted::default()), 0);
        assert_eq!(ONE.sessions(least, 3, Wanted::default()), 1);
    }
}
