//! How listeners leave without a client noticing: first no new client reaches them, then those on their way are let
//! in, and only then are they closed.
//!
//! A listening socket that is closed resets every client in its queue, and the queue fills between the last accept and
//! the close. So it steps aside before (see [`transport::step_aside`]): from then on the kernel gives a new client to the
//! socket that stays at that address, or refuses it.
//!
//! Rejected: keeping the old socket open until it is quiet, which leaves a wide socket open to the world after it was
//! narrowed and two sockets for one address; and a filter on the socket that drops SYNs, which costs each new client a
//! second.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::any::AnyListener;
use super::bind::Port;
use crate::engine::udp::UdpListener;
use crate::transport;

/// How long handshakes that have begun may take: more than a round trip to any place on earth. A client that never
/// answers (a scanner does not) holds a reload no longer.
const HANDSHAKE: Duration = Duration::from_secs(1);

/// How often unfinished handshakes are looked for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The pause where the kernel cannot be asked: handshakes within this machine take less.
const UNASKED: Duration = Duration::from_millis(20);

/// Retires all of these. UDP listeners through which flows still answer are returned, to be closed later.
pub(crate) async fn retire(leaving: Vec<(Port, AnyListener)>) -> Vec<(Port, UdpListener)> {
    let aside = leaving.iter().filter_map(|(_, listener)| listener.step_aside()).collect::<Vec<_>>();
    if !aside.is_empty() {
        until_arrived(aside).await;
    }
    let mut lingering = Vec::new();
    for (port, listener) in leaving {
        lingering.extend(listener.retire().await.map(|with_flows| (port, with_flows)));
    }
    lingering
}

/// Resolves once no handshake with one of these sockets is unfinished, or [`HANDSHAKE`] is over. Their acceptors go on
/// meanwhile.
async fn until_arrived(aside: Vec<SocketAddr>) {
    let (done, arrived) = oneshot::channel();
    // Both questions may make a thread wait, so the one that hears signals does not ask them.
    let asking = thread::Builder::new().name("leaving".to_owned()).spawn(move || {
        let _ = done.send(wait_for_handshakes(&aside));
    });
    let answer = match asking {
        Ok(_) => timeout(2 * HANDSHAKE, arrived).await.ok().and_then(Result::ok),
        Err(_) => None,
    };
    if answer.is_none() {
        sleep(UNASKED).await;
    }
}

/// `None` if the kernel cannot be asked.
fn wait_for_handshakes(aside: &[SocketAddr]) -> Option<()> {
    let deadline = Instant::now() + HANDSHAKE;
    // After this no SYN is still on its way to a socket that has stepped aside; so of the handshakes seen next, each
    // that belongs to one of them is among the first ones seen.
    transport::let_kernel_finish().ok()?;
    let mut unfinished = transport::handshakes(aside).ok()?;
    while !unfinished.is_empty() && Instant::now() < deadline {
        thread::sleep(BETWEEN_LOOKS);
        let now: HashSet<_> = transport::handshakes(aside).ok()?.into_iter().collect();
        unfinished.retain(|handshake| now.contains(handshake));
    }
    Some(())
}
