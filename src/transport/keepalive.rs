//! When the kernel gives a connection up whose other end is gone without a word.
//!
//! On this machine it never is: the kernel at the other end is this one, and says so at once. There nothing is set, which
//! costs nothing, unless it was asked for.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
};

/// Probes that go unanswered before a silent connection is given up, where `user_timeout` does not say when.
const PROBES: u32 = 4;

/// The pause between two of them: a part of the silence before the first, at least and at most so long.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(75);

/// What the kernel watches a connection for (tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Silence after which the other end is asked whether it is there; 1 s to 9 h. `None` asks never.
    pub keepalive: Option<Duration>,
    /// How long what was sent, data or a probe, may stay unacknowledged; `None` leaves it to the kernel, which gives up on
    /// silence after a quarter of an hour. The kernel counts an end that answers and takes nothing alike; the engine has it
    /// wait for that one, unless the time is below 30 s.
    pub user_timeout: Option<Duration>,
}

/// How the connections of a route are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// With an end on another machine.
    pub beyond: Watch,
    /// Of two loopback addresses.
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
    /// For a connection with `ip` at one end.
    fn of(&self, ip: IpAddr) -> Watch {
        if ip.to_canonical().is_loopback() { self.loopback } else { self.beyond }
    }

    /// Sets up a socket that was connected to `ip`, or that listens there: those accepted inherit everything (net/core/sock.c,
    /// sk_clone), which saves five calls a connection.
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

    /// Does the same with a socket that another upkeep was set up for.
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
