//! Keeps README and the book true: links lead somewhere, tables name exactly what there is, what a reader copies works,
//! and parts that repeat the program's output match it.
//!
//! `UPDATE=1 cargo test --test book` writes those parts anew; the change is then a visible diff.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

mod blocks;
mod generated;
mod links;
mod pages;
mod record;
mod reference;
