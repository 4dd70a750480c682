//! The tunnels of a plan, running: controls, carriers, and what each end may ask of the other.

mod control;
mod dial;
mod offers;
mod pool;
