//! The buffers a worker reads records into, and writes them from.
//!
//! They belong to the thread, and are lent for one read or one write, never across an await. There are two: records that
//! are bytes of another connection's records, as those of a session with TLS through a tunnel, are read and written while the
//! first is lent.

use std::cell::Cell;

use super::records::{MAX_UNREAD, sealed_room};

/// The largest read of a connection, in bytes.
pub const MAX_READ: usize = 64 << 10;

/// Room for what frames add to the bytes they carry, a head each and the last record of each; and for the records that those
/// bytes may be themselves.
const FRAMING: usize = 2048;

/// How many are kept for a worker: one for each connection of a session whose records carry the others.
const MOST: usize = 2;

/// A read buffer and a write buffer. Created when a worker first needs them.
pub(crate) struct Wire {
    /// Room for what was kept of an incomplete record, and for one read behind it, with what that connection had kept itself.
    pub(crate) read: Box<[u8]>,
    /// Room for everything that one read may be decrypted to, encrypted again.
    pub(crate) sealed: Box<[u8]>,
}

thread_local! {
    /// Those that are not lent.
    static WIRES: Cell<Vec<Wire>> = const { Cell::new(Vec::new()) };
}

impl Wire {
    /// Lends a pair of the worker's buffers. What runs inside and asks again gets the other one; beyond that, buffers that
    /// are made for it.
    pub(crate) fn with<R>(work: impl FnOnce(&mut Wire) -> R) -> R {
        let mut wire = Wire::take().unwrap_or_else(|| Wire {
            read: vec![0; MAX_UNREAD + MAX_READ + MAX_UNREAD].into_boxed_slice(),
            sealed: vec![0; sealed_room(MAX_READ + MAX_UNREAD) + FRAMING].into_boxed_slice(),
        });
        let answer = work(&mut wire);
        wire.put_back();
        answer
    }

    fn take() -> Option<Wire> {
        let mut wires = WIRES.take();
        let wire = wires.pop();
        WIRES.set(wires);
        wire
    }

    fn put_back(self) {
        let mut wires = WIRES.take();
        if wires.len() < MOST {
            wires.push(self);
        }
        WIRES.set(wires);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_made_once_for_each_depth_that_is_used() {
        let at = |wire: &Wire| wire.read.as_ptr() as usize;
        let both = || Wire::with(|outer| [at(outer), Wire::with(|inner| at(inner))]);
        let first = both();
        assert_ne!(first[0], first[1]);

        for _ in 0..3 {
            let mut again = both();
            again.sort_unstable();
            let mut known = first;
            known.sort_unstable();
            assert_eq!(again, known);
        }
        Wire::with(|_| Wire::with(|_| Wire::with(|_| ())));
        assert_eq!(WIRES.take().len(), MOST);
    }
}
