//! Reads the kernel's table of Unix sockets: include/uapi/linux/unix_diag.h.

use std::io;

use rustix::net::netlink::SOCK_DIAG;

use super::question::SOCK_DIAG_BY_FAMILY;
use crate::sys::netlink::{Request, ask, attribute, malformed, u32_at};

const UDIAG_SHOW_NAME: u32 = 0x01;
const UDIAG_SHOW_VFS: u32 = 0x02;
const UDIAG_SHOW_PEER: u32 = 0x04;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UDIAG_SHOW_UID: u32 = 0x40;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_VFS: u16 = 1;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_RQLEN: u16 = 4;
const UNIX_DIAG_UID: u16 = 7;
const UNIX_DIAG_MSG: usize = 16;
const LISTEN: u8 = 10;
/// The most sockets kept. A machine has thousands of Unix sockets, but not that many listeners.
const MAX_SOCKETS: usize = 8192;

/// A Unix socket of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnixSocket {
    /// SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5.
    pub(crate) kind: u8,
    /// The inode behind `/proc/PID/fd/N -> socket:[inode]`.
    pub(crate) inode: u32,
    /// The name it was bound to, spelled as in bind(2); an abstract name begins with a zero byte.
    pub(crate) name: Vec<u8>,
    /// The file it is bound to: inode and device (major, minor); it may have been removed since.
    pub(crate) file: Option<(u32, u32, u32)>,
    /// The inode of the other end; 0 while no process holds it.
    pub(crate) peer: Option<u32>,
    /// For a listener: the connections waiting to be accepted, and how many may wait.
    pub(crate) queue: Option<(u32, u32)>,
    /// The user id of its creator; `None` before Linux 5.3.
    pub(crate) uid: Option<u32>,
}

/// Every listening Unix socket.
pub(crate) fn listeners() -> io::Result<Vec<UnixSocket>> {
    let show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID;
    let answer = ask(Some(SOCK_DIAG), &Request::dump(SOCK_DIAG_BY_FAMILY, &request(1 << LISTEN, 0, show)))?;
    answer.messages.iter().take(MAX_SOCKETS).map(|message| read_socket(&message.body)).collect()
}

/// The socket with this inode, which is not 0.
pub(crate) fn of_inode(inode: u32) -> io::Result<UnixSocket> {
    let wanted = request(u32::MAX, inode, UDIAG_SHOW_PEER | UDIAG_SHOW_NAME);
    let answer = ask(Some(SOCK_DIAG), &Request::one(SOCK_DIAG_BY_FAMILY, &wanted))?;
    answer.messages.first().map_or_else(|| Err(malformed("no answer")), |message| read_socket(&message.body))
}

/// unix_diag_req.
fn request(states: u32, inode: u32, show: u32) -> Vec<u8> {
    let mut bytes = vec![libc::AF_UNIX as u8, 0, 0, 0];
    bytes.extend(states.to_ne_bytes());
    bytes.extend(inode.to_ne_bytes());
    bytes.extend(show.to_ne_bytes());
    bytes.extend([0xff; 8]); // no cookie
    bytes
}

/// unix_diag_msg and its attributes.
pub(super) fn read_socket(body: &[u8]) -> io::Result<UnixSocket> {
    let (Some(fixed), Some(attributes)) = (body.get(..UNIX_DIAG_MSG), body.get(UNIX_DIAG_MSG..)) else {
        return Err(malformed("a Unix socket cut short"));
    };
    let words = |kind: u16, count: usize| -> Option<Vec<u32>> {
        let value = attribute(attributes, kind)?;
        (0..count).map(|place| u32_at(value, place * 4)).collect()
    };
    // The kernel reports its internal dev_t: 12 bits of major, 20 of minor.
    let file = words(UNIX_DIAG_VFS, 2).map(|pair| (pair[0], pair[1] >> 20, pair[1] & 0xf_ffff));
    Ok(UnixSocket {
        kind: fixed[1],
        inode: u32_at(fixed, 4).unwrap_or_default(),
        name: name(attribute(attributes, UNIX_DIAG_NAME).unwrap_or_default()),
        file,
        peer: words(UNIX_DIAG_PEER, 1).map(|one| one[0]),
        queue: words(UNIX_DIAG_RQLEN, 2).map(|pair| (pair[0], pair[1])),
        uid: words(UNIX_DIAG_UID, 1).map(|one| one[0]),
    })
}

/// A path ends at the zero byte of its C string; in an abstract name every byte counts.
fn name(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [0, ..] => bytes.to_vec(),
        path => path.strip_suffix(&[0]).unwrap_or(path).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listener_is_known_by_its_file_and_shows_who_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let file = std::fs::metadata(&path).unwrap();

        let found = listeners().unwrap();

        let ours = found.iter().find(|socket| {
            socket.file.is_some_and(|file_of| {
                u64::from(file_of.0) == file.ino() && rustix::fs::makedev(file_of.1, file_of.2) == file.dev()
            })
        });
        let ours = ours.unwrap();
        assert_eq!(ours.queue.unwrap().0, 1);
        assert!(ours.name.ends_with(b"/s"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(body: Vec<u8>) {
            let _ = read_socket(&body);
        }
    }
}
