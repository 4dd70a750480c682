//! argv → runtime → exit code.

fn main() {}
