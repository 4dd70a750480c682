//! One connection's life in steps. `carry` is the heart: read it first.

pub(super) mod admit;
pub(super) mod carry;
mod connect;
mod first_byte;
mod greet;
mod identify;
mod progress;
mod relay;
mod secure;
mod sni;
pub(super) mod state;
