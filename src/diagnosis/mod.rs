//! Judges facts: a verdict from a closed list, its certainty, its proof and the remedy.
//!
//! The rules are pure: facts are arguments, and only functions documented as such ask `probe` for them. This room
//! prints nothing and repairs nothing.

mod advice;
mod errno;
pub mod filter;
mod finding;
mod listen;
pub mod network;
mod own_limits;
pub(crate) mod process_text;
pub mod reach;
mod report;
pub mod session;
pub mod stalled;
pub mod tunnel;
mod verdict;

pub use advice::Advice;
pub use finding::{
    Check, Detail, Diagnosis, Evidence, Finding, Fix, NotReadable, Question, Status, Subject, Warning,
};
pub use listen::{Instead, bind_failures, could_listen, could_listen_unix, exit_code, unix_bind_failure};
pub(crate) use own_limits::LEAST_SESSIONS;
pub(crate) use report::mark;
pub use report::{SCHEMA, bind_report, block, heading, json, screen};
pub use verdict::{Certainty, Severity, Verdict};
