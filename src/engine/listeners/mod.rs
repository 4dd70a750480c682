//! Listening sockets: the supervisor opens and closes them, in one transaction for each declaration.

mod any;
pub(super) mod bind;
pub(super) mod bind_error;
mod conflicts;
mod control;
mod files;
mod given;
mod leaving;
mod lingering;
mod report;
mod retries;
mod route_runtimes;
mod serves;
mod service;
pub(super) mod supervisor;
mod tcp;
mod watch;
