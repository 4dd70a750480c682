//! (drawn next)
