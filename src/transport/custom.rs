//! A stream that an embedder provides, in place of a socket.

use std::fmt;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::Stream;
use super::tunnel::carrier::Broken;
use super::tunnel::engaged::Engaged;

/// A byte stream in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that an embedder implements: one end of a pipe in this process, or a protocol that Loopgate does not
/// speak.
///
/// Beyond [`AsyncRead`] and [`AsyncWrite`], `poll_shutdown` must end one direction and leave the other open, a read of
/// zero bytes means that the other end did so, and `reset` distinguishes a cut from an end. A read that fails with
/// [`std::io::ErrorKind::UnexpectedEof`] means that the other end closed without announcing its end.
pub struct Custom {
    stream: Box<dyn Duplex>,
    reset: Option<Box<dyn FnOnce() + Send>>,
}

impl Custom {
    /// Wraps `stream`. `reset` is called at most once, right before the stream is dropped, unless the session sent its end:
    /// the other end must learn that its data may be cut. A health check that closes its connection resets nothing.
    pub fn new(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        reset: impl FnOnce() + Send + 'static,
    ) -> Custom {
        Custom { stream: Box::new(stream), reset: Some(Box::new(reset)) }
    }

    pub(crate) fn stream(&mut self) -> Pin<&mut dyn Duplex> {
        Pin::new(&mut *self.stream)
    }

    /// From now on a drop is an ordinary close.
    pub(crate) fn disarm(&mut self) {
        self.reset = None;
    }

    /// Shows the other end a cut. A second call does nothing.
    pub(crate) fn reset(&mut self) {
        if let Some(reset) = self.reset.take() {
            reset();
        }
    }
}

/// Wherever a session ends, in its greeting too, a stream that was not closed in order is reset.
impl Drop for Custom {
    fn drop(&mut self) {
        self.reset();
    }
}

/// One of the two connections of a session.
pub(crate) enum Link {
    /// A socket.
    Socket(Stream),
    /// A stream that an embedder provides.
    Custom(Box<Custom>),
    /// A connection of a tunnel.
    Carrier(Box<Engaged>),
}

impl Link {
    /// The socket, if it is one.
    pub(crate) fn socket(&self) -> Option<&Stream> {
        match self {
            Link::Socket(socket) => Some(socket),
            Link::Custom(_) | Link::Carrier(_) => None,
        }
    }

    /// Writes all bytes. Not cancel safe: if it is dropped, a part may have been written.
    pub(crate) async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Link::Socket(socket) => socket.send_all(bytes).await,
            Link::Custom(custom) => {
                let mut stream = custom.stream();
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Link::Carrier(carrier) => {
                let sent = match carrier.link.queue_message(bytes) {
                    Ok(()) => carrier.link.flush().await,
                    queued => queued,
                };
                sent.map_err(|broken| match broken {
                    Broken::Io(error) => error,
                    broken => io::Error::other(broken),
                })
            }
        }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}
