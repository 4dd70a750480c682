//! Received datagrams: one buffer for many, filled by one recvmmsg(2).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::Asked;
use super::control::Control;
use crate::sys::refusals::{Call, is_of_a_filter};

/// The largest datagram or train: both headers hold the length in 16 bits.
const LONGEST: usize = 65_535;

/// The distance from one place to the next, in bytes. Not a power of two, so that the beginnings of the places, where
/// small datagrams are, do not fall into one set of the processor's cache.
const STRIDE: usize = LONGEST + 1 + 9 * 64;

/// Places for datagrams. Memory never written to is not resident, so small datagrams keep the resident size small.
pub(crate) struct Arrivals {
    memory: Box<[u8]>,
    parts: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    headers: Box<[libc::mmsghdr]>,
    /// All places from here on are prepared, and nothing was received into them since.
    prepared: usize,
    /// Whether recvmmsg(2) is refused.
    is_single: bool,
}

/// One datagram, or a train of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) bytes: &'a [u8],
    /// The length of each datagram of a train (the last may be shorter); 0 for a single datagram.
    pub(crate) segment: usize,
    /// The sender; `None` if the kernel does not report it.
    pub(crate) from: Option<SocketAddr>,
    /// The local address it was sent to, if the socket reports it ([`super::report_local_address`]).
    pub(crate) asked: Option<Asked>,
    /// Whether the kernel truncated it.
    pub(crate) cut: bool,
}

impl Arrival<'_> {
    /// The number of datagrams.
    pub(crate) fn count(&self) -> u64 {
        match self.segment {
            0 => 1,
            segment => self.bytes.len().div_ceil(segment).max(1) as u64,
        }
    }
}

impl Arrivals {
    /// Allocates room for `places` datagrams or trains.
    pub(crate) fn new(places: usize) -> Arrivals {
        // SAFETY: all three are plain structures of integers and pointers, for which zeroes are a valid value.
        let (part, name, header) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Arrivals {
            memory: vec![0; places * STRIDE].into(),
            parts: vec![part; places].into(),
            names: vec![name; places].into(),
            controls: vec![Control::EMPTY; places].into(),
            headers: vec![header; places].into(),
            prepared: places,
            is_single: false,
        }
    }

    /// The number of datagrams or trains that fit.
    pub(crate) fn places(&self) -> usize {
        self.headers.len()
    }

    /// Receives what is queued in the socket into at most `most` places, from `first` on; returns the number of places
    /// filled. If a filter refuses recvmmsg(2), it receives one datagram by recvmsg(2): an error behind it stays for the
    /// next call.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is queued. A connected socket also returns, once, the error that an ICMP message
    /// reported.
    pub(crate) fn receive(&mut self, socket: impl AsFd, first: usize, most: usize) -> io::Result<usize> {
        let end = first.saturating_add(most).min(self.places());
        let first = first.min(end);
        if self.is_single {
            return self.receive_one(socket, first, end);
        }
        // The kernel leaves the places alone that it fills with nothing: often most of them.
        for place in first..end.min(self.prepared) {
            self.prepare(place);
        }
        if end >= self.prepared {
            self.prepared = first;
        }
        // SAFETY: each of the `end - first` headers from `first` on is prepared: its pointers lead into boxes of this
        // structure, which never move and are borrowed mutably for the call, and its lengths are the lengths of those
        // boxes' parts.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers[first..end].as_mut_ptr(),
                (end - first) as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        match usize::try_from(count).map_err(|_| io::Error::last_os_error()) {
            Err(error) if is_of_a_filter(&error) && Call::RecvMmsg.refusal().is_some() => {
                self.is_single = true;
                self.receive_one(socket, first, end)
            }
            count => {
                let count = count?;
                self.prepared = self.prepared.max(first + count);
                Ok(count)
            }
        }
    }

    fn receive_one(&mut self, socket: impl AsFd, place: usize, end: usize) -> io::Result<usize> {
        if place == end {
            return Ok(0);
        }
        self.prepare(place);
        let header = &raw mut self.headers[place].msg_hdr;
        // SAFETY: the header was just prepared: its pointers lead into boxes of this structure, which is borrowed mutably
        // for the call, and its lengths are theirs.
        let length = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), header, libc::MSG_DONTWAIT) };
        let length = u32::try_from(length).map_err(|_| io::Error::last_os_error())?;
        self.headers[place].msg_len = length;
        Ok(1)
    }

    fn prepare(&mut self, place: usize) {
        let memory = &mut self.memory[place * STRIDE..][..LONGEST];
        self.parts[place] = libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: LONGEST };
        let header = &mut self.headers[place].msg_hdr;
        header.msg_name = (&raw mut self.names[place]).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        header.msg_iov = &raw mut self.parts[place];
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut self.controls[place]).cast();
        header.msg_controllen = Control::SIZE;
    }

    /// The bytes of what was last received in this place.
    pub(crate) fn bytes(&self, place: usize) -> &[u8] {
        let length = (self.headers[place].msg_len as usize).min(LONGEST);
        &self.memory[place * STRIDE..][..length]
    }

    /// The datagram or train that the last `receive` put in this place.
    pub(crate) fn get(&self, place: usize) -> Arrival<'_> {
        let header = &self.headers[place];
        let bytes = self.bytes(place);
        let control = self.controls[place].read(header.msg_hdr.msg_controllen);
        Arrival {
            bytes,
            // With UDP_GRO a single datagram has no segment, and a buffer as long as its segment is a single datagram.
            segment: if control.segment < bytes.len() { control.segment } else { 0 },
            from: address(&self.names[place], header.msg_hdr.msg_namelen),
            asked: control.asked,
            cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        }
    }
}

/// Parses an address as the kernel writes it. Family and port have the same offsets in sockaddr_in and sockaddr_in6,
/// and IPv4 has its octets where IPv6 has its flow label.
fn address(name: &libc::sockaddr_in6, length: libc::socklen_t) -> Option<SocketAddr> {
    let port = u16::from_be(name.sin6_port);
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET if length as usize >= size_of::<libc::sockaddr_in>() => {
            Some((Ipv4Addr::from(name.sin6_flowinfo.to_ne_bytes()), port).into())
        }
        libc::AF_INET6 if length as usize >= size_of::<libc::sockaddr_in6>() => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, port, 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}
