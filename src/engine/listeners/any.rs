//! A listener of either kind, as the supervisor keeps it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::bind::{Bound, Wanted};
use super::supervisor::Servings;
use super::tcp::Listener;
use crate::address::{Address, Protocol};
use crate::engine::runtime::context::Context;
use crate::engine::udp::UdpListener;

/// A socket that takes clients in.
pub(crate) enum Opened {
    /// Connections.
    Tcp(Listener),
    /// Datagrams.
    Udp(UdpListener),
}

impl Opened {
    /// Starts to take clients in from a bound socket, on worker `n`.
    pub(crate) fn start(
        bound: Bound,
        servings: &mut Servings,
        cx: &Arc<Context>,
        n: usize,
    ) -> io::Result<Opened> {
        let Bound { port, by, bound } = bound;
        match port.protocol {
            Protocol::Tcp => {
                let serving = servings.of(&by, cx);
                Listener::start(bound, port.address(), serving, cx, n).map(Opened::Tcp)
            }
            Protocol::Udp => cx.udp.listen(bound.socket, &by, n).map(Opened::Udp),
        }
    }

    /// The address it really has.
    pub(crate) fn address(&self) -> Address {
        match self {
            Opened::Tcp(listener) => listener.address.clone(),
            Opened::Udp(listener) => listener.address.into(),
        }
    }

    /// The socket, for the options a reload sets on it.
    pub(crate) fn socket(&self) -> &OwnedFd {
        match self {
            Opened::Tcp(listener) => listener.socket(),
            Opened::Udp(listener) => listener.socket(),
        }
    }

    /// Serves another route from the next client on.
    pub(crate) fn serve(&self, by: &Wanted, servings: &mut Servings, cx: &Context) {
        match self {
            Opened::Tcp(listener) => listener.serve(servings.of(by, cx)),
            Opened::Udp(listener) => listener.serve(&cx.udp, by),
        }
    }

    /// Takes what has already reached us and no new client. A socket that flows still answer through is given back, to be
    /// closed when the last of them has ended; any other is closed when this is done.
    pub(crate) async fn retire(self) -> Option<UdpListener> {
        match self {
            Opened::Tcp(listener) => {
                listener.retire().await;
                None
            }
            Opened::Udp(listener) => {
                listener.retire().await;
                if listener.has_flows() {
                    return Some(listener);
                }
                listener.close().await;
                None
            }
        }
    }
}
