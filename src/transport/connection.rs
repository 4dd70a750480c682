//! A connection of a service: read and written with tokio's own traits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::{Link, Stream};

/// A connection that has come to us, to be read and written. Dropped, it is closed: with a reset where that is because of
/// a panic, or because the engine waits for it no longer, so that a cut answer does not look whole.
pub struct Connection {
    stream: Link,
    cut: Option<CancellationToken>,
}

impl Connection {
    /// One that is reset when it is dropped after `cut`.
    pub(super) fn new(stream: Link, cut: Option<CancellationToken>) -> Connection {
        Connection { stream, cut }
    }

    /// Does something with what tokio knows it as.
    fn either<R>(self: Pin<&mut Self>, act: impl FnOnce(Pin<&mut dyn Socket>) -> R) -> R {
        match &mut self.get_mut().stream {
            Link::Socket(Stream::Tcp(it)) => act(Pin::new(it)),
            Link::Socket(Stream::Unix(it)) => act(Pin::new(it)),
            Link::Custom(it) => act(Pin::new(&mut it.stream())),
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
                Link::Socket(socket) => socket.reset_on_close(),
                Link::Custom(custom) => custom.reset(),
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

    /// Says FIN; the other direction stays open.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.either(|it| it.poll_shutdown(cx))
    }
}
