//! Chunks of pages that hold blocks of one size.

use std::ptr::{self, NonNull};

/// The alignment of the blocks.
pub(super) const UNIT: usize = 128;

/// The size and the alignment of a chunk: the block's address tells its chunk.
const CHUNK: usize = 64 << 10;

/// The chunks of one size that have room.
pub(super) struct Chunks(pub(super) Option<NonNull<Chunk>>);

// SAFETY: a chunk belongs to no thread, and is only touched while the mutex around the list is held.
unsafe impl Send for Chunks {}

/// The beginning of a chunk, in its first unit.
pub(super) struct Chunk {
    /// The first of the blocks that were given back; each holds the address of the next.
    free: Option<NonNull<Free>>,
    /// Where the blocks begin that were never used.
    fresh: usize,
    pub(super) used: usize,
    /// The neighbours in the list of chunks with room.
    before: Option<NonNull<Chunk>>,
    pub(super) after: Option<NonNull<Chunk>>,
}

struct Free {
    next: Option<NonNull<Free>>,
}

impl Chunks {
    /// A block of this size; null if the system gives no memory.
    pub(super) fn take(&mut self, size: usize) -> *mut u8 {
        let Some(mut at) = self.0.or_else(|| self.add()) else { return ptr::null_mut() };
        // SAFETY: a chunk in the list is mapped, and the lock on the list is held.
        let chunk = unsafe { at.as_mut() };
        chunk.used += 1;
        let block = match chunk.free {
            Some(free) => {
                // SAFETY: a block that was given back holds this, and nobody else has it.
                chunk.free = unsafe { free.as_ref() }.next;
                free.as_ptr().cast()
            }
            None => {
                chunk.fresh += size;
                // SAFETY: `has_room` was true, so the block ends within the chunk.
                unsafe { at.as_ptr().cast::<u8>().add(chunk.fresh - size) }
            }
        };
        if !chunk.has_room(size) {
            self.unlink(at);
        }
        block
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// It came from [`Chunks::take`] of this list, with this size, and is not used any more.
    pub(super) unsafe fn give_back(&mut self, block: *mut u8, size: usize) {
        let start = block.wrapping_sub(block.addr() % CHUNK).cast::<Chunk>();
        let Some(mut at) = NonNull::new(start) else { return };
        // SAFETY: a chunk is aligned to its size, so this is the beginning of the one that the block came from, which is mapped
        // as long as a block of it is used; the lock on the list is held.
        let chunk = unsafe { at.as_mut() };
        let had_room = chunk.has_room(size);
        let free = block.cast::<Free>();
        // SAFETY: the block is aligned to more and larger than this, and nobody else has it.
        unsafe { free.write(Free { next: chunk.free }) };
        (chunk.free, chunk.used) = (NonNull::new(free), chunk.used - 1);
        let is_empty = chunk.used == 0;
        if !had_room {
            self.link(at);
        } else if is_empty && self.has_another(at) {
            self.unlink(at);
            // SAFETY: the chunk was mapped with this size, none of its blocks is used, and it is in no list any more.
            unsafe { libc::munmap(at.as_ptr().cast(), CHUNK) };
        }
    }

    /// Maps a chunk, aligned to its size, and puts it into the list.
    fn add(&mut self) -> Option<NonNull<Chunk>> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that exists.
        let all = unsafe { libc::mmap(ptr::null_mut(), 2 * CHUNK, access, kind, -1, 0) };
        if all == libc::MAP_FAILED {
            return None;
        }
        let ahead = all.addr().next_multiple_of(CHUNK) - all.addr();
        let start = all.wrapping_byte_add(ahead);
        // SAFETY: these are the parts of the new mapping before and behind the chunk, which nobody uses; a length of zero is
        // refused and harms nothing.
        unsafe {
            libc::munmap(all, ahead);
            libc::munmap(start.wrapping_byte_add(CHUNK), CHUNK - ahead);
        }
        let chunk = NonNull::new(start.cast::<Chunk>())?;
        // SAFETY: it is mapped, aligned, large enough, and nobody else has it.
        unsafe { chunk.write(Chunk { free: None, fresh: UNIT, used: 0, before: None, after: None }) };
        self.link(chunk);
        Some(chunk)
    }

    /// Puts a chunk at the head of the list.
    fn link(&mut self, mut at: NonNull<Chunk>) {
        // SAFETY: chunks in the list, and this one, are mapped, and the lock on the list is held.
        unsafe {
            (at.as_mut().before, at.as_mut().after) = (None, self.0);
            if let Some(mut first) = self.0 {
                first.as_mut().before = Some(at);
            }
        }
        self.0 = Some(at);
    }

    /// Takes a chunk out of the list.
    fn unlink(&mut self, at: NonNull<Chunk>) {
        // SAFETY: chunks in the list are mapped, and the lock on the list is held.
        unsafe {
            let (before, after) = (at.as_ref().before, at.as_ref().after);
            match before {
                Some(mut before) => before.as_mut().after = after,
                None => self.0 = after,
            }
            if let Some(mut after) = after {
                after.as_mut().before = before;
            }
        }
    }

    /// Whether another chunk than this one has room.
    fn has_another(&self, at: NonNull<Chunk>) -> bool {
        // SAFETY: chunks in the list are mapped, and the lock on the list is held.
        self.0.is_some_and(|first| first != at || unsafe { first.as_ref() }.after.is_some())
    }
}

impl Chunk {
    fn has_room(&self, size: usize) -> bool {
        self.free.is_some() || self.fresh + size <= CHUNK
    }
}
