//! The connection of a check: reads and writes plain bytes, encrypted on the wire if the target speaks TLS.

use std::io::{self, ErrorKind};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, Interest};

use crate::transport::Link;
use crate::transport::tls::{MAX_UNREAD, Sealed, sealed_room};

/// The size of one read, in bytes.
const CHUNK: usize = 4 << 10;

/// A connection and its TLS state, if it has one.
pub(crate) struct CheckConnection {
    link: Link,
    seal: Option<Sealed>,
    /// With TLS, bytes not decrypted yet: the beginning of a record.
    unopened: Vec<u8>,
}

impl CheckConnection {
    pub(crate) fn new(link: Link, mut seal: Option<Sealed>) -> CheckConnection {
        let unopened = seal.as_mut().map(Sealed::take_partial).unwrap_or_default();
        CheckConnection { link, seal, unopened }
    }

    /// Writes all bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(seal) = &mut self.seal else { return self.link.send_all(bytes).await };
        let mut wire = vec![0; sealed_room(bytes.len())];
        let sealed = seal.seal(bytes, &mut wire).map_err(io::Error::other)?;
        self.link.send_all(&wire[..sealed]).await
    }

    /// Appends received bytes to `received`, up to a total length of `most`, and returns how many; zero at the end of
    /// the stream.
    pub(crate) async fn read_more(&mut self, received: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        let before = received.len();
        let Some(seal) = &mut self.seal else {
            return read(&mut self.link, received, CHUNK.min(most - before)).await;
        };
        received.append(&mut seal.take_early());
        while received.len() == before && !seal.closed {
            if self.unopened.len() > MAX_UNREAD {
                return Err(ErrorKind::FileTooLarge.into());
            }
            if read(&mut self.link, &mut self.unopened, CHUNK).await? == 0 {
                break;
            }
            let mut answer = Vec::new();
            let opened =
                seal.open(&mut self.unopened, &mut |plain| received.extend_from_slice(plain), &mut answer);
            let opened = opened.map_err(io::Error::other)?;
            self.unopened.drain(..opened);
            self.link.send_all(&answer).await?;
        }
        received.truncate(most);
        Ok(received.len() - before)
    }
}

/// Appends received bytes and returns how many; zero at the end of the stream.
///
/// Cancel safe: it appends only what has arrived.
async fn read(link: &mut Link, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let stream = match link {
        Link::Socket(stream) => stream,
        Link::Custom(custom) => return custom.stream().take(most as u64).read_buf(bytes).await,
        // What it says of its target is for sessions; no check asks through it.
        Link::Carrier(_) => return Err(ErrorKind::Unsupported.into()),
    };
    let filled = bytes.len();
    loop {
        stream.ready(Interest::READABLE).await?;
        bytes.resize(filled + most, 0);
        let room = &mut bytes[filled..];
        let answer =
            stream.try_io(Interest::READABLE, || Ok(recv(&*stream, &mut *room, RecvFlags::empty())?.0));
        bytes.truncate(filled + answer.as_ref().copied().unwrap_or(0));
        match answer {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::transport::{self, Origin};

    #[tokio::test]
    async fn a_cancelled_check_keeps_exactly_the_bytes_that_arrived() {
        use tokio::io::AsyncWriteExt;
        let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Net(service.local_addr().unwrap());
        let stream = transport::dial(&address, &Origin::default()).await.unwrap();
        let (mut served, _) = service.accept().await.unwrap();
        let (mut connection, mut received) = (CheckConnection::new(Link::Socket(stream), None), Vec::new());

        served.write_all(b"-LOADING").await.unwrap();
        assert_eq!(connection.read_more(&mut received, 100).await.unwrap(), 8);
        tokio::select! {
            biased;
            received = connection.read_more(&mut received, 100) => panic!("{received:?} was never sent"),
            () = std::future::ready(()) => {}
        }

        assert_eq!(received, b"-LOADING");
    }
}
