//! Why an address could not be listened on.
//!
//! The rules are pure; only the functions named `bind_failure…` ask `probe` for facts.

mod bind;
mod facts;
mod fixes;
#[cfg(test)]
mod live_tests;
mod overlap;
mod report;
mod telling;
mod wording;

pub use bind::{BindFinding, bind_failure, bind_failures, exit_code};
pub use facts::{BindFacts, Blocker};
pub use overlap::Overlap;
pub use report::bind_report;

#[cfg(test)]
pub(super) use facts::samples;
