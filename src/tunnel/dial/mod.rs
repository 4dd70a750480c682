//! The end of a tunnel that opens its connections.

mod addresses;
mod attempt;
mod back_off;
mod changes;
mod fault;
mod order;
mod told;
