//! The tunnels of a plan, running: controls, carriers, and what each end may ask of the other.

mod accept;
mod asked;
mod control;
mod dial;
mod idle;
mod link;
mod offers;
mod pool;
mod talk;
