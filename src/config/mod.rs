//! What the user wrote: every value with its place, and every problem, found in one reading.
//!
//! Each value is read by its own type; this room only knows which key belongs in which table. It merges nothing, fills
//! in no default and compares no routes: that is the work of [`crate::plan`].

mod decode;
mod document;
mod example;
#[cfg(feature = "cli")]
mod excerpt;
#[cfg(not(feature = "cli"))]
#[path = "excerpt_plain.rs"]
mod excerpt;
mod file;
mod file_id;
mod hello;
mod include;
mod key;
mod keys;
mod kind;
mod off;
mod pattern;
mod place;
mod problem;
mod public_key;
mod reference;
mod regular;
mod render;
mod route;
mod schema;
mod spelling;
mod syntax;
mod table;
mod target;
mod texts;
mod tunnel;
mod tunnel_slips;
mod unknown;
mod written;

pub use example::example;
pub use file_id::{NamedFile, Stamp};
#[cfg(test)]
pub(crate) use keys::kept_until_restart;
pub use keys::keys;
pub use problem::{Place, Problem, Problems};
pub use reference::reference;
pub use schema::schema;
pub use texts::{Text, Texts};

pub(crate) use decode::FileName;
pub(crate) use document::Config;
pub(crate) use file::{LIMIT, is_pem, others_may_write, others_may_write_in, read_file};
pub(crate) use include::{Whole, read};
pub(crate) use keys::{Settings, WrittenHealth, WrittenLink, WrittenTargetTls, WrittenTls, WrittenTunnel};
pub(crate) use problem::bare_or_quoted;
pub(crate) use public_key::KeyText;
#[cfg(feature = "cli")]
pub(crate) use regular::skip_mark;
pub(crate) use regular::{Content, Limit, Unread, read_regular};
pub(crate) use route::WrittenRoute;
#[cfg(feature = "cli")]
pub(crate) use spelling::nearest;
pub(crate) use tunnel::WrittenTunnelOf;
pub(crate) use written::{Written, WrittenHello, WrittenTarget};
