//! How a session ends: End × Phase, with traffic and timing; and why the system said no.

mod cause;
mod holder;

pub use cause::Cause;
pub use holder::Holder;
