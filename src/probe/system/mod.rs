//! The machine as a whole: users, limits, rights, kernel settings, service names; and the escaping of text for display.

pub mod congestion;
pub mod environment;
pub mod limits;
pub(crate) mod redact;
pub mod rights;
mod secret_names;
pub mod services;
pub mod sysctl;
pub mod systemd;
pub mod users;
