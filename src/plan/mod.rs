//! What Loopgate will do: complete and resolved, with no default left to fill in and nothing left to look up in the
//! file.
//!
//! A plan holds no socket and no clock. A reload compares it with the plan before it to find out what changes.

mod build;
mod congestion;
mod diff;
mod draft;
mod entry;
mod exposure;
mod files;
mod find;
mod headers;
mod health;
mod hello;
mod id;
mod lists;
mod load;
mod loops;
mod merge;
mod overlap;
mod route;
mod session_limits;
mod targets;
mod tls;
mod tunnel;
mod validate;
mod warnings;

pub use diff::{Change, diff, keep_equal, unchangeable};
pub use find::{default_file, find_file};
pub use hello::{Among, HelloRules};
pub use id::{BadSourceName, RouteId, RouteName, Source};
pub use load::{Sources, load, parse};
pub use loops::{IsHere, loops};
pub use overlap::{Listeners, Met};
pub use route::{Carries, Plan, Route, Routes, Target};
pub use targets::BadTargets;
pub use tunnel::{Templates, Tunnel, Tunnels};
pub use warnings::{Caution, cautions, certificates};
