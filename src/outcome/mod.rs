//! How a session ends: End × Phase, with traffic and timing; and why the system said no.

mod cause;

pub use cause::Cause;
