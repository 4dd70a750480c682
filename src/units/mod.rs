//! Quantities as a user writes them, `"250ms"`, ⇄ typed values.
//!
//! A quantity always has its unit, and the message about a wrong unit names the right one.

pub(crate) mod base64;
mod counted;
mod frequency;
mod misread;
mod quantity;
mod rate;
mod seconds;
#[cfg(test)]
pub(crate) mod seeded;
mod shown;
mod size;
mod time_span;

pub(crate) use counted::counted;
pub use frequency::{Frequency, Unit};
pub use misread::Misread;
pub(crate) use misread::{from_text, quoted};
pub use quantity::OrOff;
pub use rate::Rate;
pub(crate) use seconds::Seconds;
pub(crate) use shown::{shown, shown_json, shown_lines, shown_path};
pub use size::Size;
pub use time_span::TimeSpan;
