//! Monitors targets beside the sessions: health checks, stalled targets, and the diagnosis of those that are down.

mod active_check;
mod check_connection;
pub(super) mod checker;
mod diagnose_target;
pub(super) mod diagnosis_worker;
pub(super) mod monitor_handle;
mod query_limit;
mod schedule;
mod stall_detector;
mod unix;
