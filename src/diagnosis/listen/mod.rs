//! Why listening on an address failed, or would fail.
//!
//! The rules are pure; only `could_listen…` and `…bind_failure…` ask `probe` for facts.

mod diagnose;
mod exit_code;
mod facts;
mod fixes;
mod judge;
#[cfg(test)]
mod live_tests;
mod overlap;
mod question;
#[cfg(test)]
mod tests;
mod unix;
mod unix_question;
mod wording;

pub use diagnose::{Instead, bind_failures};
pub use exit_code::exit_code;
pub use question::could_listen;
pub use unix::unix_bind_failure;
pub use unix_question::could_listen_unix;

#[cfg(test)]
pub(super) use facts::samples;
