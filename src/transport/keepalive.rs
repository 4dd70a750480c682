//! When the kernel gives up a connection whose peer has disappeared without FIN or RST.
//!
//! On loopback that cannot happen: both ends are in this kernel, which reports every close at once. So there nothing is
//! set, which costs nothing, unless the configuration sets it.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
};

/// Unanswered probes after which a silent connection is given up, if there is no `user_timeout`.
const PROBES: u32 = 4;

/// The bounds of the pause between two probes, which is a fraction of the silence before the first.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(75);

/// The timers with which the kernel watches a connection (tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Silence after which the kernel probes the peer; 1 s to 9 h. `None`: it never does.
    pub keepalive: Option<Duration>,
    /// How long sent data or a probe may stay unacknowledged; `None` leaves it to the kernel, which gives up after a
    /// quarter of an hour. The kernel treats a peer that answers but reads nothing alike; the engine makes it wait for
    /// such a peer, unless the time is below 30 s.
    pub user_timeout: Option<Duration>,
}

/// How the connections of a route are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Those with a peer on another machine.
    pub beyond: Watch,
    /// Those between two loopback addresses.
    pub loopback: Watch,
}

impl Default for Upkeep {
    fn default() -> Self {
        let (minute, ten_minutes) = (Duration::from_secs(60), Duration::from_secs(600));
        Upkeep {
            beyond: Watch { keepalive: Some(minute), user_timeout: Some(ten_minutes) },
            loopback: Watch { keepalive: None, user_timeout: None },
        }
    }
}

impl Upkeep {
    /// The timers for a connection with `ip` at one end.
    fn of(&self, ip: IpAddr) -> Watch {
        if ip.to_canonical().is_loopback() { self.loopback } else { self.beyond }
    }

    /// Sets the timers of a socket that is connected to `ip`, or that listens there: accepted sockets inherit them
    /// (net/core/sock.c, sk_clone), which saves five calls per connection.
    ///
    /// # Errors
    /// The errno of setsockopt(2).
    pub fn set_up(&self, socket: impl AsFd, ip: IpAddr) -> io::Result<()> {
        let Watch { keepalive, user_timeout } = self.of(ip);
        if let Some(silence) = keepalive {
            set_tcp_keepidle(&socket, silence)?;
            set_tcp_keepintvl(&socket, (silence / PROBES).clamp(LEAST_PAUSE, LONGEST_PAUSE))?;
            set_tcp_keepcnt(&socket, PROBES)?;
            set_socket_keepalive(&socket, true)?;
        }
        if let Some(timeout) = user_timeout {
            set_tcp_user_timeout(&socket, milliseconds(timeout))?;
        }
        Ok(())
    }

    /// Does the same with a socket that already has the timers of another upkeep.
    ///
    /// # Errors
    /// The errno of setsockopt(2).
    pub fn set_up_again(&self, socket: impl AsFd, ip: IpAddr) -> io::Result<()> {
        set_socket_keepalive(&socket, false)?;
        set_tcp_user_timeout(&socket, 0)?;
        self.set_up(socket, ip)
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
