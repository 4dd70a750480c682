//! A connection of a service: read and written with tokio's own traits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::{Custom, Link, Stream};

/// An accepted connection, to be read and written. Dropping it closes it: with a reset if the cause is a panic or the
/// end of the engine's patience, so that a cut answer does not look complete.
pub struct Connection {
    stream: Kind,
    cut: Option<CancellationToken>,
}

enum Kind {
    Socket(Stream),
    Custom(Box<Custom>),
}

impl Connection {
    /// A connection that is reset if it is dropped after `cut`.
    ///
    /// # Errors
    /// `Unsupported`: it is a connection of a tunnel.
    pub(super) fn new(stream: Link, cut: Option<CancellationToken>) -> io::Result<Connection> {
        let stream = match stream {
            Link::Socket(socket) => Kind::Socket(socket),
            Link::Custom(custom) => Kind::Custom(custom),
            Link::Carrier(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Connection { stream, cut })
    }

    /// Calls `act` with the tokio stream inside.
    fn either<R>(self: Pin<&mut Self>, act: impl FnOnce(Pin<&mut dyn Socket>) -> R) -> R {
        match &mut self.get_mut().stream {
            Kind::Socket(it) => act(Pin::new(it)),
            Kind::Custom(it) => act(Pin::new(&mut it.stream())),
        }
    }
}

trait Socket: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Socket for T {}

impl Drop for Connection {
    fn drop(&mut self) {
        let is_cut = self.cut.as_ref().is_some_and(CancellationToken::is_cancelled);
        if is_cut || std::thread::panicking() {
            match &mut self.stream {
                Kind::Socket(socket) => socket.reset_on_close(),
                Kind::Custom(custom) => custom.reset(),
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.either(|it| it.poll_read(cx, room))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.either(|it| it.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.either(|it| it.poll_flush(cx))
    }

    /// Sends FIN; the other direction stays open.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.either(|it| it.poll_shutdown(cx))
    }
}
