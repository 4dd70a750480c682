//! The Unix sockets of this network namespace, as /proc/net/unix shows them to every user (proc_net(5)).
//!
//! The table lists a path as it was bound, so another spelling of the path, or a socket of another namespace, is not
//! found.

use std::io;

use crate::address::UnixName;

use crate::probe::read_start;

/// The most bytes read of the table, enough for a hundred thousand sockets.
const MAX_TABLE: u64 = 16 << 20;

/// __SO_ACCEPTCON of linux/net.h: the socket listens.
const LISTENS: u32 = 1 << 16;

/// The state of a name in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// No socket is bound to it.
    Nothing,
    /// A socket is bound to it and does not listen.
    Bound {
        /// The inode behind `/proc/PID/fd/N -> socket:[inode]`.
        inode: u32,
    },
    /// A socket listens there.
    Listening {
        /// The inode behind `/proc/PID/fd/N -> socket:[inode]`.
        inode: u32,
    },
}

/// Looks `name` up in the kernel's table, without connecting.
///
/// # Errors
/// The table cannot be read.
pub fn known(name: &UnixName) -> io::Result<Known> {
    let table = read_start("/proc/net/unix", MAX_TABLE)?;
    Ok(find(&table, name))
}

fn find(table: &[u8], name: &UnixName) -> Known {
    let shown = match name {
        UnixName::Path(path) => path.to_string(),
        UnixName::Abstract(name) => format!("@{name}"),
    };
    let mut best = Known::Nothing;
    for line in table.split(|byte| *byte == b'\n') {
        match row(line) {
            Some((flags, inode, path)) if path == shown.as_bytes() => {
                // Two sockets of one name: the file of the first was removed. The one that does not listen yet is the newer.
                if flags & LISTENS == 0 {
                    return Known::Bound { inode };
                }
                best = Known::Listening { inode };
            }
            _ => {}
        }
    }
    best
}

/// Parses `0000000000000000: 00000002 00000000 00010000 0001 01 17234 /run/x.sock`: flags, inode and path.
///
/// An accepted socket shows its listener's path too; it is connected (state 03) and owns no name, so it is left out.
fn row(line: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (flags, rest) =
        field(line).and_then(|(_, rest)| field(rest)).and_then(|(_, rest)| field(field(rest)?.1))?;
    let (_, rest) = field(rest)?;
    let (state, rest) = field(rest)?;
    let (inode, path) = field(rest)?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    (state != "03").then_some((flags, inode.parse().ok()?, path))
}

/// The first word, and the text after the one space that follows it.
fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(|byte| *byte == b' ')?;
    Some((std::str::from_utf8(&line[..end]).ok()?, &line[end + 1..]))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_listener_is_known_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let name = UnixName::Path(path.to_str().unwrap().into());

        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let accepted = listener.accept().unwrap();
        let while_open = known(&name).unwrap();
        drop(listener);
        let after = known(&name).unwrap();
        drop((client, accepted));

        assert!(matches!(while_open, Known::Listening { inode } if inode > 0), "{while_open:?}");
        assert_eq!(after, Known::Nothing, "an accepted socket is no listener, though it shows the path");
    }

    #[test]
    fn an_abstract_name_and_a_padded_inode_are_read() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01    12 @gate\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 10823\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 99 /run/a b\n";

        assert_eq!(find(table, &UnixName::Abstract("gate".into())), Known::Listening { inode: 12 });
        assert_eq!(find(table, &UnixName::Path("/run/a b".into())), Known::Bound { inode: 99 });
        assert_eq!(find(table, &UnixName::Path("/run/a".into())), Known::Nothing);

        let both = b"0: 2 0 00010000 0001 01 7 /run/x\n0: 2 0 00000000 0001 01 8 /run/x\n0: 2 0 00010000 0001 01 9 /run/x\n";
        assert_eq!(find(both, &UnixName::Path("/run/x".into())), Known::Bound { inode: 8 });
    }
}
