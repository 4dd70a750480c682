//! A duration for people.

use std::fmt;
use std::time::Duration;

/// "3.1s", "30s", "250ms": a duration for people.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            0.0 => f.write_str("0s"),
            s if s < 1.0 => write!(f, "{:.0}ms", s * 1e3),
            s if (s - s.round()).abs() < 0.05 => write!(f, "{s:.0}s"),
            s => write!(f, "{s:.1}s"),
        }
    }
}
