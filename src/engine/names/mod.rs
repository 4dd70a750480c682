//! The names of targets: one look-up for each, shared by all who wait for it, beside the threads that carry sessions.

mod keeper;
mod known;
mod places;
mod table;

pub(crate) use keeper::Keeper;
pub(crate) use table::{Kept, Name, Names};
