//! Turns a diagnosis into text or JSON. It judges nothing: the words come with the diagnosis, and stand here in a form.

mod bind;
mod heading;
mod json;
mod text;

pub use bind::bind_report;
pub use heading::heading;
pub use json::{SCHEMA, json};
pub(crate) use text::mark;
pub use text::{block, screen};
