//! `[log]`: how records and log lines are written.

use serde::Deserialize;

/// `[log]`. It cannot change while running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// Text for people, JSON for programs.
    pub format: LogFormat,
    /// The least severity that is written.
    pub level: LogLevel,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `key=value`, one line.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A severity; records of sessions are `Info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Loopgate cannot serve.
    Error,
    /// The user must act.
    Warn,
    /// Lifecycle and ends of sessions.
    #[default]
    Info,
    /// Steps.
    Debug,
}
