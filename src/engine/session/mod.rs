//! One connection's life in steps. `carry` is the heart: read it first.

mod admit;
pub(super) mod begin;
mod begun;
mod carry;
mod carry_carrier;
pub(super) mod carry_custom;
mod connect;
mod custom;
mod first_byte;
mod front;
mod greet;
mod identify;
mod place;
mod progress;
mod relay;
mod secure;
mod sni;
mod state;
mod there;
pub(super) mod turn_away;
