//! Datagrams to send: many in one sendmmsg(2), each to its own address.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::SendFlags;

use super::Asked;
use super::control::Control;
use super::options::sends_trains;
use crate::sys::refusals::{Call, is_of_a_filter};

/// The most bytes of a train in IPv4, whose header counts itself, and the most datagrams (UDP_MAX_SEGMENTS; more only
/// since Linux 6.10).
const LONGEST: usize = 65_507;
const MOST_SEGMENTS: usize = 64;

/// One datagram, or a train of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure<'a> {
    pub(crate) bytes: &'a [u8],
    /// The length of each datagram of a train; 0 for a single datagram.
    pub(crate) segment: usize,
    /// The destination; `None` if the socket is connected.
    pub(crate) to: Option<SocketAddr>,
    /// The source address, if the socket has several.
    pub(crate) from: Option<Asked>,
    /// Whether it may leave in one train with its neighbours to the same address.
    pub(crate) joins: bool,
}

impl Departure<'_> {
    /// The length of each of its datagrams, but the last of a train.
    fn unit(&self) -> usize {
        if self.segment == 0 { self.bytes.len() } else { self.segment }
    }
}

/// The structures that sendmmsg(2) reads, reused between calls.
pub(crate) struct Departures {
    parts: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    headers: Box<[libc::mmsghdr]>,
    /// How many departures each header sends.
    counts: Box<[usize]>,
    /// Whether the kernel sends trains. An older one would send what is joined as one long datagram.
    can_join: bool,
    /// Whether sendmmsg(2) is refused.
    is_single: bool,
}

impl Departures {
    /// Allocates room for at most `most` datagrams or trains per call.
    pub(crate) fn new(most: usize) -> Departures {
        // SAFETY: all three are plain structures of integers and pointers, for which zeroes are a valid value.
        let (part, name, header) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Departures {
            parts: vec![part; most].into(),
            names: vec![name; most].into(),
            controls: vec![Control::EMPTY; most].into(),
            headers: vec![header; most].into(),
            counts: vec![0; most].into(),
            can_join: sends_trains(),
            is_single: false,
        }
    }

