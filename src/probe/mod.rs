//! Reads facts from the system: sockets, the processes that hold them, ports, limits.
//!
//! Nothing here draws conclusions (`diagnosis` does) and nothing changes the system, unless a function's documentation
//! states it. Everything is synchronous and meant for the moment after an error, never for the data path. What cannot
//! be read is reported as such, not guessed.

pub mod firewall;
pub mod network;
pub mod process;
pub mod sockets;
pub mod system;
pub mod trace;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads the beginning of a file, at most `limit` bytes: files under /proc report no length, and some are unbounded.
fn read_start(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, as text; invalid UTF-8 is replaced.
fn read_text(path: impl AsRef<Path>, limit: u64) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read_start(path, limit)?).into_owned())
}

/// A path, escaped for a terminal and cut to 200 characters.
pub fn printable_path(path: &Path) -> String {
    crate::units::shown_path(path)
}
