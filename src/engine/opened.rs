//! A listener of either kind, as the supervisor keeps it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::context::{Context, Serving};
use super::listener::Listener;
use super::ports::{Bound, Holder};
use super::udp::UdpListener;
use crate::address::Protocol;
use crate::plan::Route;

/// A socket that takes clients in.
pub(super) enum Opened {
    /// Connections.
    Tcp(Listener),
    /// Datagrams.
    Udp(UdpListener),
}

impl Opened {
    /// Starts to take clients in from a bound socket, on worker `n`.
    pub(super) fn start(bound: Bound, cx: &Arc<Context>, n: usize) -> io::Result<Opened> {
        let Bound { port, route, socket } = bound;
        match port.protocol {
            Protocol::Tcp => {
                let serving = Serving::new(&route, &cx.targets);
                Listener::start(socket, serving, cx, n).map(Opened::Tcp)
            }
            Protocol::Udp => cx.udp.listen(socket, &route, n).map(Opened::Udp),
        }
    }

    /// The address it really has.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Opened::Tcp(listener) => listener.address,
            Opened::Udp(listener) => listener.address,
        }
    }

    /// The socket, for the options a reload sets on it.
    pub(super) fn holder(&self) -> Holder<'_> {
        match self {
            Opened::Tcp(it) => Holder { protocol: Protocol::Tcp, address: it.address, socket: it.socket() },
            Opened::Udp(it) => it.holder(),
        }
    }

    /// Serves another route from the next client on.
    pub(super) fn serve(&self, route: &Arc<Route>, cx: &Context) {
        match self {
            Opened::Tcp(listener) => listener.serve(Serving::new(route, &cx.targets)),
            Opened::Udp(listener) => listener.serve(&cx.udp, route),
        }
    }

    /// Takes what has already reached us and no new client. A socket that flows still answer through is given back, to be
    /// closed when the last of them has ended; any other is closed when this is done.
    pub(super) async fn retire(self) -> Option<UdpListener> {
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
