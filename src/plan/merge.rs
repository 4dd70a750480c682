//! Which value applies: a route's own comes before that of the defaults, and that before the built-in value.

use std::time::Duration;

use crate::config::Written;
use crate::units::{OrOff, TimeSpan};

/// The value of the route, or else of the defaults.
pub(super) fn pick<T: Clone>(own: &Option<Written<T>>, default: &Option<Written<T>>) -> Option<T> {
    own.as_ref().or(default.as_ref()).map(|written| written.value.clone())
}

/// The same for a key that can be `"off"`, which it is if neither has a value.
pub(super) fn off_or<T: Clone>(
    own: &Option<Written<OrOff<T>>>,
    default: &Option<Written<OrOff<T>>>,
) -> Option<T> {
    pick(own, default).and_then(|OrOff(value)| value)
}

/// The same for a time, with its built-in value.
pub(super) fn time(
    own: &Option<Written<TimeSpan>>,
    default: &Option<Written<TimeSpan>>,
    built_in: Duration,
) -> Duration {
    pick(own, default).map_or(built_in, |time| time.0)
}
