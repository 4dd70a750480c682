//! Why a reload changed nothing, as data; printed, it is what the log says.

use std::fmt;
use std::path::PathBuf;

use crate::config::Problems;
use crate::engine::{BindFailure, BindTrouble, Refused};

/// Why nothing has changed.
#[derive(Debug)]
pub enum Refusal {
    /// What was read at the start cannot be read a second time, as a pipe.
    NoFile(PathBuf),
    /// Every problem of what is written, with its place.
    Problems(Problems),
    /// Keys that cannot change while running, each with what to do.
    Unchangeable(Vec<String>),
    /// Every address that could not be bound.
    Bind {
        /// What the system said.
        failures: Vec<BindFailure>,
        /// What was found out about it then.
        trouble: BindTrouble,
    },
    /// What else the engine said.
    Engine(Refused),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoFile(path) => {
                write!(f, "{} is not a regular file, so it cannot be read again", path.display())
            }
            Refusal::Problems(problems) => f.write_str(&problems.render(false)),
            Refusal::Unchangeable(keys) => f.write_str(&keys.join("\n")),
            Refusal::Bind { trouble, .. } => f.write_str(&trouble.report()),
            Refusal::Engine(refused) => refused.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}
