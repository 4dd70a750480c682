//! The worker's buffer: what is read is written from it at once.
//!
//! It belongs to the thread, is lent for one read and one write, and never across an await. A stream of an embedder's
//! that carries another session of ours inside a read finds it lent, and gets one of its own.

use std::cell::Cell;

use super::half::MAX_KEPT;

/// The most bytes of one read. A read that fills it is a sign of a stream.
pub(super) const BUFFER: usize = 64 << 10;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the buffer: [`BUFFER`] bytes, and room behind them for what a half kept.
pub(super) fn with<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = SCRATCH.take().unwrap_or_else(|| vec![0; BUFFER + MAX_KEPT].into_boxed_slice());
    let answer = work(&mut buffer);
    SCRATCH.set(Some(buffer));
    answer
}
