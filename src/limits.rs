//! How many and how long: the limits of the whole process.
//!
//! Pure arithmetic. What the system grants is an argument; `probe` asks for it.

use std::time::Duration;

/// `[limits]`: bounds that hold for the whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at one time over all routes, at least 1; `None` takes what the descriptor limit allows.
    pub connections: Option<usize>,
    /// How long a stop waits for the sessions that are left before it resets them. Zero resets at once.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: None, drain_timeout: Duration::from_secs(30) }
    }
}

/// How the descriptors of the process are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Sessions at one time, two descriptors each; at least 1.
    pub connections: usize,
    /// Pipes at one time, two descriptors each; zero means that nothing is spliced.
    pub pipes: usize,
    /// Processes whose end is waited for at one time, a descriptor each.
    pub watches: usize,
}

/// Descriptors kept free for what is not a session: a reload's new listeners, name look-ups, the files of /proc.
const LEAST_RESERVE: usize = 8;
const MOST_RESERVE: usize = 256;

/// More pipes at one time than this only cost memory: a stream holds one only while it has bytes to move.
const MOST_PIPES: usize = 256;

/// A machine with more services than this behind one proxy is looked after by the other means as well.
const MOST_WATCHES: usize = 128;

/// Shares `limit` descriptors out, of which `used` are open already, listeners included. `wanted` is what the
/// configuration asks for; it is cut to what fits.
pub fn budget(limit: usize, used: usize, wanted: Option<usize>) -> Budget {
    let free = limit.saturating_sub(used);
    let reserve = (free / 8).clamp(LEAST_RESERVE, MOST_RESERVE);
    let free = free.saturating_sub(reserve);
    // A tenth of the sessions may be streams at one moment.
    let pipes = (free / 20).min(MOST_PIPES);
    let watches = (free / 50).min(MOST_WATCHES);
    let fits = (free.saturating_sub(2 * pipes + watches) / 2).max(1);
    Budget { connections: wanted.map_or(fits, |wanted| wanted.min(fits)).max(1), pipes, watches }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_pipes_watches_and_reserve_never_exceed_the_limit() {
        for limit in [40, 64, 100, 256, 1024, 20_000, 1_048_576] {
            let Budget { connections, pipes, watches } = budget(limit, 20, None);
            assert!(
                20 + 2 * connections + 2 * pipes + watches + LEAST_RESERVE <= limit,
                "of {limit}: {connections}, {pipes} and {watches}"
            );
        }
    }

    #[test]
    fn what_the_configuration_asks_for_is_cut_to_what_fits() {
        assert_eq!(budget(1024, 24, Some(10)).connections, 10);
        assert!(budget(1024, 24, Some(10_000)).connections < 500);
    }

    #[test]
    fn even_a_hopeless_limit_leaves_one_session() {
        assert_eq!(budget(16, 20, None), Budget { connections: 1, pipes: 0, watches: 0 });
    }
}
