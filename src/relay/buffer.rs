//! The worker's buffer: what is read into it is written from it at once, with what its receiver puts before it.
//!
//! It belongs to the thread, and is lent for one read and one write, never across an await. An embedder's stream that
//! runs another session inside a read finds it already lent, and gets a buffer of its own.

use std::cell::Cell;

use super::half::{HEADROOM, MAX_KEPT};

/// The largest read, in bytes. A read that fills it suggests a stream.
pub(super) const BUFFER: usize = crate::transport::tls::MAX_READ;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the buffer: [`HEADROOM`], then [`BUFFER`] bytes, followed by room for what a half kept.
pub(super) fn with<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer =
        SCRATCH.take().unwrap_or_else(|| vec![0; HEADROOM + BUFFER + MAX_KEPT].into_boxed_slice());
    let answer = work(&mut buffer);
    SCRATCH.set(Some(buffer));
    answer
}
