//! TLS, with clients and with targets.

mod breaks;
mod crowds;
mod resumption;
mod sessions;
mod targets;
