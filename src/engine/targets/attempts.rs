//! The dials of one session, in as little room as an idle session can have for them.

use std::time::Duration;

use crate::outcome::{Attempt, Cause};

/// The attempts of one session that its record keeps.
const MAX: usize = 32;

/// Dials, the last one at the end. A slice, which is a word less than a vector, as every idle session pays for it.
#[derive(Default)]
pub(crate) struct Attempts(Box<[Attempt]>);

impl Attempts {
    pub(crate) fn push(&mut self, attempt: Attempt) {
        let mut all = std::mem::take(&mut self.0).into_vec();
        // Exactly one more, so that it is a slice again without being moved.
        all.reserve_exact(1);
        all.push(attempt);
        self.0 = all.into_boxed_slice();
    }

    /// Notes that the last one came to nothing after all, and how much longer it took.
    pub(crate) fn fail_last(&mut self, cause: Cause, longer: Duration) {
        if let Some(last) = self.0.last_mut() {
            (last.cause, last.took) = (Some(cause), last.took + longer);
        }
    }

    /// Keeps the last ones.
    pub(crate) fn forget_old(&mut self) {
        let excess = self.0.len().saturating_sub(MAX);
        if excess > 0 {
            self.0 = self.0[excess..].into();
        }
    }

    /// All that are kept.
    pub(crate) fn into_vec(self) -> Vec<Attempt> {
        self.0.into_vec()
    }
}
