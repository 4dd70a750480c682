//! One connection to the other end: TCP, handshake, HELLO and its answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::fault::Fault;
use crate::address::Address;
use crate::outcome::Cause;
use crate::transport::tunnel::carrier::{FrameLink, Received, prepare};
use crate::transport::tunnel::identity::{Dialling, HandshakeFault, PublicKey, dial_handshake};
use crate::transport::tunnel::message::{self, Hello, MAX_MESSAGE, Message, Welcome};
use crate::transport::{self, Congestion, Origin, Stream};

/// How long each address has for TCP.
const CONNECT: Duration = Duration::from_secs(2);

/// How long the handshake may take, and how long the answer to HELLO.
pub(super) const STEP: Duration = Duration::from_secs(3);

/// A connection that was let in.
pub(crate) struct Entered {
    pub(crate) link: FrameLink,
    /// The key that the other end has proven.
    pub(crate) key: PublicKey,
    /// The address that answered.
    pub(crate) peer: SocketAddr,
    pub(crate) welcome: Welcome,
    /// The time between HELLO and WELCOME.
    pub(crate) rtt: Duration,
}

/// Connects to the first of these addresses that answers.
///
/// # Errors
/// Why the last one did not.
pub(crate) async fn connect(
    addresses: &[Address],
    [congestion, loopback]: [&Congestion; 2],
) -> Result<Stream, Cause> {
    let from = Origin { congestion: loopback.clone(), ..Origin::default() };
    let mut cause = Cause::NoAddress;
    for address in addresses {
        match timeout(CONNECT, transport::dial(address, &from)).await {
            Ok(Ok(stream)) => match prepare(&stream, congestion) {
                Ok(()) => return Ok(stream),
                Err(error) => cause = Cause::of_dial(&error),
            },
            Ok(Err(error)) => cause = Cause::of_dial(&error),
            Err(_) => cause = Cause::TimedOut,
        }
    }
    Err(cause)
}

/// Proves who the other end is, and asks to be let in. `host` is the name that is asked for in TLS.
///
/// # Errors
/// Why it failed. Given up, the connection is closed.
pub(crate) async fn enter(
    stream: Stream,
    tls: &Dialling,
    host: &str,
    hello: Hello,
) -> Result<Entered, Fault> {
    let secured = timeout(STEP, dial_handshake(&stream, tls, host)).await.map_err(|_| Fault::Unshaken)?;
    let secured = secured.map_err(Fault::Handshake)?;
    let mut link = FrameLink::new(stream, secured.records);
    let peer = link.peer().map_err(|error| Fault::Unreached(Cause::of_dial(&error)))?;
    let asked = Instant::now();
    let welcome = match timeout(STEP, greet(&mut link, hello)).await {
        Ok(Ok(welcome)) => welcome,
        Ok(Err(fault)) => return Err(refused(&link).unwrap_or(fault)),
        Err(_) => return Err(Fault::Silent),
    };
    Ok(Entered { link, key: secured.key, peer, welcome, rtt: asked.elapsed() })
}

/// The other end looks our key up once this end has finished the handshake, so its refusal comes in place of WELCOME.
fn refused(link: &FrameLink) -> Option<Fault> {
    link.tls_error().map(|error| Fault::Handshake(HandshakeFault::of_dialled(error)))
}

async fn greet(link: &mut FrameLink, hello: Hello) -> Result<Welcome, Fault> {
    link.queue_message(&message::encode(&Message::Hello(hello)))?;
    // It sends meanwhile.
    let json = match link.receive(MAX_MESSAGE).await? {
        Received::Message(json) => json,
        Received::Frame(_) => return Err(Fault::Protocol("a frame before WELCOME".into())),
    };
    match message::decode(&json) {
        Ok(Message::Welcome(welcome)) => Ok(welcome),
        Ok(Message::Bye(bye)) => Err(Fault::Bye(bye)),
        Ok(_) => Err(Fault::Protocol("another message than WELCOME".into())),
        Err(why) => Err(Fault::Protocol(why.to_string())),
    }
}
