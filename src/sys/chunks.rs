//! Chunks of pages that hold blocks of one size.

use std::ptr::{self, NonNull};

use rustix::param::page_size;

/// The alignment of the blocks.
pub(super) const UNIT: usize = 128;

/// The size and the alignment of a chunk: the block's address tells its chunk.
const CHUNK: usize = 64 << 10;

/// Words of one bit for each block that a chunk can have.
const WORDS: usize = CHUNK / UNIT / 64;

const _: () = assert!(size_of::<Chunk>() <= UNIT);

/// The chunks of one size that have room.
pub(super) struct Chunks(pub(super) Option<NonNull<Chunk>>);

// SAFETY: a chunk belongs to no thread, and is only touched while the mutex around the list is held.
unsafe impl Send for Chunks {}

/// The beginning of a chunk, in its first unit.
pub(super) struct Chunk {
    /// The free blocks, the first in the lowest bit of the first word.
    free: [u64; WORDS],
    /// How many blocks are free, and how many there are.
    pub(super) left: u32,
    pub(super) all: u32,
    /// The neighbours in the list of chunks with room.
    before: Option<NonNull<Chunk>>,
    pub(super) after: Option<NonNull<Chunk>>,
}

impl Chunks {
    /// A block of this size; null if the system gives no memory.
    pub(super) fn take(&mut self, size: usize) -> *mut u8 {
        let Some(mut at) = self.0.or_else(|| self.add(size)) else { return ptr::null_mut() };
        // SAFETY: a chunk in the list is mapped, and the lock on the list is held.
        let chunk = unsafe { at.as_mut() };
        let offset = UNIT + chunk.take_lowest() * size;
        // SAFETY: only blocks that end within the chunk have a bit.
        let block = unsafe { at.as_ptr().cast::<u8>().add(offset) };
        if chunk.left == 0 {
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
        let n = (block.addr() % CHUNK - UNIT) / size;
        chunk.free[n / 64] |= 1 << (n % 64);
        chunk.left += 1;
        let is_empty = chunk.left == chunk.all;
        if chunk.left == 1 {
            self.link(at);
        } else if is_empty && self.has_another(at) {
            self.unlink(at);
            // SAFETY: the chunk was mapped with this size, none of its blocks is used, and it is in no list any more.
            if unsafe { libc::munmap(at.as_ptr().cast(), CHUNK) } != 0 {
                // The process has as many mappings as it may have, and this would have split one.
                self.link(at);
            }
        }
    }

    /// Returns the pages in which no block of the chunks with room is used; but for the first, which has the beginning.
    pub(super) fn give_pages_back(&mut self, size: usize) {
        let mut next = self.0;
        while let Some(at) = next {
            // SAFETY: a chunk in the list is mapped, and the lock on the list is held.
            let chunk = unsafe { at.as_ref() };
            let mut from = None;
            for page in (page_size()..=CHUNK).step_by(page_size()) {
                let is_free = page < CHUNK && chunk.is_free(page, page + page_size(), size);
                match (from, is_free) {
                    (None, true) => from = Some(page),
                    (Some(start), false) => {
                        from = None;
                        // SAFETY: these pages of the chunk hold free blocks alone, whose content means nothing.
                        unsafe {
                            let start_at = at.as_ptr().cast::<u8>().add(start);
                            libc::madvise(start_at.cast(), page - start, libc::MADV_DONTNEED);
                        }
                    }
                    _ => {}
                }
            }
            next = chunk.after;
        }
    }

    /// Maps a chunk, aligned to its size, and puts it into the list.
    fn add(&mut self, size: usize) -> Option<NonNull<Chunk>> {
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
        unsafe { chunk.write(Chunk::with((CHUNK - UNIT) / size)) };
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
    /// The beginning of one with this many blocks, all free.
    fn with(blocks: usize) -> Chunk {
        let mut free = [0; WORDS];
        (0..blocks).for_each(|n| free[n / 64] |= 1 << (n % 64));
        Chunk { free, left: blocks as u32, all: blocks as u32, before: None, after: None }
    }

    /// Takes the lowest of the free blocks, of which there is one: so pages fill up one after the other.
    fn take_lowest(&mut self) -> usize {
        let word = self.free.iter().position(|word| *word != 0).unwrap_or(0);
        let bit = self.free[word].trailing_zeros() as usize;
        self.free[word] &= self.free[word].wrapping_sub(1);
        self.left -= 1;
        word * 64 + bit
    }

    /// Whether no block between these offsets is used, behind the beginning of the chunk.
    fn is_free(&self, from: usize, to: usize, size: usize) -> bool {
        let last = ((to - 1 - UNIT) / size).min(self.all as usize - 1);
        ((from - UNIT) / size..=last).all(|n| self.free[n / 64] & (1 << (n % 64)) != 0)
    }
}
