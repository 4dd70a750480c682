//! The dials of one session, stored as compactly as an idle session requires.

use std::time::Duration;

use crate::outcome::{Attempt, Cause};

/// The largest number of attempts a session's record keeps.
const MAX: usize = 32;

/// Dials, the latest last. A boxed slice is one word smaller than a vector, and every idle session pays for it.
#[derive(Default)]
pub(crate) struct Attempts(Box<[Attempt]>);

impl Attempts {
    pub(crate) fn push(&mut self, attempt: Attempt) {
        let mut all = std::mem::take(&mut self.0).into_vec();
        // Reserve exactly one more, so that the conversion back to a slice does not reallocate.
        all.reserve_exact(1);
        all.push(attempt);
        self.0 = all.into_boxed_slice();
    }

    /// Marks the latest attempt as failed after all, and adds the time it took on top of the dial.
    pub(crate) fn fail_last(&mut self, cause: Cause, longer: Duration) {
        if let Some(last) = self.0.last_mut() {
            (last.cause, last.took) = (Some(cause), last.took + longer);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How long those took that came after the first `count`.
    pub(crate) fn took_since(&self, count: usize) -> Duration {
        self.0.iter().skip(count).map(|attempt| attempt.took).sum()
    }

    /// Drops all but the latest [`MAX`] attempts.
    pub(crate) fn forget_old(&mut self) {
        let excess = self.0.len().saturating_sub(MAX);
        if excess > 0 {
            self.0 = self.0[excess..].into();
        }
    }

    /// All attempts that were kept.
    pub(crate) fn into_vec(self) -> Vec<Attempt> {
        self.0.into_vec()
    }
}
