//! The dials of one session, stored as compactly as an idle session requires.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::address::Address;
use crate::outcome::{Attempt, Cause};

/// The largest number of attempts a session's record keeps.
const MAX: usize = 32;

/// Dials, the latest last.
pub(crate) struct Attempts(Dials);

/// A boxed slice is one word smaller than a vector, and every idle session pays for it.
enum Dials {
    /// None yet, or a single one of a target's only address, which was answered after so many nanoseconds.
    AtMostOne(Option<NonZeroU64>),
    All(Box<[Attempt]>),
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts(Dials::AtMostOne(None))
    }
}

impl Attempts {
    /// Adds a dial of a target's only address that was answered. No other follows it, and the address is not kept: most
    /// sessions have no other dial, and no memory for one.
    pub(crate) fn answered(&mut self, address: &Address, took: Duration) {
        match self.0 {
            Dials::AtMostOne(_) => {
                let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                self.0 = Dials::AtMostOne(Some(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN)));
            }
            Dials::All(_) => self.push(Attempt { address: address.clone(), took, cause: None }),
        }
    }

    pub(crate) fn push(&mut self, attempt: Attempt) {
        let mut all = match std::mem::replace(&mut self.0, Dials::AtMostOne(None)) {
            Dials::AtMostOne(_) => Vec::new(),
            Dials::All(all) => all.into_vec(),
        };
        // Reserve exactly one more, so that the conversion back to a slice does not reallocate.
        all.reserve_exact(1);
        all.push(attempt);
        self.0 = Dials::All(all.into_boxed_slice());
    }

    /// Marks the latest attempt as failed after all, and adds the time it took on top of the dial.
    pub(crate) fn fail_last(&mut self, cause: Cause, longer: Duration) {
        if let Dials::All(all) = &mut self.0
            && let Some(last) = all.last_mut()
        {
            (last.cause, last.took) = (Some(cause), last.took + longer);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        match &self.0 {
            Dials::AtMostOne(took) => took.iter().count(),
            Dials::All(all) => all.len(),
        }
    }

    /// How long those took that came after the first `count`.
    pub(crate) fn took_since(&self, count: usize) -> Duration {
        match &self.0 {
            Dials::AtMostOne(took) => {
                took.iter().skip(count).map(|took| Duration::from_nanos(took.get())).sum()
            }
            Dials::All(all) => all.iter().skip(count).map(|attempt| attempt.took).sum(),
        }
    }

    /// Drops all but the latest [`MAX`] attempts.
    pub(crate) fn forget_old(&mut self) {
        if let Dials::All(all) = &mut self.0 {
            let excess = all.len().saturating_sub(MAX);
            if excess > 0 {
                *all = all[excess..].into();
            }
        }
    }

    /// All attempts that were kept; `only` is the address of a target that has a single one.
    pub(crate) fn into_vec(self, only: impl FnOnce() -> Option<Address>) -> Vec<Attempt> {
        match self.0 {
            Dials::AtMostOne(None) => Vec::new(),
            Dials::AtMostOne(Some(took)) => {
                let attempt =
                    |address| Attempt { address, took: Duration::from_nanos(took.get()), cause: None };
                only().map(attempt).into_iter().collect()
            }
            Dials::All(all) => all.into_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_two_words_for_its_dials() {
        assert_eq!(size_of::<Attempts>(), 16);
    }

    #[test]
    fn a_dial_that_is_answered_is_told_with_its_address_and_its_time() {
        let (at, took) = (Address::Net(([127, 0, 0, 1], 3000).into()), Duration::from_micros(40));
        let failed = Attempt { address: at.clone(), took, cause: Some(Cause::Refused) };
        let answered = Attempt { cause: None, ..failed.clone() };
        for before in [vec![], vec![failed]] {
            let mut attempts = Attempts::default();
            before.iter().for_each(|attempt| attempts.push(attempt.clone()));

            attempts.answered(&at, took);

            assert_eq!(attempts.count(), before.len() + 1);
            assert_eq!(attempts.took_since(before.len()), took);
            assert_eq!(attempts.into_vec(|| Some(at.clone())), [before, vec![answered.clone()]].concat());
        }
    }
}
