//! (drawn next)

pub mod validate;
