//! Why a reload changed nothing, as data. Its `Display` form is the text in the log.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::config::Problems;
use crate::diagnosis::{Diagnosis, bind_report};
use crate::engine::{BindFailure, Refused};
use crate::units::shown_path;

/// Why a reload changed nothing.
#[derive(Debug)]
pub enum Refusal {
    /// The file that was read at the start cannot be read a second time, as a pipe.
    NoFile(PathBuf),
    /// Every problem of the configuration, with its place.
    Problems(Problems),
    /// Keys that cannot change while running, each with what to do.
    Unchangeable(Vec<String>),
    /// Every address that could not be bound.
    Bind {
        /// Each address, with the system's error.
        failures: Vec<BindFailure>,
        /// The diagnosis of each.
        diagnoses: Vec<Diagnosis>,
    },
    /// The thread on which tunnels live cannot be started.
    NoThread(io::Error),
    /// Another refusal of the engine.
    Engine(Refused),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoFile(path) => {
                write!(f, "{} is not a regular file, so it cannot be read again", shown_path(path))
            }
            Refusal::Problems(problems) => f.write_str(&problems.render(false)),
            Refusal::Unchangeable(keys) => f.write_str(&keys.join("\n")),
            Refusal::Bind { diagnoses, .. } => f.write_str(&bind_report(diagnoses)),
            Refusal::NoThread(error) => write!(f, "the thread of the tunnels cannot be started: {error}"),
            Refusal::Engine(refused) => refused.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}
