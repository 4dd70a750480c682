//! What the engine knows about each target: its state, its health, its sessions, and what went wrong lately.

pub(super) mod attempts;
mod by_name;
pub(super) mod by_tunnel;
pub(super) mod crowd;
pub(super) mod greeting;
pub(super) mod health;
mod holder;
pub(super) mod incidents;
pub(super) mod leads;
mod local_errors;
pub(super) mod notify;
pub(super) mod pool;
pub(super) mod reach;
pub(super) mod registry;
pub(super) mod state;
pub(super) mod state_log;
pub(super) mod target;
mod transitions;
