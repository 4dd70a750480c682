//! Handshakes over pairs of sockets: what both tests of this folder share.

mod between_ends;
mod key_updates;
mod strangers;

use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::Error;
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::{
    Accepting, Dialling, HandshakeFault, Known, PrivateKey, PublicKey, Secured, accept_handshake,
    dial_handshake, last_words,
};
use crate::transport::Stream;
use crate::transport::tls::Sealed;
use crate::transport::try_io::{self, Moved};

/// Knows these keys.
#[derive(Debug)]
struct These(Vec<PublicKey>);

impl Known for These {
    fn knows(&self, key: &PublicKey) -> bool {
        key.is_one_of(&self.0)
    }
}

/// Both ends of a tunnel, each with a key of its own that the other knows.
struct Ends {
    dialler: PrivateKey,
    acceptor: PrivateKey,
    dialling: Dialling,
    accepting: Accepting,
}

fn ends() -> Ends {
    let (dialler, acceptor) = (new_key(), new_key());
    let dialling = Dialling::new(&dialler, &[acceptor.public()]);
    let accepting = Accepting::new(&acceptor, knowing(&[&dialler]));
    Ends { dialler, acceptor, dialling, accepting }
}

fn new_key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

fn knowing(keys: &[&PrivateKey]) -> Arc<These> {
    Arc::new(These(keys.iter().map(|key| key.public()).collect()))
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await.expect("it hangs") })
}

fn pair() -> (Stream, Stream) {
    let (a, b) = UnixStream::pair().unwrap();
    (Stream::Unix(a), Stream::Unix(b))
}

/// A socket of ours, and one for a thread that blocks.
fn pair_with_thread() -> (Stream, StdStream) {
    let (ours, theirs) = StdStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (Stream::Unix(UnixStream::from_std(ours).unwrap()), theirs)
}

/// Both ends after their handshakes.
async fn secured(dialling: &Dialling, accepting: &Accepting) -> ((Stream, Secured), (Stream, Secured)) {
    let (a, b) = pair();
    let shaken = tokio::join!(dial_handshake(&a, dialling, "::1"), accept_handshake(&b, accepting));
    ((a, shaken.0.unwrap()), (b, shaken.1.unwrap()))
}

/// The faults of both ends; the dialling one says something at once, and learns the fault at its first read at the latest.
fn faults(dialling: &Dialling, accepting: &Accepting) -> (HandshakeFault, HandshakeFault) {
    run(async {
        let (a, b) = pair();
        let dialled = async move {
            let mut secured = match dial_handshake(&a, dialling, "vps.example.com").await {
                Ok(secured) => secured,
                Err(fault) => return fault,
            };
            let mut wire = [0; 256];
            let length = secured.records.seal(b"HELLO", &mut wire).unwrap();
            a.send_all(&wire[..length]).await.unwrap();
            HandshakeFault::of_dialled(&read_to_end(&a, &mut secured.records).await.unwrap_err())
        };
        let accepted = async move {
            let fault = accept_handshake(&b, accepting).await.err().unwrap();
            last_words(&b).await;
            fault
        };
        tokio::join!(dialled, accepted)
    })
}

/// What comes before the other end closes.
async fn read_to_end(socket: &Stream, records: &mut Sealed) -> Result<Vec<u8>, Error> {
    let (mut wire, mut plain, mut answer) = (records.take_partial(), Vec::new(), Vec::new());
    loop {
        let used = records.open(&mut wire, &mut |it| plain.extend_from_slice(it), &mut answer)?;
        wire.drain(..used);
        socket.ready(Interest::READABLE).await.unwrap();
        let mut room = [0; 4096];
        match try_io::read(socket, &mut room).unwrap() {
            Moved::Bytes(0) => return Ok(plain),
            Moved::Bytes(read) => wire.extend_from_slice(&room[..read]),
            Moved::NotReady => {}
        }
    }
}
