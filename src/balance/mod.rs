//! Which target: what counts as healthy.
//!
//! It decides and asks nobody: no clock, no randomness and no socket. Who looks, dials and carries is `engine`.

mod health;

pub use health::HealthRules;
