//! The kernel's options for connections of a tunnel.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_congestion, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_nodelay, set_tcp_user_timeout,
};

use crate::sys;
use crate::transport::Congestion;

/// The silence before the first probe, the pause before each further one, and how many may stay unanswered: a machine that
/// is gone is noticed within half a minute (tcp(7), TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT).
const SILENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// How long what was sent may stay unacknowledged, in milliseconds (tcp(7), TCP_USER_TIMEOUT).
const USER_TIMEOUT: u32 = 20_000;

/// The bytes not sent yet from which the kernel takes no more. Without it, every connection whose reader stands still holds a
/// whole send buffer, some megabytes, and nobody is faster for it (TCP_NOTSENT_LOWAT; tcp_stream_memory_free in net/ipv4/tcp.c).
const UNSENT: i32 = 128 << 10;

/// Sets up a connected TCP socket of a tunnel: no delay, keepalive, the time after which a silent peer is given up, a bound
/// for what the kernel holds, and the congestion control.
///
/// Nothing is told if the kernel refuses the congestion control: a name was tried when the plan was made, and without it
/// the connection is only slower.
///
/// # Errors
/// The errno of setsockopt(2).
pub fn prepare(socket: impl AsFd, congestion: &Congestion) -> io::Result<()> {
    set_tcp_nodelay(&socket, true)?;
    set_tcp_keepidle(&socket, SILENCE)?;
    set_tcp_keepintvl(&socket, PAUSE)?;
    set_tcp_keepcnt(&socket, PROBES)?;
    set_socket_keepalive(&socket, true)?;
    give_up_again(&socket)?;
    sys::set_unsent_mark(&socket, UNSENT)?;
    if let Some(name) = congestion.name() {
        let _ = set_tcp_congestion(&socket, name);
    }
    Ok(())
}

/// Sets the time after which a silent peer is given up once more: it is taken off a connection whose other end answered, and
/// read nothing for a long time.
///
/// # Errors
/// The errno of setsockopt(2).
pub(crate) fn give_up_again(socket: impl AsFd) -> io::Result<()> {
    Ok(set_tcp_user_timeout(socket, USER_TIMEOUT)?)
}
