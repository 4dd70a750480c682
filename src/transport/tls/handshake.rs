//! Drives a handshake over a stream of any kind, as client or server.
//!
//! There is no deadline here: callers set one. What the other end can make us keep is bounded by rustls' own limit for
//! a message (64 KiB) and by [`MAX_UNREAD`].

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, Error, HandshakeKind, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::errors::{self, Unsecured};
use super::records::{Came, LONGEST_RECORD, MAX_UNREAD, Ours, Step, add_last, either, step};
use super::terminate::ClientVerifier;
use super::{CloseNotify, Sealed, TlsOrigination, TlsTermination};
use crate::address::TargetAddress;
use crate::client_hello::{Reader, Seen};
use crate::outcome::Side;

/// The size of one read, in bytes: enough for a client's first flight, and for that of most targets.
const CHUNK: usize = 4 << 10;

/// A client's first record, or enough of what it sent to show that it is not one.
pub struct Hello(Vec<u8>);

/// Waits for a client's first complete record. Nothing is computed for a client that sends nothing, or too little.
///
/// Cancel safe in the sense that nothing but the connection is lost.
///
/// # Errors
/// The client closed first, or the stream broke.
pub async fn hello(mut stream: impl AsyncRead + Unpin) -> Result<Hello, Unsecured> {
    let mut bytes = Vec::new();
    loop {
        if read(&mut stream, &mut bytes).await? == 0 {
            return Err(Unsecured::Gone { said: bytes.len() });
        }
        match bytes[..] {
            [errors::HANDSHAKE, 3, _, high, low, ref rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                if rest.len() >= length || length > LONGEST_RECORD {
                    return Ok(Hello(bytes));
                }
            }
            // Only a part of a record header has arrived.
            [errors::HANDSHAKE]
            | [errors::HANDSHAKE, 3]
            | [errors::HANDSHAKE, 3, _]
            | [errors::HANDSHAKE, 3, _, _] => {}
            _ => return Ok(Hello(bytes)),
        }
    }
}

impl Hello {
    /// What has arrived.
    pub(in crate::transport) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why a handshake failed, before that is put into words.
#[derive(Debug)]
pub(in crate::transport) enum Failed {
    /// The other end closed; the bytes it had sent, or more.
    Gone(usize),
    /// The stream broke.
    Broken(io::Error),
    /// TLS failed. The first bytes of the other end show what it speaks.
    Tls(Error, Vec<u8>),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::Broken(error)
    }
}

impl Failed {
    fn told(self, with: Side) -> Unsecured {
        match self {
            Failed::Gone(said) => Unsecured::Gone { said },
            Failed::Broken(error) => Unsecured::Broken(error),
            Failed::Tls(error, first) => errors::unsecured(&error, with, &first),
        }
    }
}

/// A hello that was processed, as far as the client has sent; the answer is still to be sent. And the name in it.
pub struct Answered(Shaking, Option<Box<str>>);

/// Processes a client's hello: computes the keys, which takes some hundred microseconds, and never waits.
///
/// # Errors
/// The hello cannot be answered.
pub fn answer(tls: &TlsTermination, hello: Hello) -> Result<Answered, Unsecured> {
    let ours = UnbufferedServerConnection::new(tls.config.clone());
    let ours = ours.map_err(|error| errors::unsecured(&error, Side::Client, &[]))?;
    let close_notify = tls.parts().close_notify;
    // rustls knows it, and does not tell.
    let asked = match Reader::default().read(&hello.0) {
        Seen::Hello(hello) => hello.server_name().and_then(|name| str::from_utf8(name).ok()).map(Into::into),
        _ => None,
    };
    let mut shaking = Shaking::new(Ours::Server(Box::new(ours)), hello.0, close_notify);
    shaking.verifier = tls.verifier.clone();
    shaking.step();
    Ok(Answered(shaking, asked))
}

impl Answered {
    /// Runs the rest of the handshake. Not cancel safe: given up, the connection is of no more use.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub async fn finish(self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Sealed, Unsecured> {
        let mut sealed = self.0.drive(stream).await.map_err(|failed| failed.told(Side::Client))?;
        sealed.asked = self.1;
        Ok(sealed)
    }
}

/// Runs the handshake with the target of this written address. Not cancel safe: given up, the connection is of no more use.
///
/// # Errors
/// Why the handshake failed.
pub async fn greet(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    tls: &TlsOrigination,
    target: Option<&TargetAddress>,
) -> Result<Sealed, Unsecured> {
    let close_notify = tls.parts().close_notify;
    let shaken = shake_as_client(stream, tls.config.clone(), tls.name_of(target), close_notify).await;
    shaken.map_err(|failed| failed.told(Side::Target))
}

