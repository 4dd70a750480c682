//! Peeks at the bytes that a client has sent and leaves them in the socket, so that the kernel can still splice them.
//!
//! The caller sets the deadline, and passes the function that interprets the bytes.

use std::io;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::time::sleep;

use super::Stream;

/// The size of the first look, in bytes; most headers and hellos are shorter.
const FIRST_LOOK: usize = 512;

/// Looks without a result after which each further one waits. A look copies everything that has arrived, so a client
/// that sends byte by byte would otherwise cost the square of what it sends.
const FREE_LOOKS: u32 = 64;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Why there was no answer.
#[derive(Debug)]
pub enum Undecided {
    /// The client sent FIN before.
    Ended,
    /// `most` bytes were not enough.
    Full,
    /// The connection broke, usually by a reset.
    Broken(io::Error),
}

/// Calls `judge` with all bytes that have arrived, again after each arrival, until it returns an answer. Nothing is
/// taken from the socket.
///
/// `seen` holds the bytes of the last call, even if the future is dropped; it never grows beyond `most` bytes. `most`
/// must be well below the socket's receive buffer (tcp(7), tcp_rmem: 128 KiB), in which the bytes wait.
///
/// # Errors
/// See [`Undecided`]. All that the client sent before is in `seen`.
///
/// Cancel safe: the bytes are still in the socket, which counts as ready once new bytes arrive or a read may succeed.
pub async fn peek<T>(
    stream: &Stream,
    seen: &mut Vec<u8>,
    most: usize,
    mut judge: impl FnMut(&[u8]) -> Option<T>,
) -> Result<T, Undecided> {
    let mut room = FIRST_LOOK.min(most);
    let mut looks = 0;
    loop {
        // Nothing arrives after a FIN, so a look after it sees everything there will ever be.
        let has_ended = stream.ready(Interest::READABLE).await.map_err(Undecided::Broken)?.is_read_closed();
        let mut answer = None;
        let look = stream.try_io(Interest::READABLE, || {
            seen.resize(room, 0);
            let length = look(stream, seen).inspect_err(|_| seen.clear())?;
            seen.truncate(length);
            answer = judge(seen);
            if answer.is_none() && length < room {
                // Anything that arrives from here on makes the socket ready again: the poller reports each arrival
                // (epoll(7), EPOLLET), including one since the look. A socket left ready would be a busy loop.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(length)
        });
        if let Some(answer) = answer {
            return Ok(answer);
        }
        match look {
            Ok(0) => return Err(Undecided::Ended),
            Ok(_) if room == most => return Err(Undecided::Full),
            Ok(_) => room = (2 * room).min(most),
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(Undecided::Broken(e)),
            Err(_) if has_ended => return Err(end_of(stream)),
            Err(_) => looks += 1,
        }
        if looks > FREE_LOOKS {
            sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// Takes the first `count` of the seen bytes out of the socket.
///
/// # Errors
/// `UnexpectedEof` or another error if they are no longer there, because the socket has another reader.
pub fn take_seen(stream: &Stream, mut count: usize) -> io::Result<()> {
    let mut buffer = [0; FIRST_LOOK];
    while count > 0 {
        let room = count.min(buffer.len());
        let taken = rustix::io::retry_on_intr(|| recv(stream, &mut buffer[..room], RecvFlags::DONTWAIT))?.1;
        if taken == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        count -= taken;
    }
    Ok(())
}

fn look(stream: &Stream, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    Ok(rustix::io::retry_on_intr(|| recv(stream, &mut *buffer, flags))?.1)
}

/// How the stream ended: a reset stays hidden behind the bytes that came before it until SO_ERROR is read.
fn end_of(stream: &Stream) -> Undecided {
    match stream.take_error() {
        Ok(None) => Undecided::Ended,
        Ok(Some(error)) | Err(error) => Undecided::Broken(error),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::task::Poll;

    use rustix::net::sockopt::set_socket_linger;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream, UnixStream};
    use tokio::task::yield_now;

    use super::super::tcp::Tcp;
    use super::*;

    async fn tcp() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let accepted = listener.accept().await.unwrap().0.into_std().unwrap();
        (Stream::Tcp(Tcp::new(accepted.into()).unwrap()), client)
    }

    fn line(bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
    }

    async fn poll_once(mut work: Pin<&mut impl Future<Output = Result<usize, Undecided>>>) {
        let answer = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        assert!(answer.is_pending(), "{answer:?}");
    }

    /// Polls until the judge has been asked `wanted` times.
    async fn until_asked(
        mut work: Pin<&mut impl Future<Output = Result<usize, Undecided>>>,
        asked: &std::cell::Cell<usize>,
        wanted: usize,
    ) {
        while asked.get() < wanted {
            poll_once(work.as_mut()).await;
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_was_seen_is_still_there_to_be_read() {
        let text = b"PROXY UNKNOWN\r\nGET /";
        for split in 1..text.len() {
            let (stream, mut client) = tcp().await;
            let mut seen = Vec::new();

            client.write_all(&text[..split]).await.unwrap();
            stream.ready(Interest::READABLE).await.unwrap();
            let (judged, wrote) =
                tokio::join!(peek(&stream, &mut seen, 107, line), client.write_all(&text[split..]));
            wrote.unwrap();

            assert_eq!(judged.unwrap(), 15, "split at {split}");
            take_seen(&stream, 15).unwrap();
            let rest = peek(&stream, &mut seen, 107, |it| (it.len() == 5).then(|| it.to_vec())).await;
            assert_eq!(rest.unwrap(), b"GET /", "split at {split}");
        }
    }

    #[tokio::test]
    async fn a_unix_socket_is_looked_at_the_same_way() {
        let (ours, mut client) = UnixStream::pair().unwrap();
        let stream = Stream::Unix(ours);
        let mut seen = Vec::new();

        for byte in b"one\n" {
            client.write_all(&[*byte]).await.unwrap();
        }

        assert_eq!(peek(&stream, &mut seen, 107, line).await.unwrap(), 4);
        drop(client);
        assert!(matches!(peek(&stream, &mut seen, 107, |_| None::<()>).await, Err(Undecided::Ended)));
        assert_eq!(seen, b"one\n");
    }

    #[tokio::test]
    async fn bytes_that_decide_nothing_are_looked_at_once() {
        let (stream, mut client) = tcp().await;
        let (mut seen, asked) = (Vec::new(), std::cell::Cell::new(0));
        let judge = |bytes: &[u8]| {
            asked.set(asked.get() + 1);
            line(bytes)
        };
        client.write_all(b"no end").await.unwrap();
        let mut work = pin!(peek(&stream, &mut seen, 107, judge));
        until_asked(work.as_mut(), &asked, 1).await;

        for _ in 0..1000 {
            poll_once(work.as_mut()).await;
            yield_now().await;
        }

        // The poller may report the arrival once more, if it came between the poller's look and this one.
        assert!(asked.get() <= 2, "asked {} times", asked.get());
        client.write_all(b"\n").await.unwrap();
        assert_eq!(work.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_client_that_sends_byte_by_byte_is_looked_at_less_and_less_often() {
        let (stream, mut client) = tcp().await;
        let (mut seen, asked) = (Vec::new(), std::cell::Cell::new(0));
        let judge = |bytes: &[u8]| {
            asked.set(asked.get() + 1);
            line(bytes)
        };
        let began = std::time::Instant::now();
        let slow = async {
            for n in 0..FREE_LOOKS + 2 {
                client.write_all(b"x").await.unwrap();
                while asked.get() <= n {
                    yield_now().await;
                }
            }
            client.write_all(b"\n").await.unwrap();
        };

        let (judged, ()) = tokio::join!(peek(&stream, &mut seen, 4096, judge), slow);

        assert_eq!(judged.unwrap(), FREE_LOOKS as usize + 3);
        assert!(began.elapsed() >= BETWEEN_LOOKS, "it never waited");
    }

    #[tokio::test]
    async fn a_fin_before_the_end_is_reported_with_what_came_before_it() {
        let (stream, mut client) = tcp().await;
        let mut seen = Vec::new();

        client.write_all(b"half").await.unwrap();
        client.shutdown().await.unwrap();

        assert!(matches!(peek(&stream, &mut seen, 107, line).await, Err(Undecided::Ended)));
        assert_eq!(seen, b"half");
    }

    #[tokio::test]
    async fn a_reset_before_the_end_is_reported_as_a_reset() {
        for before in [&b""[..], b"half"] {
            let (stream, mut client) = tcp().await;
            let mut seen = Vec::new();
            client.write_all(before).await.unwrap();
            set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            drop(client);

            let Err(Undecided::Broken(error)) = peek(&stream, &mut seen, 107, line).await else {
                panic!("no reset after {before:?}")
            };

            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn a_look_grows_with_what_arrives_up_to_its_bound() {
        let (stream, mut client) = tcp().await;
        let mut seen = Vec::new();
        client.write_all(&vec![b'x'; 8000]).await.unwrap();

        let found = peek(&stream, &mut seen, 64 << 10, |it| (it.len() == 8000).then_some(())).await;
        assert!(found.is_ok());
        let full = peek(&stream, &mut seen, 4000, |_| None::<()>).await;

        assert!(matches!(full, Err(Undecided::Full)));
        assert_eq!(seen.len(), 4000);
    }

    #[tokio::test]
    async fn a_look_that_is_given_up_can_begin_again() {
        let (stream, mut client) = tcp().await;
        let mut seen = Vec::new();
        client.write_all(b"a line").await.unwrap();
        for _ in 0..3 {
            let asked = std::cell::Cell::new(0);
            let judge = |bytes: &[u8]| {
                asked.set(asked.get() + 1);
                line(bytes)
            };
            let mut work = pin!(peek(&stream, &mut seen, 107, judge));
            poll_once(work.as_mut()).await;
        }

        client.write_all(b"\n").await.unwrap();

        assert_eq!(peek(&stream, &mut seen, 107, line).await.unwrap(), 7);
    }
}
