//! A listener of either kind, as the supervisor keeps it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::bind::{Bound, ServiceWanted, WantedBy};
use super::given::GivenSocket;
use super::route_runtimes::RouteRuntimes;
use super::serves::Serves;
use super::service::ServiceRuntime;
use super::tcp::TcpListener;
use crate::address::{Address, Protocol};
use crate::engine::runtime::context::Context;
use crate::engine::udp::UdpListener;

/// A listening socket that accepts clients.
pub(crate) enum AnyListener {
    /// Connections.
    Tcp(TcpListener),
    /// Datagrams.
    Udp(UdpListener),
    /// Datagrams of a service.
    Given(GivenSocket),
}

impl AnyListener {
    /// Starts to accept clients from a bound socket, on worker `n`.
    pub(crate) fn start(
        bound: Bound,
        runtimes: &mut RouteRuntimes,
        cx: &Arc<Context>,
        n: usize,
    ) -> io::Result<AnyListener> {
        let Bound { port, by, bound } = bound;
        match (port.protocol, &by) {
            (Protocol::Udp, WantedBy::Route(by)) => cx.udp.listen(bound.socket, by, n).map(AnyListener::Udp),
            (Protocol::Udp, WantedBy::Service(by)) => {
                GivenSocket::give(bound.socket, &by.service).map(AnyListener::Given)
            }
            (Protocol::Tcp, _) => {
                let serves = serves(&by, runtimes, cx);
                TcpListener::start(bound, port.address(), serves, cx, n).map(AnyListener::Tcp)
            }
        }
    }

    /// The address it is bound to.
    pub(crate) fn address(&self) -> Address {
        match self {
            AnyListener::Tcp(listener) => listener.address.clone(),
            AnyListener::Udp(listener) => listener.address.into(),
            AnyListener::Given(socket) => socket.address.into(),
        }
    }

    /// The socket, for the options a reload sets on it.
    pub(crate) fn socket(&self) -> &OwnedFd {
        match self {
            AnyListener::Tcp(listener) => listener.socket(),
            AnyListener::Udp(listener) => listener.socket(),
            AnyListener::Given(given) => &given.socket,
        }
    }

    /// Switches to another route or service, from the next client on.
    pub(crate) fn serve(&self, by: &WantedBy, runtimes: &mut RouteRuntimes, cx: &Context) {
        match (self, by) {
            (AnyListener::Tcp(listener), by) => listener.serve(serves(by, runtimes, cx)),
            (AnyListener::Udp(listener), WantedBy::Route(by)) => listener.serve(&cx.udp, by),
            // It stays with what has it, unless another takes it.
            (AnyListener::Given(given), WantedBy::Service(by)) => given.give_again(&by.service),
            // A port goes from a route to a service, or back, only as another port: see `Port`.
            (AnyListener::Udp(_), WantedBy::Service(_)) | (AnyListener::Given(_), WantedBy::Route(_)) => {}
        }
    }

    /// Brings the congestion control of its next clients up to date.
    pub(crate) fn follow_control(&self) {
        if let AnyListener::Tcp(listener) = self {
            listener.follow_control();
        }
    }

    /// Asks whether the file of a Unix socket is still in place; `None` without a file.
    pub(crate) fn file_watch(&self) -> Option<impl Fn() -> bool + Send + use<>> {
        match self {
            AnyListener::Tcp(listener) => listener.file_watch(),
            AnyListener::Udp(_) | AnyListener::Given(_) => None,
        }
    }

    /// Keeps new clients from a TCP socket; returns its address if some may be on their way.
    pub(crate) fn step_aside(&self) -> Option<SocketAddr> {
        match self {
            AnyListener::Tcp(listener) => listener.step_aside(),
            AnyListener::Udp(_) | AnyListener::Given(_) => None,
        }
    }

    /// Accepts what has already arrived, and no new clients. A UDP socket that flows still answer through is returned,
    /// to be closed when the last of them has ended; any other socket is closed when this resolves.
    pub(crate) async fn retire(self) -> Option<UdpListener> {
        match self {
            AnyListener::Tcp(listener) => {
                listener.retire().await;
                None
            }
            AnyListener::Udp(listener) => {
                listener.retire().await;
                if listener.has_flows() {
                    return Some(listener);
                }
                listener.close().await;
                None
            }
            AnyListener::Given(given) => {
                given.retire().await;
                None
            }
        }
    }
}

fn serves(by: &WantedBy, runtimes: &mut RouteRuntimes, cx: &Context) -> Serves {
    match by {
        WantedBy::Route(by) => Serves::Route(runtimes.of(by, cx)),
        WantedBy::Service(ServiceWanted { id, service, .. }) => {
            Serves::Service(ServiceRuntime::new(id, service, cx))
        }
    }
}
