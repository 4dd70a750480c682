//! What a route's limits would have done to clients, counted for a line in the log.

use std::time::{Duration, Instant};

use crate::outcome::Limit;

/// The least time between two lines about one route.
const INTERVAL: Duration = Duration::from_secs(10);

/// The clients that were over a limit since the last line, by limit.
#[derive(Debug, Default)]
pub struct Overruns {
    counts: [u64; Limit::ALL.len()],
    told: Option<Instant>,
}

impl Overruns {
    /// Counts a client that was over this limit.
    pub fn add(&mut self, limit: Limit) {
        self.counts[limit as usize] += 1;
    }

    /// The counts as text, `3 by connection_rate, 1 by max_connections`, if there are any and the last text is a while
    /// ago; they begin anew.
    pub fn due(&mut self, now: Instant) -> Option<String> {
        let is_early = self.told.is_some_and(|told| now.saturating_duration_since(told) < INTERVAL);
        if is_early || self.counts.iter().all(|count| *count == 0) {
            return None;
        }
        let counted = Limit::ALL.map(|limit| (self.counts[limit as usize], limit.key()));
        let each =
            counted.iter().filter(|(count, _)| *count > 0).map(|(count, key)| format!("{count} by {key}"));
        let text = each.collect::<Vec<_>>().join(", ");
        *self = Overruns { told: Some(now), ..Overruns::default() };
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_clients_over_a_limit_is_one_line_in_ten_seconds() {
        let (mut overruns, start) = (Overruns::default(), Instant::now());
        assert_eq!(overruns.due(start), None);

        for _ in 0..3 {
            overruns.add(Limit::Rate);
        }
        overruns.add(Limit::Connections);
        assert_eq!(overruns.due(start).unwrap(), "1 by max_connections, 3 by connection_rate");

        overruns.add(Limit::PerClient);
        assert_eq!(overruns.due(start + Duration::from_millis(9_999)), None);
        let later = start + INTERVAL;
        assert_eq!(overruns.due(later).unwrap(), "1 by max_connections_per_client");
        assert_eq!(overruns.due(later + INTERVAL), None);
    }
}
