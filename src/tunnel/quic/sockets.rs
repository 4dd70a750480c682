//! The UDP sockets of `[tunnel] listen`, as the engine gives them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::Endpoint;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::door;
use super::thread::OwnThread;
use crate::engine::ServeDatagrams;
use crate::transport::tunnel::quic;

/// The pause after an error of a socket.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes them.
pub(crate) struct Sockets {
    pub(super) thread: Arc<OwnThread>,
    pub(super) desk: Arc<Desk>,
}

impl ServeDatagrams for Sockets {
    fn serve(&self, socket: UdpSocket, retired: CancellationToken) -> io::Result<oneshot::Receiver<()>> {
        let thread = self.thread.get()?;
        let (desk, runtime, at) = (self.desk.clone(), thread.runtime(), socket.local_addr()?);
        let open = move || Endpoint::new(quic::endpoint(), None, socket.try_clone()?, runtime.clone());
        let first = open()?;
        let (closed, is_closed) = oneshot::channel();
        // At once: whoever comes next is told of it.
        desk.opens(at);
        // It ends once the socket is retired.
        drop(thread.handle.spawn(async move {
            let mut next = Ok(first);
            loop {
                match next {
                    Ok(endpoint) => serve(endpoint, at, &desk, &retired).await,
                    Err(error) => tracing::warn!("{at}/udp: {error}; tried again"),
                }
                if retired.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                    break;
                }
                next = open();
                if next.is_ok() {
                    desk.opens(at);
                }
            }
            // Its descriptor first.
            drop(open);
            drop(closed);
        }));
        Ok(is_closed)
    }
}

/// Lets in who comes, until the socket is retired, or an error of it has ended the endpoint.
async fn serve(endpoint: Endpoint, at: SocketAddr, desk: &Arc<Desk>, retired: &CancellationToken) {
    door::keep(&endpoint, desk, retired).await;
    desk.closes(at);
    door::close(endpoint).await;
}
