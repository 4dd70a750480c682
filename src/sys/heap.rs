//! The heap of this process.

/// Returns free pages of the heap to the system, including those between pages in use.
///
/// By itself glibc keeps freed memory and only shrinks the end of the heap (malloc_trim(3)); other allocators, such as
/// musl's, need no call. An arena is locked while its free pages are returned, so call this in quiet moments.
pub(crate) fn give_back() {
    #[cfg(feature = "cli")]
    super::blocks::give_back();
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number and touches only memory that is not allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}
