//! The one way in which files are read: the configuration, what it includes and names, and files to import.
//!
//! A named file must be a regular one. Anything else may never end, may wait for another process, or may change something
//! by being opened. The open never waits: a lease (fcntl(2), F_SETLEASE) lets the owner of a file hold up each open(2) of
//! it for 45 s. A disk or a network file system that does not answer can hold up even a regular file, so a running proxy
//! reads on a thread of its own (`sources`).

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, PROC_SUPER_MAGIC, fstatfs};

use crate::transport::secrecy;

/// How often a file under a lease is tried, and the pause in between: a holder that behaves lets go at once.
const LEASE_TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// How long a pipe may be silent.
const PIPE_PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The file systems whose files the kernel makes up, beside /proc: sysfs, debugfs, tracefs, securityfs, cgroup, cgroup2.
const OF_KERNEL: [u32; 6] = [0x6265_6572, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0x0027_e0eb, 0x6367_7270];

/// How large a file may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) mebibytes: u64,
    /// What the limit is for, to follow the size; may be empty.
    pub(crate) name: &'static str,
}

impl Limit {
    pub(crate) fn bytes(self) -> u64 {
        self.mebibytes << 20
    }
}

/// What was read.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// The permission bits of the file; those of its group only if they give a group, or anybody beside this user and root,
    /// a right: those of a credential of systemd do not ([`secrecy`]).
    pub(crate) mode: u32,
}

impl Content {
    /// The text.
    ///
    /// # Errors
    /// The line, from 1, and the position of the first byte that is not UTF-8.
    pub(crate) fn text(self) -> Result<String, (usize, usize)> {
        String::from_utf8(self.bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
            (line, good)
        })
    }
}

/// Removes the byte-order mark with which editors of Windows begin a text.
pub(crate) fn skip_mark(bytes: &mut Vec<u8>) {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    Failed(io::Error),
    Directory,
    NotRegular,
    /// Neither a regular file nor a pipe.
    NoFileNorPipe,
    OfKernel,
    TooLarge(Limit),
    /// Another process holds a lease. It may be read later without having changed.
    Leased,
    /// A pipe to which nothing was written.
    Silent,
}

impl Unread {
    /// What is wrong, to follow the file's name, and what to do.
    pub(crate) fn told(&self) -> (String, &'static str) {
        let (what, help) = match self {
            Unread::Failed(error) => return unreadable(error),
            Unread::Directory => return unreadable(&io::ErrorKind::IsADirectory.into()),
            Unread::NotRegular => {
                ("this is not a regular file", "name a regular file, which can be read again when it changes")
            }
            Unread::NoFileNorPipe => {
                ("this is neither a file nor a pipe", "name a file, or /dev/stdin to read from a pipe")
            }
            Unread::OfKernel => (
                "the kernel makes this file up each time it is read",
                "name a file that was written, such as a copy of this one",
            ),
            Unread::TooLarge(limit) => {
                let comma = if limit.name.is_empty() { "" } else { ", " };
                let what = format!("the file is larger than {} MiB{comma}{}", limit.mebibytes, limit.name);
                return (what, "is this the right file?");
            }
            Unread::Leased => (
                "another process holds a lease on the file, so it cannot be opened",
                "end the process that /proc/locks names for it, or try again when it has let go of the file",
            ),
            Unread::Silent => ("nothing was written to this pipe for 30 s", "start what writes to it first"),
        };
        (what.to_owned(), help)
    }
}

/// Why a file cannot be read, and what to do.
pub(super) fn unreadable(error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file".into(), "check the path, or write the file"),
        io::ErrorKind::IsADirectory => ("this is a directory".into(), "name the file in it"),
        io::ErrorKind::PermissionDenied => {
            ("this user may not read the file".into(), "change its permissions, or run as a user who may")
        }
        _ => (format!("the file cannot be read: {error}"), "check the path"),
    }
}

/// The content of a regular file.
///
/// # Errors
/// Why it was not read.
pub(crate) fn read_regular(path: &Path, limit: Limit) -> Result<Content, Unread> {
    // The kind is checked before the open, which is not without effect on every device.
    let meta = fs::metadata(path).map_err(Unread::Failed)?;
    regular(&meta)?;
    let file = open(path)?;
    // Another file may have been put there meanwhile.
    let meta = file.metadata().map_err(Unread::Failed)?;
    regular(&meta)?;
    if is_of_kernel(&file) {
        return Err(Unread::OfKernel);
    }
    let is_private = secrecy::judge(&file, &meta).is_ok();
    let mut bytes = Vec::new();
    // One byte more than allowed distinguishes a file that is too large from one that just fits.
    file.take(limit.bytes() + 1).read_to_end(&mut bytes).map_err(Unread::Failed)?;
    let content = fitting(bytes, &meta, limit)?;
    let kept = if is_private { 0o707 } else { 0o777 };
    Ok(Content { mode: content.mode & kept, ..content })
}

