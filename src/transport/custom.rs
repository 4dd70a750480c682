//! A stream that an embedder brings, in place of a socket.

use std::fmt;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::Stream;

/// Bytes both ways, by whatever means.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection of an embedder's own: one end of a pipe in this process, a protocol that we do not speak.
///
/// What it must do beside [`AsyncRead`] and [`AsyncWrite`]: `poll_shutdown` ends one direction and leaves the other open,
/// a read of zero bytes is the other end's, and a cut is told apart from an end by `reset`. A read that fails with
/// [`std::io::ErrorKind::UnexpectedEof`] says that the other end closed without saying that it was done.
pub struct Custom {
    stream: Box<dyn Duplex>,
    reset: Option<Box<dyn FnOnce() + Send>>,
}

impl Custom {
    /// This stream. `reset` is called once, right before the stream is dropped, where the session did not come to its end
    /// both ways: its other end must see that what it has may be cut.
    pub fn new(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        reset: impl FnOnce() + Send + 'static,
    ) -> Custom {
        Custom { stream: Box::new(stream), reset: Some(Box::new(reset)) }
    }

    pub(crate) fn stream(&mut self) -> Pin<&mut dyn Duplex> {
        Pin::new(&mut *self.stream)
    }

    /// Has the other end see a cut; a second time, nothing is done.
    pub(crate) fn reset(&mut self) {
        if let Some(reset) = self.reset.take() {
            reset();
        }
    }
}

/// One of the two connections of a session.
pub(crate) enum Link {
    /// A socket.
    Socket(Stream),
    /// A stream of an embedder's own.
    Custom(Box<Custom>),
}

impl Link {
    /// The socket, where it is one.
    pub(crate) fn socket(&self) -> Option<&Stream> {
        match self {
            Link::Socket(socket) => Some(socket),
            Link::Custom(_) => None,
        }
    }

    /// Writes all of it. Not cancel safe: given up, it has written some.
    pub(crate) async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Link::Socket(socket) => socket.send_all(bytes).await,
            Link::Custom(custom) => {
                let mut stream = custom.stream();
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}
