//! What every netlink conversation has in common: one question, the messages of the answer, their attributes.
//!
//! Layouts are those of netlink(7), include/uapi/linux/netlink.h. The descriptor of a conversation is closed with its
//! answer, so that one at a time is enough. Nothing is asked that changes anything.
//!
//! It is written by hand, as are its readers in sock_diag, rtnetlink and nftables: no crate of a permissive licence reads
//! nf_tables without a C library or `nft` itself, the one for routes comes with a runtime, the one for sockets
//! drops the kernel's errors. Here every answer has a bound and every length is checked.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::net::{self, AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// One message of an answer, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// What follows the header: a structure of the family's, then attributes.
    pub(crate) body: Vec<u8>,
}

/// Everything the kernel answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The messages in their order.
    pub(crate) messages: Vec<Message>,
    /// Whether there were more than [`MAX_ANSWER`] bytes of them.
    pub(crate) truncated: bool,
    /// Whether the kernel's table changed under the dump: then rows may be missing or double.
    pub(crate) interrupted: bool,
    /// How many bytes of them there are.
    bytes: usize,
}

/// A question: a header, the structure of its family, attributes.
#[derive(Clone, Debug)]
pub(crate) struct Request(Vec<u8>);

/// Far more than any table a person wrote; a full routing table of the Internet is cut off here.
pub(crate) const MAX_ANSWER: usize = 8 << 20;
/// A dump fills at most 32 KiB at a time, a link with many virtual functions 64 KiB (netlink_dump, rtnl_calcit).
const BUFFER: usize = 64 * 1024;
/// The kernel answers within the call; the limit is for a kernel that does not.
const PATIENCE: Duration = Duration::from_secs(1);
/// A table that changes under a dump is dumped again, this often.
const ATTEMPTS: usize = 3;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_MULTI: u16 = 0x002;
const NLM_F_DUMP_INTR: u16 = 0x010;
const NLM_F_DUMP: u16 = 0x300;
const HEADER: usize = 16;
const SEQUENCE: u32 = 1;
/// NLA_F_NESTED and NLA_F_NET_BYTEORDER say how to read the payload, not what it is.
const KIND_MASK: u16 = 0x3fff;

impl Request {
    /// A question about one thing.
    pub(crate) fn one(kind: u16, fixed: &[u8]) -> Request {
        Request::new(kind, NLM_F_REQUEST, fixed)
    }

    /// A question about all of them.
    pub(crate) fn dump(kind: u16, fixed: &[u8]) -> Request {
        Request::new(kind, NLM_F_REQUEST | NLM_F_DUMP, fixed)
    }

    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Request {
        let mut bytes = vec![0; 4]; // the length, known at the end
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(SEQUENCE.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes()); // to the kernel
        bytes.extend(fixed);
        Request(bytes)
    }

