//! Why there is nothing to measure.

use crate::config::Problems;

/// Why a bench did not begin.
pub(crate) enum Refusal {
    /// The command line asks for something that cannot be, with what to write instead.
    Usage(String),
    /// The configuration has problems.
    Config(Problems),
    /// The service or the route does not answer, with its diagnosis.
    Unreachable(String),
}

impl Refusal {
    /// A usage error of two parts: what is wrong, and what to do.
    pub(super) fn usage(what: impl AsRef<str>, help: impl AsRef<str>) -> Refusal {
        Refusal::Usage(format!("error: {}\n = help: {}", what.as_ref(), help.as_ref()))
    }
}
