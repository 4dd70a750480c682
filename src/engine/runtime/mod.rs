//! What all sessions use: shared state, worker threads, drain.

pub(super) mod by_hello;
pub(super) mod context;
pub(super) mod drain;
pub(super) mod heap_trim;
pub(super) mod refusals;
pub(super) mod settings;
pub(super) mod stopping;
pub(super) mod workers;
