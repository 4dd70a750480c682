//! One connection attempt to one address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_oobinline, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getpeername, socket_with};
use tokio::net::TcpStream;

use super::{Stream, unix};
use crate::address::{Address, Interface};
use crate::sys;

/// Where a dial over the network starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Local addresses to dial from, each tried when the one before has no port left. Empty: the kernel chooses.
    pub sources: Vec<IpAddr>,
    /// The interface to leave by, whatever the routing says (socket(7), SO_BINDTODEVICE).
    pub interface: Option<Interface>,
}

/// Connects to `address`. One of the network is dialled from each source of its family in turn while the one before has
/// no port left; from wherever the kernel chooses where there is none.
///
/// # Errors
/// The errno of connect(2); EADDRNOTAVAIL once every source is used up. A target that accepts and resets at once is no
/// error here: the first read meets the reset.
///
/// Cancel safe: an attempt that is dropped is closed. It has no deadline of its own.
pub async fn dial(address: &Address, from: &Origin) -> io::Result<Stream> {
    match address {
        Address::Net(address) => dial_net(*address, from).await.map(Stream::Tcp),
        Address::Unix(name) => unix::dial(name).map(Stream::Unix),
        Address::Named(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn dial_net(address: SocketAddr, from: &Origin) -> io::Result<TcpStream> {
    let mut exhausted = None;
    for &source in &from.sources {
        if source.is_ipv4() != address.is_ipv4() {
            continue;
        }
        match dial_from(address, Some(source), from.interface.as_ref()).await {
            Err(e) if e.raw_os_error() == Some(Errno::ADDRNOTAVAIL.raw_os_error()) => exhausted = Some(e),
            answer => return answer,
        }
    }
    match exhausted {
        Some(error) => Err(error),
        None => dial_from(address, None, from.interface.as_ref()).await,
    }
}

async fn dial_from(
    address: SocketAddr,
    source: Option<IpAddr>,
    interface: Option<&Interface>,
) -> io::Result<TcpStream> {
    let socket = prepare(address, source, interface)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    // Towards this machine the handshake is over when connect(2) returns, though it says EINPROGRESS: the answer was
    // processed on its way out of the call. Then there is an other end, and a trip through the poller and SO_ERROR are
    // saved. A second connect(2) would say so too, but where the target has reset by now it throws away what it sent
    // before (net/ipv4/af_inet.c, tcp_disconnect).
    let established = getpeername(&socket).is_ok();
    let stream = TcpStream::from_std(socket.into())?;
    if !established {
        stream.writable().await?;
        refuse_unmade(&stream)?;
    }
    refuse_itself(&stream, address)?;
    Ok(stream)
}

fn prepare(
    address: SocketAddr,
    source: Option<IpAddr>,
    interface: Option<&Interface>,
) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_tcp_nodelay(&socket, true)?;
    // Urgent data stays in the stream: out of line, its byte would be lost.
    set_socket_oobinline(&socket, true)?;
    if let Some(interface) = interface {
        sys::bind_to_device(&socket, &interface.0)?;
    }
    if let Some(source) = source {
        sys::bind_address_no_port(&socket)?;
        bind(&socket, &SocketAddr::new(source, 0))?;
    }
    Ok(socket)
}

/// Why a connection was not made. One that was made and reset at once is a connection all the same: what the target
/// sent is still there to be read, and its error is left for the read after that.
fn refuse_unmade(stream: &TcpStream) -> io::Result<()> {
    if sys::tcp_info(stream).is_ok_and(|it| it.was_made) {
        return Ok(());
    }
    stream.take_error()?.map_or(Ok(()), Err)
}

/// A dial to a port of the ephemeral range that nobody listens on can meet itself (simultaneous open, RFC 9293, 3.5) and
/// would then echo. That is a refusal.
fn refuse_itself(stream: &TcpStream, address: SocketAddr) -> io::Result<()> {
    // Only a source port from the ephemeral range can be equal; a look costs a call, so look only where it can be.
    if address.port() < FIRST_EPHEMERAL || stream.local_addr()? != address {
        return Ok(());
    }
    Err(Errno::CONNREFUSED.into())
}

/// The smallest port an administrator sensibly puts in ip_local_port_range; Linux itself begins at 32768.
const FIRST_EPHEMERAL: u16 = 1024;
