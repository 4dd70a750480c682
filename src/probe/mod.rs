//! Asks the system: sockets, their holders, ports, limits. Facts only.
//!
//! Nothing here judges (that is `diagnosis`) and nothing is changed, except where a function says so. Everything is
//! synchronous and meant for the moment after an error, never for the data path. What may not be read is said, not
//! guessed.

pub mod accounts;
mod cgroups;
pub mod connections;
pub mod counters;
pub mod dialogues;
pub mod ending;
pub mod environment;
pub mod firewall;
pub mod freshness;
mod group_files;
pub mod holders;
pub mod limits;
pub(crate) mod masking;
pub mod memory;
pub mod namespaces;
pub mod naming;
pub mod network;
pub mod ports;
pub mod process;
pub mod program;
mod residence;
pub mod resolver;
pub mod rights;
pub mod routing;
pub mod services;
pub mod settings;
pub mod sockets;
pub mod threads;
pub mod trace;
pub mod udp;
pub mod units;
pub mod unix;
pub mod unix_table;
pub mod vitals;

pub(crate) use masking::printable;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads the beginning of a file, at most `limit` bytes: files under /proc tell no length and some have no bound.
fn read_start(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, as text; what is not UTF-8 is replaced.
fn read_text(path: impl AsRef<Path>, limit: u64) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read_start(path, limit)?).into_owned())
}

/// A path, fit for a terminal.
pub fn printable_path(path: &Path) -> String {
    masking::printable(&path.to_string_lossy(), 200)
}
