//! The UDP sockets where this end is reached by QUIC: who comes proves its address, then its key, then shows its token.
//!
//! What a stranger costs is bounded: before it has proven its address a few answers, and nothing is kept; after that a place
//! among few, as on the TCP side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::carry::Code;
use super::desk::{Desk, Entered, Place};
use crate::transport::tunnel::message::Token;
use crate::transport::tunnel::quic::{self, Connected};

/// How long the handshake may take, and the token after it.
const STEP: Duration = Duration::from_secs(3);

/// How long the last packets of an endpoint may take to leave.
const GOODBYE: Duration = Duration::from_millis(500);

/// Lets in who may come, until the socket is retired or broken.
pub(super) async fn keep(endpoint: &Endpoint, desk: &Arc<Desk>, retired: &CancellationToken) {
    let mut entering = JoinSet::new();
    let mut tls = desk.tls();
    tls.mark_changed();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => arrives(incoming, desk, &mut entering),
                None => return,
            },
            Ok(()) = tls.changed() => {
                // Without a key of this machine nobody is answered.
                let config = tls.borrow_and_update().as_ref().and_then(|tls| quic::server(tls).ok());
                endpoint.set_server_config(config);
            }
            Some(_) = entering.join_next() => {}
            () = retired.cancelled() => return,
        }
    }
}

/// Closes an endpoint, and its socket with it.
pub(super) async fn close(endpoint: Endpoint) {
    endpoint.close(VarInt::from_u32(Code::Over as u32), b"");
    // Whoever is not told notices by silence.
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
}

fn arrives(incoming: Incoming, desk: &Arc<Desk>, entering: &mut JoinSet<()>) {
    let (from, now) = (incoming.remote_address(), Instant::now());
    if !incoming.remote_address_validated() {
        match desk.may_retry(from.ip(), now) {
            // It fails only for one whose address is proven.
            true => drop(incoming.retry()),
            false => incoming.ignore(),
        }
        return;
    }
    // Nothing is computed for one that has no place.
    let place = desk.place(from.ip(), now).ok();
    let config = || desk.tls().borrow().as_ref().and_then(|tls| quic::server(tls).ok());
    let Some((place, config)) = place.and_then(|place| Some((place, config()?))) else {
        if let Some(line) = desk.told() {
            tracing::warn!("by UDP {line}");
        }
        return incoming.refuse();
    };
    let desk = desk.clone();
    entering.spawn(async move {
        if let Err(why) = enter(incoming, Arc::new(config), &desk, place).await {
            tracing::debug!("tunnel listener: {from}/udp: {why}");
        }
    });
}

/// The handshake, and the token.
async fn enter(
    incoming: Incoming,
    config: Arc<quinn::ServerConfig>,
    desk: &Desk,
    _place: Place,
) -> Result<(), String> {
    let accepting = incoming.accept_with(config).map_err(|error| error.to_string())?;
    let connection = timeout(STEP, accepting).await.map_err(|_| "no handshake in time")?;
    let connection = connection.map_err(|error| error.to_string())?;
    let Connected { connection, key } = quic::connected(connection).ok_or("it speaks another protocol")?;
    let shown = timeout(STEP, show(&connection)).await;
    let Ok(Some((token, send, recv))) = shown else {
        Code::NoSession.close(&connection);
        return Err("it shows no token".into());
    };
    let Some(to) = desk.take(&token, &key, Instant::now()) else {
        Code::NoSession.close(&connection);
        return Err("its token names no control of its key".into());
    };
    // The control has ended meanwhile, or comes twice at a time.
    if let Err(sent) = to.try_send(Entered { connection, send, recv }) {
        Code::NoSession.close(&sent.into_inner().connection);
    }
    Ok(())
}

/// Reads the token. Until then whatever else comes is dropped.
async fn show(connection: &Connection) -> Option<(Token, SendStream, RecvStream)> {
    let token = async {
        let (send, mut recv) = connection.accept_bi().await.ok()?;
        let mut token = [0; 16];
        recv.read_exact(&mut token).await.ok()?;
        Some((Token(token), send, recv))
    };
    let datagrams = async { while connection.read_datagram().await.is_ok() {} };
    let streams = async {
        while let Ok(mut stream) = connection.accept_uni().await {
            // It fails on a stream that has ended.
            let _ = stream.stop(VarInt::from_u32(0));
        }
    };
    tokio::select! {
        biased;
        token = token => token,
        ((), ()) = async { tokio::join!(datagrams, streams) } => None,
    }
}