/// Runs the handshake with a server asked for `name`. Not cancel safe: given up, the connection is of no more use.
///
/// # Errors
/// Why the handshake failed.
pub(in crate::transport) async fn shake_as_client(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    close_notify: CloseNotify,
) -> Result<Sealed, Failed> {
    let ours =
        UnbufferedClientConnection::new(config, name).map_err(|error| Failed::Tls(error, Vec::new()))?;
    Shaking::new(Ours::Client(Box::new(ours)), Vec::new(), close_notify).drive(stream).await
}

/// Runs the handshake with the client of this hello. Not cancel safe: given up, the connection is of no more use.
///
/// # Errors
/// Why the handshake failed.
pub(in crate::transport) async fn shake_as_server(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    config: Arc<ServerConfig>,
    hello: Hello,
    close_notify: CloseNotify,
) -> Result<Sealed, Failed> {
    let ours = UnbufferedServerConnection::new(config).map_err(|error| Failed::Tls(error, Vec::new()))?;
    Shaking::new(Ours::Server(Box::new(ours)), hello.0, close_notify).drive(stream).await
}

/// A handshake in progress.
struct Shaking {
    ours: Ours,
    /// The first bytes of the other end, which show what it speaks.
    first: Vec<u8>,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    plain: Vec<u8>,
    closed: bool,
    error: Option<Error>,
    close_notify: CloseNotify,
    /// Verifies the client of a session that is resumed, once that is known.
    verifier: Option<Arc<ClientVerifier>>,
}

impl Shaking {
    fn new(ours: Ours, unread: Vec<u8>, close_notify: CloseNotify) -> Shaking {
        let first = unread[..errors::TELLING.min(unread.len())].to_vec();
        let (unsent, plain) = (Vec::new(), Vec::new());
        Shaking {
            ours,
            first,
            unread,
            unsent,
            plain,
            closed: false,
            error: None,
            close_notify,
            verifier: None,
        }
    }

    /// Processes what has arrived, and verifies the client of a session that is resumed before anything is sent to it. A
    /// hello may come in several records, or be asked for a second time, so that is not known after the first record.
    fn step(&mut self) {
        self.process();
        if let Ours::Server(ours) = &self.ours
            && self.error.is_none()
            && ours.handshake_kind() == Some(HandshakeKind::Resumed)
            && let Some(verifier) = self.verifier.take()
            && let Err(error) = verifier.let_in_again(ours.peer_certificates())
        {
            self.unsent.clear();
            self.error = Some(error);
        }
    }

    fn process(&mut self) {
        while self.error.is_none() {
            let Step { used, came } = either!(&mut self.ours, it =>
                step(it.process_tls_records(&mut self.unread), &mut |it| self.plain.extend_from_slice(it), &mut self.unsent));
            self.unread.drain(..used);
            match came {
                Came::More => {}
                Came::Closed => self.closed = true,
                Came::Error(error) => {
                    either!(&mut self.ours, it =>
                        while add_last(it.process_tls_records(&mut self.unread), &mut self.unsent) {});
                    self.error = Some(error);
                }
                Came::Idle => return,
            }
        }
    }

    async fn drive(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Sealed, Failed> {
        loop {
            self.step();
            if let Some(error) = self.error.take() {
                // A peer that does not take it is gone, or would not have read it.
                poll_fn(|cx| try_write(cx, &mut stream, &self.unsent)).await;
                return Err(Failed::Tls(error, self.first));
            }
            write(&mut stream, &mut self.unsent).await?;
            if !either!(&self.ours, it => it.is_handshaking()) {
                let Shaking { ours, unread, plain, closed, close_notify, .. } = self;
                return Ok(Sealed::new(ours, unread, plain, closed, close_notify));
            }
            if self.unread.len() >= MAX_UNREAD || read(&mut stream, &mut self.unread).await? == 0 {
                return Err(Failed::Gone(self.first.len()));
            }
            if self.first.is_empty() {
                self.first = self.unread[..errors::TELLING.min(self.unread.len())].to_vec();
            }
        }
    }
}

/// Appends what has arrived, at least one byte; zero at the end of the stream.
async fn read(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|cx| {
        // On the stack, so that a stream that is silent costs no memory.
        let mut chunk = [0; CHUNK];
        let mut room = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut room))?;
        bytes.extend_from_slice(room.filled());
        Poll::Ready(Ok(room.filled().len()))
    })
    .await
}

/// Writes all of `bytes`, and has none of them wait in the stream.
async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(bytes).await?;
    bytes.clear();
    stream.flush().await
}

/// Writes what the stream takes at once, and is ready in any case.
fn try_write(cx: &mut Context<'_>, stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Poll<()> {
    if Pin::new(&mut *stream).poll_write(cx, bytes).is_ready() {
        let _ = Pin::new(stream).poll_flush(cx);
    }
    Poll::Ready(())
}
