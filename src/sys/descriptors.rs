//! What /proc/self/fd does, for where it is not mounted: the count of the open descriptors, which needs no free one
//! either, and the mode of a file that is held.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Descriptors asked about in one call: poll(2) takes no more entries than the limit of descriptors.
const AT_ONCE: usize = 1024;

/// Numbers from here on are not asked about; a thousand calls.
const MAX_NUMBER: u64 = 1 << 20;

/// How many of the descriptors below `limit` are open.
///
/// # Errors
/// The errno of poll(2).
pub(crate) fn open_descriptors(limit: u64) -> io::Result<u64> {
    let (mut open, mut first) = (0, 0);
    let end = limit.min(MAX_NUMBER) as i32;
    while first < end {
        let last = end.min(first.saturating_add(AT_ONCE as i32));
        let entry = |fd| libc::pollfd { fd, events: 0, revents: 0 };
        let mut entries: Vec<libc::pollfd> = (first..last).map(entry).collect();
        // SAFETY: the entries are live for the call and of the number given. No event is asked for and the call does not
        // wait; a descriptor that is not open is answered by POLLNVAL.
        let answer = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, 0) };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        open += entries.iter().filter(|entry| entry.revents & libc::POLLNVAL == 0).count() as u64;
        first = last;
    }
    Ok(open)
}

/// Sets the mode of a file that is held by a descriptor made with O_PATH, on which fchmod(2) fails (fchmodat2(2), Linux
/// 6.6).
///
/// # Errors
/// The errno of the call; ENOSYS of an older kernel.
pub(crate) fn chmod_held(file: impl AsFd, mode: u32) -> io::Result<()> {
    // SAFETY: the path is an empty C string that lives for ever, and the descriptor is borrowed for the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_fchmodat2, file.as_fd().as_raw_fd(), c"".as_ptr(), mode, libc::AT_EMPTY_PATH)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn an_open_file_is_counted_and_numbers_beyond_the_limit_are_not() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let number = file.as_raw_fd() as u64;

        // Other tests open and close files meanwhile, but not this one.
        assert!(open_descriptors(number + 1).unwrap() > 0);
        assert!(open_descriptors(u64::MAX).unwrap() >= 1);
        assert_eq!(open_descriptors(0).unwrap(), 0);
    }
}
