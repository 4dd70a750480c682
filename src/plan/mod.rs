//! What Loopgate will do: complete and resolved, with no default left to fill in and nothing left to look up in the
//! file.
//!
//! A plan holds no socket and no clock. A reload compares it with the plan before it to find out what changes.

mod build;
mod command_line;
mod congestion;
mod diff;
mod draft;
mod entry;
mod exposure;
mod far_end;
mod files;
mod find;
mod headers;
mod health;
mod hello;
mod id;
mod link_proxy;
mod links;
mod lists;
mod load;
mod loops;
mod merge;
mod offered;
mod overlap;
mod own_key;
#[cfg(feature = "cli")]
pub(crate) mod pairing;
mod resolved;
mod route;
mod session_limits;
mod sources;
mod targets;
mod there;
mod tls;
mod tunnel;
mod typed;
mod validate;
mod warnings;
mod whole;
mod written_link;

pub use diff::{Change, diff, keep_equal, unchangeable};
pub use far_end::is_tunnel_of_file;
#[cfg(feature = "cli")]
pub(crate) use find::user_file;
pub use find::{default_file, find_file};
pub use hello::{Among, HelloRules};
pub use id::{BadSourceName, RouteId, RouteName, Source};
pub use load::{load, load_text, parse};
pub use loops::{IsHere, loops};
pub use offered::{Offered, offered};
pub use overlap::{Listeners, Met};
pub use own_key::lacks_own_key;
pub use route::{Carries, Route, Target};
pub use sources::{CommandTunnels, Secret, Sources};
pub use targets::BadTargets;
pub use tunnel::{Invited, Templates, Tunnel, Tunnels, keep_equal_tunnels};
pub use warnings::{Caution, cautions, certificates};
pub use whole::{Plan, Routes};
