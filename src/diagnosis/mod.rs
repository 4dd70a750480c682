//! Judges the facts: a verdict of a closed list, how sure it is, its proof, what to do.
//!
//! The rules are pure: facts are arguments, and only the functions named `bind_failure…` ask `probe` for them. Nothing
//! is printed and nothing is repaired here. So far it judges failed binds alone.

mod bind;
mod facts;
mod finding;
mod json;
#[cfg(test)]
mod live_tests;
mod overlap;
mod report;
mod text;
mod verdict;
mod wording;

pub use bind::{BindFinding, bind_failure, bind_failures, exit_code};
pub use facts::{BindFacts, Blocker};
pub use finding::{Check, Detail, Diagnosis, Evidence, Fix, NotReadable, Question, Status, Subject, Warning};
pub use json::{SCHEMA, json};
pub use overlap::Overlap;
pub use report::bind_report;
pub use text::{block, screen};
pub use verdict::{Certainty, Severity, Verdict};
