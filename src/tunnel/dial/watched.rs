//! The connections that a control and its carriers were made of, as the kernel sees them: what they send, and send again.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::getsockname;
use tokio::time::sleep;

use super::slowness::{Slowness, Way, remedy};
use crate::address::TunnelName;
use crate::probe::sockets::connections;
use crate::probe::system::congestion::try_control;
use crate::transport::Congestion;

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The most that are looked at: each is a question to the kernel, on the thread that all tunnels share.
const MAX_WATCHED: usize = 64;

/// What every process may set.
const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/// The connections of one control to one peer.
pub(crate) struct Watched {
    peer: SocketAddr,
    /// This end of the control.
    control: Option<SocketAddr>,
    /// This end of each connection, with what it had sent, and sent again, at the last look.
    seen: Mutex<BTreeMap<SocketAddr, (u32, u32)>>,
}

impl Watched {
    /// Those of this control.
    pub(crate) fn new(peer: SocketAddr, control: impl AsFd) -> Watched {
        let control = local(control);
        let seen = control.into_iter().map(|local| (local, (0, 0))).collect();
        Watched { peer, control, seen: Mutex::new(seen) }
    }

    /// A carrier was made.
    pub(crate) fn add(&self, carrier: impl AsFd) {
        let mut seen = self.seen();
        if seen.len() < MAX_WATCHED
            && let Some(local) = local(carrier)
        {
            seen.insert(local, (0, 0));
        }
    }

    /// Tells once that the way is slow, for as long as it is polled. Cancel safe.
    pub(crate) async fn watch(&self, name: &TunnelName, congestion: &Congestion, slowness: &mut Slowness) {
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(slow) = slowness.look(self.look()) {
                let errno = |error: std::io::Error| error.raw_os_error().unwrap_or_default();
                let allowed = fs::read_to_string(ALLOWED).unwrap_or_default();
                let what = remedy(congestion.name(), try_control("bbr").map_err(errno), &allowed);
                tracing::warn!("tunnel" = %name, "tunnel={name} is slow: {slow} [tunnel-slow]: {what}");
            }
        }
    }

    /// What they have done since the last look. Those that are gone are forgotten.
    fn look(&self) -> Way {
        let mut way = Way::default();
        self.seen().retain(|local, before| {
            // Where the kernel may not be asked, nothing is known.
            let Ok(Some(found)) = connections::between(*local, self.peer) else { return false };
            let now = (found.info.data_sent, found.info.sent_again);
            way.sent += u64::from(now.0.wrapping_sub(before.0));
            way.again += u64::from(now.1.wrapping_sub(before.1));
            if Some(*local) == self.control {
                way.round_trip = Some(found.info.round_trip).filter(|it| !it.is_zero());
            }
            *before = now;
            true
        });
        way
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, (u32, u32)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn local(socket: impl AsFd) -> Option<SocketAddr> {
    getsockname(socket).ok().and_then(|address| address.try_into().ok())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_the_control_and_its_carriers_send_is_read_since_the_last_look() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let mut control = TcpStream::connect(peer).unwrap();
        let (mut there, _) = listener.accept().unwrap();
        let watched = Watched::new(peer, &control);
        let carrier = TcpStream::connect(peer).unwrap();
        watched.add(&carrier);

        control.write_all(b"x").unwrap();
        there.read_exact(&mut [0]).unwrap();
        let first = watched.look();
        (&carrier).write_all(b"y").unwrap();
        let second = watched.look();

        assert_eq!((first.sent, first.again), (1, 0));
        assert!(first.round_trip.is_some_and(|it| it < Duration::from_secs(5)), "{first:?}");
        assert_eq!(second.sent, 1, "of the carrier");
        drop(control);
        drop(there);
        drop(carrier);
        assert_eq!(watched.look().round_trip, None);
    }
}
