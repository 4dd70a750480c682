//! One connection attempt to one address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_oobinline, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getpeername, socket_with};
use tokio::io::Interest;

use super::listen::local_address;
use super::tcp::Tcp;
use super::{Congestion, Stream, hops, source, unix};
use crate::address::{Address, Interface};
use crate::sys;

/// The local addresses and the interface of a connection over the network, and its congestion control.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Local addresses to dial from, each tried when the one before has no free port. Empty: the kernel chooses.
    pub sources: Vec<IpAddr>,
    /// The interface to use, whatever the routing table has (socket(7), SO_BINDTODEVICE).
    pub interface: Option<Interface>,
    /// What its socket gets if its target is on loopback.
    pub congestion: Congestion,
}

/// Connects to `address`. For a network address, the sources of its family are tried in order until one has a free
/// port; without sources, the kernel chooses.
///
/// # Errors
/// The errno of connect(2); EADDRNOTAVAIL if no source has a free port, and `AddrNotAvailable` without an errno if the
/// last of them is no address to dial from. A target that accepts and resets at once is not an error here: the first
/// read meets the reset.
///
/// Cancel safe: a dropped attempt is closed. There is no deadline; the caller sets one.
pub async fn dial(address: &Address, from: &Origin) -> io::Result<Stream> {
    dial_marked(address, from, None).await
}

/// The same, for a client that has come through so many forwards, this one included.
///
/// # Errors
/// As of [`dial`].
pub(crate) async fn dial_marked(address: &Address, from: &Origin, hops: Option<u8>) -> io::Result<Stream> {
    match address {
        Address::Net(address) => dial_net(*address, from, hops).await.map(Stream::Tcp),
        Address::Unix(name) => unix::dial(name, hops).map(Stream::Unix),
        Address::Named(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn dial_net(address: SocketAddr, from: &Origin, hops: Option<u8>) -> io::Result<Tcp> {
    let mut exhausted = None;
    for &ip in &from.sources {
        if ip.is_ipv4() != address.is_ipv4() {
            continue;
        }
        match dial_from(address, Some(ip), from, hops).await {
            Err(e) if source::may_try_another(&e) => exhausted = Some(e),
            answer => return answer,
        }
    }
    match exhausted {
        Some(error) => Err(error),
        None => dial_from(address, None, from, hops).await,
    }
}

async fn dial_from(
    address: SocketAddr,
    ip: Option<IpAddr>,
    from: &Origin,
    hops: Option<u8>,
) -> io::Result<Tcp> {
    let interface = from.interface.as_ref();
    let socket = prepare(address, ip, interface)?;
    from.congestion.set_up(&socket, address.ip());
    if let Some(hops) = hops {
        hops::mark(&socket, address.is_ipv4(), hops);
    }
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(source::of_connect(error, address, ip, interface)),
    }
    // To this machine the handshake is complete when connect(2) returns, although it returns EINPROGRESS: the answer is
    // processed before the call ends. Then the socket has a peer, and a trip through the poller and SO_ERROR are saved.
    // A second connect(2) would show it too, but if the target has reset by then, it discards what the target sent
    // before (net/ipv4/af_inet.c, tcp_disconnect).
    let established = getpeername(&socket).is_ok();
    let stream = Tcp::new(socket)?;
    if !established {
        stream.ready(Interest::WRITABLE).await?;
        refuse_unmade(&stream)?;
    }
    refuse_itself(&stream, address)?;
    Ok(stream)
}

fn prepare(address: SocketAddr, ip: Option<IpAddr>, interface: Option<&Interface>) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_tcp_nodelay(&socket, true)?;
    // Urgent data stays in the stream: out of line, its byte would be lost.
    set_socket_oobinline(&socket, true)?;
    if let Some(interface) = interface {
        sys::bind_to_device(&socket, &interface.0)?;
    }
    if let Some(ip) = ip {
        sys::bind_address_no_port(&socket)?;
        bind(&socket, &SocketAddr::new(ip, 0)).map_err(source::of_bind)?;
    }
    Ok(socket)
}

/// The error if the connection was not established. A connection that was established and reset at once is not an
/// error: what the target sent can still be read, and the read after that returns the error.
fn refuse_unmade(stream: &Tcp) -> io::Result<()> {
    if sys::tcp_info(stream).is_ok_and(|it| it.was_made) {
        return Ok(());
    }
    stream.take_error()?.map_or(Ok(()), |error| Err(source::of_network(error)))
}

/// A dial to a port of the ephemeral range without a listener can connect to itself (simultaneous open, RFC 9293, 3.5)
/// and would then echo. That counts as a refusal.
fn refuse_itself(stream: &Tcp, address: SocketAddr) -> io::Result<()> {
    // Only a source port from the ephemeral range can be equal; the check costs a call, so it is skipped otherwise.
    if address.port() < FIRST_EPHEMERAL || local_address(stream)? != address {
        return Ok(());
    }
    Err(Errno::CONNREFUSED.into())
}

/// The smallest port that an administrator would put in ip_local_port_range; the default of Linux begins at 32768.
const FIRST_EPHEMERAL: u16 = 1024;
