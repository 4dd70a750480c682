//! Finds out whether the program of a process can be a server at all.
//!
//! A dynamically linked program that accepts connections imports the symbol `listen` or `accept`. A program that
//! imports neither, like `sleep`, can hold a listening socket only by inheritance.

use std::collections::BTreeSet;
use std::path::Path;

use crate::probe::{read_start, read_text};

const MAX_MAPS: u64 = 256 * 1024;
/// The largest file inspected, in bytes; a larger one belongs to some application, which is assumed to be a server.
const MAX_OBJECT: u64 = 4 << 20;
const MAX_OBJECTS: usize = 32;

/// Whether the program of `pid` and its libraries import a call that accepts connections; `None` if that is unknown:
/// its files may not be read, are large, or it is linked statically and imports nothing.
pub fn can_serve(pid: u32) -> Option<bool> {
    let maps = read_text(format!("/proc/{pid}/maps"), MAX_MAPS).ok()?;
    let objects = objects(&maps);
    // Without a C library a program makes system calls without importing symbols.
    if objects.len() > MAX_OBJECTS || !objects.iter().any(|object| is_c_library(object)) {
        return None;
    }
    for object in objects.into_iter().filter(|object| !is_c_library(object)) {
        // Read below the process's root, because its files may be in a container.
        let bytes = read_start(format!("/proc/{pid}/root{object}"), MAX_OBJECT).ok()?;
        if bytes.len() as u64 == MAX_OBJECT {
            return None;
        }
        if imports_accept(&bytes) {
            return Some(true);
        }
    }
    Some(false)
}

/// The files mapped as executable: address, permissions, offset, device, inode, path (proc_pid_maps(5)).
fn objects(maps: &str) -> BTreeSet<&str> {
    maps.lines()
        .filter(|line| {
            line.split_ascii_whitespace().nth(1).is_some_and(|permissions| permissions.contains('x'))
        })
        .filter_map(|line| line.find('/').map(|at| line[at..].trim_end()))
        .collect()
}

fn is_c_library(object: &str) -> bool {
    let name = Path::new(object).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["libc.so", "libc-", "ld-linux", "ld-musl", "libc.musl", "ld-2.", "libpthread"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The names of dynamic symbols end in a zero byte; a longer name with the same ending also matches.
fn imports_accept(object: &[u8]) -> bool {
    const CALLS: [&[u8]; 3] = [b"listen\0", b"accept\0", b"accept4\0"];
    CALLS.iter().any(|call| object.windows(call.len()).any(|window| window == *call))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_program_that_cannot_accept_is_told_from_one_that_can() {
        let mut sleep = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let arguments = format!("/proc/{}/cmdline", sleep.id());
        while std::fs::read(&arguments).unwrap().is_empty() {
            std::thread::yield_now();
        }

        let can_serve_sleep = can_serve(sleep.id());
        sleep.kill().unwrap();
        sleep.wait().unwrap();

        // Some systems link `sleep` statically.
        assert_ne!(can_serve_sleep, Some(true));
        assert_ne!(can_serve(std::process::id()), Some(false), "this test program listens elsewhere");
    }

    #[test]
    fn only_what_is_run_is_looked_into() {
        let maps = "55-56 r-xp 00000000 fe:00 1  /usr/bin/sleep\n56-57 r--p 0 fe:00 1 /usr/lib/locale/a b\n57-58 r-xp 0 fe:00 2 /lib/libc.so.6\n58-59 r-xp 0 0 0 [vdso]\n";

        assert_eq!(objects(maps), BTreeSet::from(["/usr/bin/sleep", "/lib/libc.so.6"]));
        assert!(is_c_library("/lib/libc.so.6") && !is_c_library("/usr/bin/sleep"));
    }

    #[test]
    fn an_import_is_found_by_its_name() {
        assert!(imports_accept(b"\0socket\0accept4\0"));
        assert!(!imports_accept(b"\0acceptable\0listener\0"));
    }
}
