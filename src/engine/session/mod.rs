//! One connection's life in steps. `carry` is the heart: read it first.

pub(super) mod admit;
pub(super) mod carry;
mod connect;
mod first_byte;
pub(super) mod greet;
mod identify;
mod progress;
mod relay;
mod secure;
pub(super) mod sni;
