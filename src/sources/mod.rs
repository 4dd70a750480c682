//! The sources of routes: the configuration file, watched and applied while the program runs.

mod announce;
mod apply;
mod declare;
mod file;
mod file_thread;
mod refusal;
mod watching;

#[cfg(feature = "cli")]
pub(crate) use announce::{MAX_FORWARDING_LINES, log_listening};
pub use apply::{Answer, Last, Reloader};
#[cfg(feature = "cli")]
pub(crate) use apply::{warn_of_cautions, warn_of_open_routes, warn_of_tunnels};
pub use declare::{Undeclared, declare};
pub use refusal::Refusal;
