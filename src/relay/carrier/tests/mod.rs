//! Sessions over a carrier: plain ↔ one relay ═ TLS on loopback ═ another relay ↔ plain.

mod cuts;
mod ends;
mod hostile;
mod reuse;

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::CarrierHalf;
use crate::ledger::Meter;
use crate::outcome::{End, Side, Traffic};
use crate::relay::{Half, Pace, Relayed, Socket, relay_halves};
use crate::transport::Stream;
use crate::transport::tunnel::carrier::testing::{links, plain};
use crate::transport::tunnel::carrier::{FrameLink, Received};
use crate::transport::tunnel::frame::Frame;

const PATIENCE: Duration = Duration::from_secs(60);
const LINGER: Duration = Duration::from_secs(5);

/// How a session ended at one end of the tunnel.
pub(super) struct Ended {
    end: End,
    closed_by: Option<Side>,
    words: Option<Arc<str>>,
    traffic: Traffic,
    link: Option<FrameLink>,
}

/// Runs one end's relay, and what follows it.
async fn run_end(link: FrameLink, stream: Stream, side: Side, linger: Duration) -> Ended {
    let (meter, pace) = (Meter::default(), Pace::new(None, None));
    let mut carrier = CarrierHalf::new(link, side);
    let (Relayed { end, closed_by, .. }, words) = {
        let mut socket = Socket::new(&stream);
        let (plain, tunnel): (&mut dyn Half, &mut dyn Half) = (&mut socket, &mut carrier);
        match side {
            Side::Target => relay_halves(plain, tunnel, &meter, linger, &pace).await,
            Side::Client => relay_halves(tunnel, plain, &meter, linger, &pace).await,
        }
    };
    // A reset is sent with the close, which is not to wait for the other machine.
    drop(stream);
    let settled = carrier.settle(linger).await;
    let end = settled.err().filter(|_| end == End::Done).unwrap_or(end);
    Ended { end, closed_by, words, traffic: meter.traffic(), link: carrier.into_link() }
}

/// Sends OPEN, and takes it.
async fn open(opener: &mut FrameLink, other: &mut FrameLink) {
    opener.queue(&Frame::Open(b"who and where".to_vec())).unwrap();
    opener.flush().await.unwrap();
    let received = other.receive(100).await.unwrap();
    assert_eq!(received, Received::Frame(Frame::Open(b"who and where".to_vec())));
}

/// A visitor, a service, and what `script` does with them through a carrier: how the session ended at the opener and at the other
/// end.
async fn carry<T>(
    (mut opener, mut other): (FrameLink, FrameLink),
    linger: Duration,
    script: impl AsyncFnOnce(tokio::net::TcpStream, tokio::net::TcpStream) -> T,
) -> ([Ended; 2], T) {
    let ((ours, visitor), (theirs, service)) = (plain(), plain());
    open(&mut opener, &mut other).await;
    let ends = async {
        tokio::join!(
            run_end(opener, ours, Side::Target, linger),
            run_end(other, theirs, Side::Client, linger)
        )
    };
    let both = async { tokio::join!(ends, script(of_tokio(visitor), of_tokio(service))) };
    let ((here, there), done) = timeout(PATIENCE, both).await.expect("it comes to an end");
    ([here, there], done)
}

fn of_tokio(socket: TcpStream) -> tokio::net::TcpStream {
    socket.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(socket).unwrap()
}

/// Has the drop of the socket be a reset.
fn resets(socket: &tokio::net::TcpStream) {
    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
}

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ seed).collect()
}

fn ends(ended: &[Ended; 2]) -> [End; 2] {
    [ended[0].end, ended[1].end]
}

/// The kind of the error that a read meets; the bytes before it.
async fn read_to_error(socket: &mut tokio::net::TcpStream) -> (Vec<u8>, std::io::ErrorKind) {
    let mut read = Vec::new();
    match socket.read_to_end(&mut read).await {
        Ok(_) => panic!("an end after {} bytes", read.len()),
        Err(error) => (read, error.kind()),
    }
}

async fn read_to_end(socket: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    socket.read_to_end(&mut read).await.expect("an end");
    read
}

async fn write(socket: &mut tokio::net::TcpStream, bytes: &[u8]) {
    socket.write_all(bytes).await.expect("written");
}

#[test]
fn an_open_carrier_without_traffic_is_small() {
    let size = size_of::<CarrierHalf>();
    assert!(size <= 416, "{size} bytes");
}
