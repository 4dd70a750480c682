//! First bytes that are looked at, over a stream within this process.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::relay::CustomHalf;
use crate::transport::Custom;

fn ahead(room: usize) -> (Ahead<CustomHalf>, DuplexStream) {
    let (ours, theirs) = duplex(room);
    (Ahead::new(CustomHalf::new(Custom::new(ours, || {}))), theirs)
}

fn line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}

/// Reads as the relay does, to the end.
async fn rest(half: &mut Ahead<CustomHalf>, limit: usize) -> (Vec<u8>, Result<(), Trouble>) {
    let mut all = Vec::new();
    loop {
        let mut buffer = vec![0; limit + crate::relay::MAX_KEPT];
        let (read, input) = poll_fn(|cx| {
            let mut room = ReadBuf::new(&mut buffer);
            half.poll_read(cx, &mut room, limit).map(|input| (room.filled().len(), input))
        })
        .await;
        assert!(read <= limit, "{read} bytes at once");
        all.extend_from_slice(&buffer[..read]);
        match input {
            Ok(Input::Open) => {}
            Ok(Input::Ended) => return (all, Ok(())),
            Err(trouble) => return (all, Err(trouble)),
        }
    }
}

#[tokio::test]
async fn what_was_looked_at_is_read_first_and_what_was_taken_by_nobody_else() {
    let text = b"PROXY UNKNOWN\nGET / and more";
    for split in 1..text.len() {
        let (mut half, mut other) = ahead(64);
        other.write_all(&text[..split]).await.unwrap();
        let (found, ()) = tokio::join!(half.look(100, line), async {
            other.write_all(&text[split..]).await.unwrap();
        });
        half.take_seen(found.unwrap());
        assert!(half.has_spoken().await);
        drop(other);

        let (read, end) = rest(&mut half, 5).await;
        assert_eq!((&read[..], end.is_ok()), (&text[14..], true), "split at {split}");
    }
}

#[tokio::test]
async fn a_look_that_is_given_up_loses_nothing_and_asks_once_for_each_arrival() {
    let (mut half, mut other) = ahead(64);
    let asked = Cell::new(0);
    for byte in b"a line" {
        other.write_all(&[*byte]).await.unwrap();
        let mut work = pin!(half.look(100, |bytes| {
            asked.set(asked.get() + 1);
            line(bytes)
        }));
        for _ in 0..3 {
            assert!(poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await.is_pending());
        }
    }
    // Each look begins with what was there.
    assert!(asked.get() <= 12, "asked {} times", asked.get());

    other.write_all(b"\n").await.unwrap();
    assert_eq!(half.look(100, line).await.unwrap(), 7);
    assert_eq!(half.seen(), b"a line\n");
}

#[tokio::test]
async fn no_more_is_held_than_was_asked_for() {
    let (mut half, mut other) = ahead(1 << 20);
    other.write_all(&[b'x'; 100_000]).await.unwrap();
    let most = Cell::new(0);

    let looked = half.look(4000, |bytes| {
        most.set(bytes.len());
        None::<()>
    });
    assert!(matches!(looked.await, Err(Undecided::Full)));

    assert_eq!((most.get(), half.seen().len()), (4000, 4000));
    drop(other);
    assert_eq!(rest(&mut half, 1000).await.0.len(), 100_000);
}

#[tokio::test]
async fn an_end_and_a_break_come_behind_what_was_seen() {
    let (mut half, mut other) = ahead(64);
    other.write_all(b"half").await.unwrap();
    drop(other);
    assert!(matches!(half.look(100, line).await, Err(Undecided::Ended)));
    assert!(half.trouble().is_none() && half.has_spoken().await);
    assert_eq!(rest(&mut half, 9).await.0, b"half");

    let breaks = breaking();
    let mut half = Ahead::new(CustomHalf::new(Custom::new(breaks, || {})));
    assert!(matches!(half.look(100, line).await, Err(Undecided::Broken(_))));
    assert!(half.trouble().is_some() && half.seen() == b"half");
    let (read, end) = rest(&mut half, 9).await;
    assert_eq!(read, b"half");
    assert!(matches!(end, Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::TimedOut));
}

/// Gives a few bytes, then an error.
fn breaking() -> impl AsyncRead + AsyncWrite + Send + Unpin {
    struct Breaks(bool);
    impl AsyncRead for Breaks {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            room: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            room.put_slice(b"half");
            Poll::Ready(Ok(()))
        }
    }
    tokio::io::join(Breaks(false), tokio::io::sink())
}

#[tokio::test]
async fn as_a_stream_it_gives_what_was_seen_and_writes_through_the_half() {
    let (mut half, mut other) = ahead(8);
    other.write_all(b"hello").await.unwrap();
    half.look(2, |bytes| (bytes.len() >= 2).then_some(())).await.unwrap();

    let mut heard = [0; 5];
    half.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    let answer = vec![7; 10_000];
    let (_, heard) = tokio::join!(
        async {
            half.write_all(&answer).await.unwrap();
            half.flush().await.unwrap();
            half.shutdown().await.unwrap();
        },
        async {
            let mut heard = Vec::new();
            other.read_to_end(&mut heard).await.unwrap();
            heard
        }
    );
    assert_eq!(heard, answer);
}
