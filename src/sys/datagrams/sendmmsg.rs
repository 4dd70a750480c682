//! Datagrams to send: many in one sendmmsg(2), each to its own address.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::SendFlags;

use super::Asked;
use super::control::Control;
use crate::sys::refusals::{Call, is_of_a_filter};

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
}

/// The structures that sendmmsg(2) reads, reused between calls.
pub(crate) struct Departures {
    parts: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    headers: Box<[libc::mmsghdr]>,
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
            is_single: false,
        }
    }

    /// Sends `count` datagrams in order, the n-th being `departure(n)`, but no more than there is room for. Returns the
    /// number sent: one, by sendmsg(2), if a filter refuses sendmmsg(2).
    ///
    /// # Errors
    /// The error of the first datagram. A later datagram's error is returned by the next call, which begins with it.
    pub(crate) fn send<'a>(
        &mut self,
        socket: impl AsFd,
        count: usize,
        departure: impl Fn(usize) -> Departure<'a>,
    ) -> io::Result<usize> {
        if count == 1
            && let Departure { bytes, segment: 0, to, from: None } = departure(0)
        {
            return send_alone(socket, bytes, to);
        }
        let count = count.min(self.headers.len());
        if self.is_single && count > 0 {
            return self.send_one(socket, &departure(0));
        }
        for place in 0..count {
            self.prepare(place, &departure(place));
        }
        // SAFETY: each of the first `count` headers was just prepared: its pointers lead into boxes of this structure or
        // into the bytes of a departure, whose lifetime 'a outlives this call; the kernel only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers[..count].as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        match usize::try_from(sent).map_err(|_| io::Error::last_os_error()) {
            Err(error) if is_of_a_filter(&error) && Call::SendMmsg.refusal().is_some() => {
                self.is_single = true;
                self.send_one(socket, &departure(0))
            }
            answer => answer,
        }
    }

    fn send_one(&mut self, socket: impl AsFd, departure: &Departure<'_>) -> io::Result<usize> {
        self.prepare(0, departure);
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

    fn prepare(&mut self, place: usize, departure: &Departure<'_>) {
        let Departure { bytes, segment, to, from } = *departure;
        self.parts[place] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let header = &mut self.headers[place].msg_hdr;
        header.msg_namelen = match to {
            None => 0,
            Some(to) => write_address(&mut self.names[place], to),
        };
        header.msg_name =
            if to.is_some() { (&raw mut self.names[place]).cast() } else { std::ptr::null_mut() };
        header.msg_iov = &raw mut self.parts[place];
        header.msg_iovlen = 1;
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
