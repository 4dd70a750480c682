//! What the engine knows about each target: its state, its health, its sessions, and what went wrong lately.

pub(super) mod attempts;
pub(super) mod health;
pub(super) mod incidents;
mod local_errors;
pub(super) mod pool;
pub(super) mod registry;
pub(super) mod state;
pub(super) mod state_log;