    /// The same question with one attribute more.
    pub(crate) fn with(mut self, kind: u16, payload: &[u8]) -> Request {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.0.extend((4 + payload.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(payload);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }
}

/// Asks and waits for the whole answer, at most a second for each part of it.
///
/// # Errors
/// What the kernel answers instead, as ENETUNREACH for a route that does not exist; EPERM without the right to ask;
/// EMFILE without a descriptor; `InvalidData` where the answer is not shaped as the headers say.
pub(crate) fn ask(protocol: Option<Protocol>, request: &Request) -> io::Result<Answer> {
    let mut answer = Answer::default();
    for _ in 0..ATTEMPTS {
        let socket = open(protocol)?;
        net::send(&socket, &request.bytes(), SendFlags::empty())?;
        answer = Answer::default();
        while !receive(&socket, &mut answer)? && !answer.truncated {}
        if !answer.interrupted {
            break;
        }
    }
    Ok(answer)
}

fn open(protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// Receives one datagram; true when it was the last.
fn receive(socket: &OwnedFd, answer: &mut Answer) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    let (_, length) = rustix::io::retry_on_intr(|| net::recv(socket, &mut buffer[..], RecvFlags::TRUNC))?;
    let datagram = buffer.get(..length).ok_or_else(|| malformed("a datagram larger than the buffer"))?;
    read_datagram(datagram, answer)
}

/// Reads the messages of one datagram; true when no more will come.
pub(crate) fn read_datagram(mut rest: &[u8], answer: &mut Answer) -> io::Result<bool> {
    while !rest.is_empty() {
        let (Some(length), Some(kind), Some(flags)) = (u32_at(rest, 0), u16_at(rest, 4), u16_at(rest, 6))
        else {
            return Err(malformed("a message without its header"));
        };
        let length = length as usize;
        let body = rest.get(HEADER..length).ok_or_else(|| malformed("a message cut short"))?;
        answer.interrupted |= flags & NLM_F_DUMP_INTR != 0;
        if kind == NLMSG_DONE || kind == NLMSG_ERROR {
            return end_of_answer(kind, body);
        }
        answer.bytes += body.len();
        if answer.bytes > MAX_ANSWER {
            answer.truncated = true;
            return Ok(true);
        }
        answer.messages.push(Message { kind, body: body.to_vec() });
        if flags & NLM_F_MULTI == 0 {
            return Ok(true);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// An error and the end of a dump both carry an errno, negative, or 0.
fn end_of_answer(kind: u16, body: &[u8]) -> io::Result<bool> {
    match u32_at(body, 0).map(|code| (code as i32).wrapping_neg()) {
        Some(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno)),
        None if kind == NLMSG_ERROR => Err(malformed("an error without its number")),
        _ => Ok(true),
    }
}

/// The attributes of a message or of a nested attribute, in order; it ends where one is cut short.
pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)?);
        let payload = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & KIND_MASK, payload))
    })
}

/// The payload of the first attribute of this kind.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, payload)| payload)
}

/// A string of the kernel, without its final zero; what is not UTF-8 is replaced.
pub(crate) fn text(payload: &[u8]) -> String {
    let end = payload.iter().position(|byte| *byte == 0).unwrap_or(payload.len());
    String::from_utf8_lossy(&payload[..end]).into_owned()
}

/// In the machine's byte order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset.checked_add(2)?)?.try_into().ok()?))
}

/// In the machine's byte order.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?))
}

/// In the machine's byte order.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?))
}

pub(crate) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("netlink: {what}"))
}

/// An address as inet_diag and its like have it: sixteen bytes, of which IPv4 fills the first four.
pub(super) fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_dump_ends_with_its_last_message_and_an_errno_is_an_error() {
        let mut datagram = message(20, NLM_F_MULTI, b"abcd");
        datagram.extend(message(20, NLM_F_MULTI | NLM_F_DUMP_INTR, b"efgh"));
        let mut answer = Answer::default();

        let more = read_datagram(&datagram, &mut answer).unwrap();
        let done = read_datagram(&message(NLMSG_DONE, NLM_F_MULTI, &[0; 4]), &mut answer).unwrap();
        let error = read_datagram(&message(NLMSG_ERROR, 0, &(-101i32).to_ne_bytes()), &mut answer);

        assert_eq!((more, done, answer.messages.len(), answer.interrupted), (false, true, 2, true));
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::ENETUNREACH));
    }

    #[test]
    fn every_truncation_of_an_answer_is_an_error_or_a_part_and_never_a_crash() {
        let request = Request::one(7, &[1; 12]).with(3, b"lo\0").with(4, &[9; 4]).bytes();
        let datagram = message(16, NLM_F_MULTI, &request[HEADER..]);

        for length in 1..datagram.len() {
            let mut answer = Answer::default();
            assert!(read_datagram(&datagram[..length], &mut answer).is_err(), "{length}");
            let _ = attributes(&datagram[HEADER + 12..][..length.saturating_sub(HEADER + 12)]).count();
        }
    }

    #[test]
    fn attributes_are_written_as_they_are_read() {
        let bytes = Request::one(7, &[]).with(3, b"lo\0").with(4 | 0x8000, &7u32.to_ne_bytes()).bytes();

        let read: Vec<_> = attributes(&bytes[HEADER..]).collect();

        assert_eq!(read, [(3, &b"lo\0"[..]), (4, &7u32.to_ne_bytes()[..])]);
        assert_eq!(u32_at(&bytes, 0), Some(bytes.len() as u32));
        assert_eq!(text(read[0].1), "lo");
    }
}