    /// Sends `count` datagrams in order, the n-th being `departure(n)`, but no more than there is room for. Returns the
    /// number sent: one, by sendmsg(2), if a filter refuses sendmmsg(2). What may be joined passes through the network
    /// stack once, as one train, and arrives as the datagrams it was.
    ///
    /// # Errors
    /// The error of the first datagram, or of all that were joined with it ([`is_of_a_train`]). A later one's is
    /// returned by the next call, which begins with it.
    pub(crate) fn send<'a>(
        &mut self,
        socket: impl AsFd,
        count: usize,
        departure: impl Fn(usize) -> Departure<'a>,
    ) -> io::Result<usize> {
        if count == 1
            && let Departure { bytes, segment: 0, to, from: None, .. } = departure(0)
        {
            return send_alone(socket, bytes, to);
        }
        let count = count.min(self.headers.len());
        if self.is_single && count > 0 {
            return self.send_one(socket, &departure(0));
        }
        let (mut headers, mut place) = (0, 0);
        while place < count {
            let first = departure(place);
            let run = if self.can_join { run(&first, (place + 1..count).map(&departure)) } else { 1 };
            for place in place..place + run {
                self.parts[place] = part(departure(place).bytes);
            }
            let segment = if run > 1 { first.unit() } else { first.segment };
            self.prepare(headers, place..place + run, segment, &first);
            self.counts[headers] = run;
            (headers, place) = (headers + 1, place + run);
        }
        // SAFETY: each of the first `headers` headers was just prepared: its pointers lead into boxes of this structure,
        // and its parts, of which there are `count`, into the bytes of departures, whose lifetime 'a outlives this call;
        // the kernel only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers[..headers].as_mut_ptr(),
                headers as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        match usize::try_from(sent).map_err(|_| io::Error::last_os_error()) {
            Err(error) if is_of_a_filter(&error) && Call::SendMmsg.refusal().is_some() => {
                self.is_single = true;
                self.send_one(socket, &departure(0))
            }
            sent => Ok(self.counts[..sent?].iter().sum()),
        }
    }

    fn send_one(&mut self, socket: impl AsFd, departure: &Departure<'_>) -> io::Result<usize> {
        self.parts[0] = part(departure.bytes);
        self.prepare(0, 0..1, departure.segment, departure);
        // SAFETY: the header was just prepared: its pointers lead into boxes of this structure or into the departure's
        // bytes, all of which outlive the call; the kernel only reads them.
        let sent = unsafe {
            libc::sendmsg(
                socket.as_fd().as_raw_fd(),
                &raw const self.headers[0].msg_hdr,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(1) }
    }

    /// Makes the header at `place` send these parts, to where `first` goes.
    fn prepare(&mut self, place: usize, parts: Range<usize>, segment: usize, first: &Departure<'_>) {
        let Departure { to, from, .. } = *first;
        let header = &mut self.headers[place].msg_hdr;
        header.msg_namelen = match to {
            None => 0,
            Some(to) => write_address(&mut self.names[place], to),
        };
        header.msg_name =
            if to.is_some() { (&raw mut self.names[place]).cast() } else { std::ptr::null_mut() };
        let parts = &mut self.parts[parts];
        (header.msg_iov, header.msg_iovlen) = (parts.as_mut_ptr(), parts.len());
        // A segment length beyond 16 bits is no train: the whole buffer is at most that long.
        let segment = u16::try_from(segment).unwrap_or(0);
        header.msg_controllen =
            if segment > 0 || from.is_some() { self.controls[place].write(segment, from) } else { 0 };
        header.msg_control = match header.msg_controllen {
            0 => std::ptr::null_mut(),
            _ => (&raw mut self.controls[place]).cast(),
        };
    }
}

/// Whether this may be the error of a train as such, and not of its datagrams: they are longer than the path carries
/// whole, or the path carries no trains.
pub(crate) fn is_of_a_train(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::EINVAL | libc::EIO | libc::EOPNOTSUPP))
}

/// How many departures may leave as one train, the first included: all of one length but the last, which may be shorter.
fn run<'a>(first: &Departure<'a>, others: impl Iterator<Item = Departure<'a>>) -> usize {
    let (unit, mut bytes, mut count) = (first.unit(), first.bytes.len(), 1);
    if !first.joins || unit == 0 {
        return 1;
    }
    for other in others {
        // Behind one that is shorter, none can follow.
        let follows = bytes.is_multiple_of(unit) && (other.to, other.from) == (first.to, first.from);
        let fits = other.unit() == unit || (other.segment == 0 && (1..unit).contains(&other.unit()));
        bytes += other.bytes.len();
        if !(follows && fits && other.joins && bytes <= LONGEST && bytes.div_ceil(unit) <= MOST_SEGMENTS) {
            break;
        }
        count += 1;
    }
    count
}

fn part(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// Sends a datagram that needs no control message without message headers, which the kernel would have to copy and
/// check.
fn send_alone(socket: impl AsFd, bytes: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match to {
        None => rustix::net::send(socket, bytes, flags)?,
        Some(to) => rustix::net::sendto(socket, bytes, flags, &to)?,
    };
    Ok(1)
}

/// Writes an address as the kernel expects it, and returns its length. sockaddr_in has its octets where sockaddr_in6
/// has the flow label.
fn write_address(name: &mut libc::sockaddr_in6, address: SocketAddr) -> libc::socklen_t {
    name.sin6_port = address.port().to_be();
    match address {
        SocketAddr::V4(v4) => {
            name.sin6_family = libc::AF_INET as libc::sa_family_t;
            name.sin6_flowinfo = u32::from_ne_bytes(v4.ip().octets());
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_flowinfo = 0;
            name.sin6_addr.s6_addr = v6.ip().octets();
            name.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}
