//! Datagrams of tunnels by QUIC: who connects, who is let in, and what a connection carries. The wire is in
//! [`crate::transport::tunnel::quic`].
//!
//! The dialling end tries it once the control stands, with the token of WELCOME, and again for ever: every minute, and when the
//! network changes, each time with a fresh token. A connection is of use once the other end has answered on it (PONG), until it
//! ends or the other end has been silent for three seconds though something was sent. Whoever carries the flows is told both.
//!
//! | file | what it is for |
//! |---|---|
//! | `thread` | the thread on which QUIC runs |
//! | `dialling`, `course` | the end that connects: when it tries, and what is told |
//! | `accepting`, `sockets`, `door`, `desk`, `tokens` | the end that lets in: places, tokens, the connections of a control |
//! | `carry`, `means`, `queue`, `silence` | a connection: what is read, what waits to be sent, whether the other end is there |

mod accepting;
mod carry;
mod course;
mod desk;
mod dialling;
mod door;
mod means;
mod queue;
mod silence;
mod sockets;
#[cfg(test)]
mod tests;
mod thread;
mod tokens;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quinn::Endpoint;

use super::datagrams::means::{Arrivals, Means};
use crate::transport::tunnel::quic;
pub(crate) use accepting::Accepting;
pub(crate) use course::By;
pub(crate) use desk::{Desk, Entered, Seated};
pub(crate) use dialling::Dialling;
pub(crate) use sockets::Sockets;
use thread::OwnThread;

/// The flows of one control, as a QUIC connection knows them.
#[derive(Clone)]
pub(crate) struct Flows {
    /// Who takes what comes.
    pub(crate) arrivals: Arc<dyn Arrivals>,
    /// Is told which connection carries datagrams from now on, or that none does. It must not wait.
    pub(crate) set_quic: SetQuic,
}

/// Takes the connection that carries datagrams from now on.
pub(crate) type SetQuic = Arc<dyn Fn(Option<Arc<dyn Means>>) + Send + Sync>;

/// QUIC of this process: its thread, and its sockets.
pub(crate) struct Quic {
    thread: Arc<OwnThread>,
    /// The accepting end.
    pub(crate) desk: Arc<Desk>,
    /// What takes the UDP sockets of `[tunnel] listen`: one object for all plans.
    pub(crate) sockets: Arc<Sockets>,
    /// The sockets from which this end connects, of IPv4 and of IPv6.
    dialling: Mutex<[Option<Endpoint>; 2]>,
}

impl Default for Quic {
    /// It has neither a thread nor a socket before it is used.
    fn default() -> Quic {
        let thread = Arc::<OwnThread>::default();
        let desk = Arc::new(Desk::new());
        let sockets = Arc::new(Sockets { thread: thread.clone(), desk: desk.clone() });
        Quic { thread, desk, sockets, dialling: Mutex::default() }
    }
}

impl Quic {
    /// The endpoint that connects to addresses of this family; the kernel chooses its port.
    fn endpoint(&self, to: IpAddr) -> io::Result<Endpoint> {
        let any: IpAddr = match to {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let (mut dialling, place) = (self.dialling(), usize::from(to.is_ipv6()));
        if let Some(endpoint) = &dialling[place] {
            return Ok(endpoint.clone());
        }
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        let endpoint = Endpoint::new(quic::endpoint(), None, socket, self.thread.get()?.runtime())?;
        dialling[place] = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// The endpoint that connects to addresses of this family is of no more use.
    fn forget(&self, to: IpAddr) {
        self.dialling()[usize::from(to.is_ipv6())] = None;
    }

    fn dialling(&self) -> MutexGuard<'_, [Option<Endpoint>; 2]> {
        self.dialling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
