//! Who declares routes: the configuration file, watched and applied while running.

pub mod apply;
mod file;
mod refusal;
