//! Which of two words counts: what a route says goes before what the defaults say, and that before what is built in.

use std::time::Duration;

use crate::config::Written;
use crate::units::{OrOff, TimeSpan};

/// What the route says, or else what the defaults say.
pub(super) fn pick<T: Clone>(own: &Option<Written<T>>, default: &Option<Written<T>>) -> Option<T> {
    own.as_ref().or(default.as_ref()).map(|written| written.value.clone())
}

/// The same of what may be switched off, which it is where nobody says anything.
pub(super) fn off_or<T: Clone>(
    own: &Option<Written<OrOff<T>>>,
    default: &Option<Written<OrOff<T>>>,
) -> Option<T> {
    pick(own, default).and_then(|OrOff(value)| value)
}

/// The same of a time.
pub(super) fn time(
    own: &Option<Written<TimeSpan>>,
    default: &Option<Written<TimeSpan>>,
    built_in: Duration,
) -> Duration {
    pick(own, default).map_or(built_in, |time| time.0)
}
