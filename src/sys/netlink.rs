//! The common part of every netlink exchange: one request, the messages of the answer, their attributes.
//!
//! Layouts follow netlink(7) and include/uapi/linux/netlink.h. The descriptor of a request is closed once it is
//! answered, so one descriptor at a time is enough. No request changes anything.
//!
//! It is written by hand, as are the parsers in sock_diag, rtnetlink and nftables: no permissively licensed crate reads
//! nf_tables without a C library or the program `nft`, the crate for routes brings a runtime, and the crate for sockets
//! drops the kernel's errors. Here every answer is bounded and every length is checked.

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
    /// The part after the header: a structure of the family, then attributes.
    pub(crate) body: Vec<u8>,
}

/// The kernel's whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The messages in order.
    pub(crate) messages: Vec<Message>,
    /// Whether messages beyond [`MAX_ANSWER`] bytes were left out.
    pub(crate) truncated: bool,
    /// Whether the kernel's table changed during the dump, so that rows may be missing or duplicated.
    pub(crate) interrupted: bool,
    /// The bytes of all messages together.
    bytes: usize,
}

/// A request: a header, the structure of its family, attributes.
#[derive(Clone, Debug)]
pub(crate) struct Request(Vec<u8>);

/// The most bytes kept of an answer. Far more than any table written by hand; a full Internet routing table is cut off
/// here.
pub(crate) const MAX_ANSWER: usize = 8 << 20;
/// The largest datagram: the kernel fills at most 32 KiB at a time in a dump, 64 KiB for a link with many virtual
/// functions (netlink_dump, rtnl_calcit).
const BUFFER: usize = 64 * 1024;
/// The receive time-out. The kernel answers within the call; the limit guards against a kernel that does not.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a dump is tried if the table changes during it.
const ATTEMPTS: usize = 3;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_MULTI: u16 = 0x002;
const NLM_F_DUMP_INTR: u16 = 0x010;
const NLM_F_DUMP: u16 = 0x300;
const HEADER: usize = 16;
const SEQUENCE: u32 = 1;
/// Masks off NLA_F_NESTED and NLA_F_NET_BYTEORDER, which describe the payload's encoding, not its type.
const KIND_MASK: u16 = 0x3fff;

impl Request {
    /// A request for one object.
    pub(crate) fn one(kind: u16, fixed: &[u8]) -> Request {
        Request::new(kind, NLM_F_REQUEST, fixed)
    }

    /// A request for all objects.
    pub(crate) fn dump(kind: u16, fixed: &[u8]) -> Request {
        Request::new(kind, NLM_F_REQUEST | NLM_F_DUMP, fixed)
    }

    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Request {
        let mut bytes = vec![0; 4]; // the length, filled in at the end
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(SEQUENCE.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes()); // to the kernel
        bytes.extend(fixed);
        Request(bytes)
    }

    /// The same request with one more attribute.
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

/// Sends a request and waits for the whole answer, at most one second for each part.
///
/// # Errors
/// The errno of the kernel's answer, such as ENETUNREACH for a route that does not exist; EPERM without the required
/// right; EMFILE without a free descriptor; `InvalidData` if the answer does not have the layout of the headers.
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

/// Receives one datagram; returns true for the last one.
fn receive(socket: &OwnedFd, answer: &mut Answer) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    let (_, length) = rustix::io::retry_on_intr(|| net::recv(socket, &mut buffer[..], RecvFlags::TRUNC))?;
    let datagram = buffer.get(..length).ok_or_else(|| malformed("a datagram larger than the buffer"))?;
    read_datagram(datagram, answer)
}

/// Parses the messages of one datagram; returns true if it ends the answer.
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

/// NLMSG_ERROR and NLMSG_DONE both carry an errno, negated, or 0.
fn end_of_answer(kind: u16, body: &[u8]) -> io::Result<bool> {
    match u32_at(body, 0).map(|code| (code as i32).wrapping_neg()) {
        Some(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno)),
        None if kind == NLMSG_ERROR => Err(malformed("an error without its number")),
        _ => Ok(true),
    }
}

/// The attributes of a message or of a nested attribute, in order, up to the first truncated one.
pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)?);
        let payload = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & KIND_MASK, payload))
    })
}

/// The payload of the first attribute of type `wanted`.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, payload)| payload)
}

/// A string from the kernel, without its final zero byte; invalid UTF-8 is replaced.
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

/// An address in the layout of inet_diag: sixteen bytes, of which IPv4 fills the first four.
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
