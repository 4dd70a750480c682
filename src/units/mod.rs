//! Quantities as a user writes them, `"250ms"`, ⇄ typed values.
//!
//! A quantity always has its unit, and the message about a wrong unit names the right one.

pub(crate) mod base64;
mod counted;
pub(crate) mod digits;
mod frequency;
mod misread;
mod quantity;
mod rate;
mod seconds;
#[cfg(test)]
pub(crate) mod seeded;
mod shown;
#[cfg(feature = "cli")]
mod shown_lines;
mod size;
mod time_span;

pub(crate) use counted::counted;
pub use frequency::{Frequency, Unit};
pub use misread::Misread;
pub(crate) use misread::{from_text, quoted};
pub use quantity::OrOff;
pub use rate::Rate;
pub(crate) use seconds::Seconds;
pub(crate) use shown::{shown, shown_path};
#[cfg(feature = "cli")]
pub(crate) use shown_lines::{shown_json, shown_lines};
pub use size::Size;
pub use time_span::TimeSpan;
