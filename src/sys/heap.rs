//! The heap of this process.

/// Gives free pages of the heap back to the system, those between pages in use as well.
///
/// glibc keeps what was freed and shrinks only the heap's end by itself (malloc_trim(3)); other allocators, musl's among
/// them, need no word. An arena is locked while its free pages are given back, so this belongs to quiet moments.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number and touches only memory that nobody has.
    unsafe {
        libc::malloc_trim(0);
    }
}
