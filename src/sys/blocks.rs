//! The program's allocator: glibc's, but for blocks that are aligned to 128 bytes, which have pages of their own.
//!
//! Each session has three such blocks: its task and two sockets in the poller, which tokio aligns to two cache lines. glibc
//! cuts each out of a larger piece (posix_memalign(3)), which costs more than all other allocations of the session together,
//! and leaves a gap beside it that an idle session keeps from being used.
//!
//! A chunk of pages holds blocks of one size. Chunks that no block uses are given back, but for one of each size. Of a crowd a
//! few sessions stay, and keep a block in most chunks: the pages between them are given back when glibc's are
//! (`give_back`). That is why a chunk tells its free blocks by bits of its own: a list through them would need their pages.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::chunks::{Chunks, UNIT};

/// The sizes of blocks, in units; larger ones come from glibc.
const SIZES: usize = 5;

/// The allocator of this program, if it has this one.
static OURS: OnceLock<&'static Blocks> = OnceLock::new();

/// The allocator; see the module.
pub struct Blocks {
    sizes: [Mutex<Chunks>; SIZES],
}

impl Blocks {
    /// An allocator without a chunk.
    #[allow(clippy::new_without_default, reason = "a static is made by a constant function")]
    pub const fn new() -> Blocks {
        Blocks { sizes: [const { Mutex::new(Chunks(None)) }; SIZES] }
    }

    /// Has `give_back` reach this allocator, which is the program's.
    pub fn adopt(&'static self) {
        let _ = OURS.set(self);
    }

    /// Returns the pages in which no block is used.
    fn give_back(&self) {
        for (n, chunks) in self.sizes.iter().enumerate() {
            chunks.lock().unwrap_or_else(PoisonError::into_inner).give_pages_back((n + 1) * UNIT);
        }
    }

    /// The chunks for this layout, and the size of their blocks; `None` if it is glibc's.
    fn chunks(&self, layout: Layout) -> Option<(MutexGuard<'_, Chunks>, usize)> {
        if layout.align() != UNIT {
            return None;
        }
        let size = layout.size().next_multiple_of(UNIT);
        let chunks = self.sizes.get((size / UNIT).checked_sub(1)?)?;
        // Nothing panics while it is held.
        Some((chunks.lock().unwrap_or_else(PoisonError::into_inner), size))
    }
}

// SAFETY: a block is at least as large as its layout, as `chunks` rounds the size up, and aligned to UNIT: a chunk is aligned to
// more, and its blocks begin at multiples of UNIT. Until it is given back it is in no list, and no other block overlaps it. What
// `chunks` has nothing for goes to glibc, both ways, as the same layout is given back. Nothing unwinds.
unsafe impl GlobalAlloc for Blocks {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.chunks(layout) {
            Some((mut chunks, size)) => chunks.take(size),
            // SAFETY: the caller's promises are the same.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.chunks(layout) {
            // SAFETY: this layout's block came from `take`, and is not used any more.
            Some((mut chunks, size)) => unsafe { chunks.give_back(block, size) },
            // SAFETY: the caller's promises are the same.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() != UNIT {
            // SAFETY: the caller's promises are the same.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's promises are the same.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has this size, and nobody else has it.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() != UNIT {
            // SAFETY: the caller's promises are the same.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that the size, rounded up to the alignment, is a valid one.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, UNIT) };
        // SAFETY: the size is not zero, as the caller promises.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both have the lesser of the two sizes, and are different blocks; the old one is not used any more.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}

/// Returns the pages of the program's blocks that none of them uses. Each size is locked meanwhile, so call this in quiet
/// moments.
pub(crate) fn give_back() {
    if let Some(blocks) = OURS.get() {
        blocks.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, UNIT).unwrap()
    }

    #[test]
    fn blocks_do_not_overlap_and_keep_what_is_written() {
        let blocks = Blocks::new();
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();

        for turn in 0..20_000_usize {
            let layout = layout(1 + turn * 37 % 1000);
            let mark = (turn % 251) as u8;
            // SAFETY: the size is not zero; a block is written and read within its size, and given back once.
            unsafe {
                let block = blocks.alloc(layout);
                assert!(block.addr().is_multiple_of(UNIT) && !block.is_null());
                block.write_bytes(mark, layout.size());
                held.push((block, layout, mark));
                if turn % 3 != 0 {
                    let (block, layout, mark) = held.swap_remove(turn * 7919 % held.len());
                    assert!((0..layout.size()).all(|at| block.add(at).read() == mark), "{turn}");
                    blocks.dealloc(block, layout);
                }
            }
        }

        for (block, layout, mark) in held {
            // SAFETY: as above.
            unsafe {
                assert!((0..layout.size()).all(|at| block.add(at).read() == mark));
                blocks.dealloc(block, layout);
            }
        }
    }

    #[test]
    fn what_a_crowd_leaves_behind_is_one_chunk() {
        let blocks = Blocks::new();
        // SAFETY: the size is not zero, and each block is given back once.
        let crowd: Vec<_> = (0..3000).map(|_| unsafe { blocks.alloc(layout(512)) }).collect();

        // SAFETY: as above.
        crowd.into_iter().for_each(|block| unsafe { blocks.dealloc(block, layout(512)) });

        let chunks = blocks.sizes[3].lock().unwrap();
        let only = chunks.0.unwrap();
        // SAFETY: a chunk in the list is mapped, and the lock on the list is held.
        assert_eq!(unsafe { (only.as_ref().all - only.as_ref().left, only.as_ref().after) }, (0, None));
    }

    #[test]
    fn the_few_who_stay_of_a_crowd_keep_their_own_pages_alone() {
        let blocks = Blocks::new();
        let layout = layout(512);
        // SAFETY: the size is not zero, each block is written within its size, and given back once.
        let crowd: Vec<_> = (0..127).map(|_| unsafe { blocks.alloc(layout) }).collect();
        let (stay, last) = (crowd[60], crowd[126]);
        // SAFETY: as above.
        unsafe {
            crowd.iter().for_each(|block| block.write_bytes(9, 512));
            crowd.iter().filter(|block| **block != stay).for_each(|block| blocks.dealloc(*block, layout));
        }

        blocks.give_back();

        // A page that was given back reads as zeros.
        // SAFETY: the chunk of the blocks is mapped, as one of them is used.
        unsafe {
            assert!((0..512).all(|at| stay.add(at).read() == 9));
            assert_eq!((crowd[100].read(), last.read()), (0, 0));
            let again: Vec<_> = (0..126).map(|_| blocks.alloc(layout)).collect();
            assert!(again.contains(&last) && !again.contains(&stay));
            again.into_iter().chain([stay]).for_each(|block| blocks.dealloc(block, layout));
        }
    }

    #[test]
    fn a_block_that_grows_keeps_its_content() {
        let blocks = Blocks::new();
        // SAFETY: the sizes are not zero and within what was asked for.
        unsafe {
            let block = blocks.alloc_zeroed(layout(128));
            assert!((0..128).all(|at| block.add(at).read() == 0));
            block.write_bytes(7, 128);
            let block = blocks.realloc(block, layout(128), 2000);
            assert!((0..128).all(|at| block.add(at).read() == 7) && block.addr().is_multiple_of(UNIT));
            blocks.dealloc(block, layout(2000));
        }
    }
}
