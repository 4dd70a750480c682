//! The end of a tunnel that others connect to.

mod strangers;
mod takeover;
mod unknown;
