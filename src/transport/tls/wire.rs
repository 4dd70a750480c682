//! The buffers a worker reads records into, and writes them from.
//!
//! They belong to the thread, and are lent for one read or one write, never across an await.

use std::cell::Cell;

use super::records::{MAX_UNREAD, sealed_room};

/// The largest read of a connection, in bytes.
pub const MAX_READ: usize = 64 << 10;

/// Room for what frames add to the bytes they carry: a head each, and the last record of each.
const FRAMING: usize = 1024;

/// The two buffers. Created for the first TLS session of a worker.
pub(crate) struct Wire {
    /// Room for what was kept of an incomplete record, and for one read behind it.
    pub(crate) read: Box<[u8]>,
    /// Room for everything that one read may be decrypted to, encrypted again.
    pub(crate) sealed: Box<[u8]>,
}

thread_local! {
    static WIRE: Cell<Option<Wire>> = const { Cell::new(None) };
}

impl Wire {
    /// Lends the worker's buffers. What runs inside and asks for them again gets buffers of its own.
    pub(crate) fn with<R>(work: impl FnOnce(&mut Wire) -> R) -> R {
        let mut wire = WIRE.take().unwrap_or_else(|| Wire {
            read: vec![0; MAX_UNREAD + MAX_READ].into_boxed_slice(),
            sealed: vec![0; sealed_room(MAX_READ + MAX_UNREAD) + FRAMING].into_boxed_slice(),
        });
        let answer = work(&mut wire);
        WIRE.set(Some(wire));
        answer
    }
}
