//! Why listening on an address failed, or would fail.
//!
//! The rules are pure; only `could_listen…` and `…bind_failure…` ask `probe` for facts.

mod diagnose;
mod facts;
mod fixes;
mod judge;
#[cfg(test)]
mod live_tests;
mod overlap;
mod question;
mod report;
mod unix;
mod unix_question;
mod wording;

pub use facts::{BindFacts, Blocker};
pub use judge::{BindFinding, bind_failure, bind_failures, exit_code};
pub use overlap::Overlap;
pub use question::could_listen;
pub use report::bind_report;
pub use unix::{unix_bind_failure, unix_exit_code};
pub use unix_question::could_listen_unix;

#[cfg(test)]
pub(super) use facts::samples;