/// The content of a regular file, of a pipe up to its end, or of what is typed at a terminal. Only for what is read once,
/// before anything depends on this process.
///
/// # Errors
/// Why it was not read.
pub(crate) fn read_file_or_pipe(path: &Path, limit: Limit) -> Result<Content, Unread> {
    let meta = fs::metadata(path).map_err(Unread::Failed)?;
    let kind = meta.file_type();
    if kind.is_fifo() {
        return fitting(read_pipe(&open(path)?, limit)?, &meta, limit);
    }
    if kind.is_char_device() {
        let terminal = open(path)?;
        if !terminal.is_terminal() {
            return Err(Unread::NoFileNorPipe);
        }
        return fitting(read_pipe(&terminal, limit)?, &meta, limit);
    }
    read_regular(path, limit).map_err(|unread| match unread {
        Unread::NotRegular => Unread::NoFileNorPipe,
        other => other,
    })
}

fn fitting(mut bytes: Vec<u8>, meta: &Metadata, limit: Limit) -> Result<Content, Unread> {
    if bytes.len() as u64 > limit.bytes() {
        return Err(Unread::TooLarge(limit));
    }
    skip_mark(&mut bytes);
    Ok(Content { bytes, mode: meta.mode() & 0o777 })
}

fn regular(meta: &Metadata) -> Result<(), Unread> {
    match meta.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(Unread::Directory),
        _ => Err(Unread::NotRegular),
    }
}

/// Opens a file for reading, without waiting for its lease or for the other end of a pipe, and without making a terminal
/// the one that controls this process.
fn open(path: &Path) -> Result<File, Unread> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    for tried in 1.. {
        match File::options().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && tried == LEASE_TRIES => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(BETWEEN_TRIES),
            answer => return answer.map_err(Unread::Failed),
        }
    }
    Err(Unread::Leased)
}

/// Whether the kernel makes up what is read, as of /proc/kmsg, which waits for the next message at its end.
fn is_of_kernel(file: &File) -> bool {
    let kind = fstatfs(file).map(|it| it.f_type as u32);
    kind.is_ok_and(|kind| kind == PROC_SUPER_MAGIC as u32 || OF_KERNEL.contains(&kind))
}

/// Everything up to the end, or up to one byte more than the limit.
fn read_pipe(mut pipe: &File, limit: Limit) -> Result<Vec<u8>, Unread> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 << 10]);
    while bytes.len() as u64 <= limit.bytes() {
        // Before the first writer has come, a read would be told the end.
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&PIPE_PATIENCE)) {
            Ok(0) => return Err(Unread::Silent),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Unread::Failed(errno.into())),
        }
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(Unread::Failed(error)),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const SMALL: Limit = Limit { mebibytes: 1, name: "" };

    fn told(path: &str) -> String {
        read_regular(Path::new(path), SMALL).unwrap_err().told().0
    }

    #[test]
    fn what_never_ends_or_waits_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

        for (path, what) in [
            (pipe.to_str().unwrap(), "this is not a regular file"),
            ("/dev/zero", "this is not a regular file"),
            ("/dev/tty", "this is not a regular file"),
            ("/", "this is a directory"),
            ("/proc/kmsg", "the kernel makes this file up each time it is read"),
            ("/proc/self/status", "the kernel makes this file up each time it is read"),
        ] {
            // The right to open it is asked for first.
            let told = told(path);
            assert!(told == what || told == "this user may not read the file", "{path}: {told}");
        }
    }

    #[test]
    fn a_pipe_is_read_to_its_end_however_late_its_writer_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || {
                // This open waits for the reader's.
                let mut pipe = fs::OpenOptions::new().write(true).open(path).unwrap();
                pipe.write_all(&[b'#'; 100_000]).unwrap();
            })
        };

        let content = read_file_or_pipe(&path, SMALL).unwrap();

        writer.join().unwrap();
        assert_eq!(content.bytes.len(), 100_000);
        let refused = read_file_or_pipe(Path::new("/dev/zero"), SMALL).unwrap_err();
        assert_eq!(refused.told().0, "this is neither a file nor a pipe");
    }
}
