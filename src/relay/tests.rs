//! How the pump handles two halves, with in-process streams at both ends.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::coop::{has_budget_remaining, poll_proceed};

use super::direction::Direction;
use super::throttle::Unlimited;
use super::{CustomHalf, Half, Pace, Relayed, Socket, relay_halves};
use crate::ledger::{FlowMeter, Meter};
use crate::limits::Bandwidth;
use crate::outcome::{End, Side};
use crate::transport::{Custom, Stream};
use crate::units::Rate;

/// Smaller than any message below, so that every sink falls behind.
const NARROW: usize = 100;

/// One end of an in-process session: what the test holds, and the half that the pump gets.
struct Wire {
    ours: DuplexStream,
    half: Option<CustomHalf>,
    resets: Arc<AtomicUsize>,
}

fn wire() -> Wire {
    let (ours, theirs) = duplex(NARROW);
    wire_over(ours, theirs)
}

fn wire_over(ours: DuplexStream, theirs: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Wire {
    let resets = Arc::new(AtomicUsize::new(0));
    let count = resets.clone();
    let custom = Custom::new(theirs, move || {
        count.fetch_add(1, Relaxed);
    });
    Wire { ours, half: Some(CustomHalf::new(custom)), resets }
}

impl Wire {
    fn resets(&self) -> usize {
        self.resets.load(Relaxed)
    }
}

/// Runs a session between the two while `what` acts on their other ends.
async fn carry<T>(
    [client, target]: [CustomHalf; 2],
    pace: &Pace<'_>,
    what: impl Future<Output = T>,
) -> (Relayed, Option<Arc<str>>, Meter, T) {
    let meter = Meter::default();
    let relaying = async {
        // Moved in, so that they are dropped as soon as it is over.
        let (mut client, mut target) = (client, target);
        relay_halves(&mut client, &mut target, &meter, Duration::from_secs(60), pace).await
    };
    let ((relayed, description), done) = tokio::join!(relaying, what);
    (relayed, description, meter, done)
}

fn halves(client: &mut Wire, target: &mut Wire) -> [CustomHalf; 2] {
    [client.half.take().expect("one session"), target.half.take().expect("one session")]
}

fn unbound() -> Pace<'static> {
    Pace::new(None, None)
}

fn bytes(seed: u8) -> Vec<u8> {
    (0..300_000_usize).map(|n| (n % 251) as u8 ^ seed).collect()
}

async fn received(from: &mut DuplexStream) -> Vec<u8> {
    let mut received = Vec::new();
    from.read_to_end(&mut received).await.expect("an end");
    received
}

/// The client sends everything and ends; the target sees that end, and only then answers.
async fn request_and_answer(pace: &Pace<'_>) {
    let (mut client, mut target) = (wire(), wire());
    let halves = halves(&mut client, &mut target);

    let (relayed, description, meter, (request, answer)) = carry(halves, pace, async {
        let ask = async {
            client.ours.write_all(&bytes(1)).await.expect("the request is taken");
            client.ours.shutdown().await.expect("the end is taken");
            received(&mut client.ours).await
        };
        let reply = async {
            let request = received(&mut target.ours).await;
            target.ours.write_all(&bytes(2)).await.expect("the answer is taken");
            target.ours.shutdown().await.expect("the end is taken");
            request
        };
        let (answer, request) = tokio::join!(ask, reply);
        (request, answer)
    })
    .await;

    assert!(request == bytes(1) && answer == bytes(2));
    assert_eq!((relayed.end, relayed.closed_by, description), (End::Done, Some(Side::Client), None));
    let traffic = meter.traffic();
    assert_eq!((traffic.up.read, traffic.up.delivered), (300_000, 300_000));
    assert_eq!((traffic.down.read, traffic.down.delivered), (300_000, 300_000));
    assert_eq!((client.resets(), target.resets()), (0, 0));
}

#[tokio::test]
async fn a_stream_of_this_process_is_carried_whole_and_half_closed() {
    request_and_answer(&unbound()).await;
}

#[tokio::test]
async fn a_stream_of_this_process_is_carried_whole_at_a_rate() {
    let rate: Rate = "80mbit".parse().expect("a rate");
    let own = Bandwidth::new(rate.into(), std::time::Instant::now());

    request_and_answer(&Pace::new(Some(own), None)).await;
}

/// Fails a read once `broken` is set, after what the stream had before. Another read would never be ready.
struct Breaking {
    stream: DuplexStream,
    with: io::ErrorKind,
    broken: Arc<AtomicBool>,
    has_failed: bool,
}

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_failed {
            return Poll::Pending;
        }
        let filled = room.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, room);
        let is_over = read.is_ready() && room.filled().len() == filled;
        self.has_failed = is_over && self.broken.load(Relaxed);
        if self.has_failed { Poll::Ready(Err(self.with.into())) } else { read }
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A target sends everything and breaks this way; returns what the client has received by then, and how the session
/// ended.
async fn broken_target(with: io::ErrorKind) -> (Vec<u8>, Relayed, Option<Arc<str>>, [usize; 2]) {
    let (ours, stream) = duplex(NARROW);
    let broken = Arc::new(AtomicBool::new(false));
    let breaking = Breaking { stream, with, broken: broken.clone(), has_failed: false };
    let (mut client, mut target) = (wire(), wire_over(ours, breaking));
    let halves = halves(&mut client, &mut target);

    let (relayed, description, _, answer) = carry(halves, &unbound(), async {
        let reply = async {
            target.ours.write_all(&bytes(3)).await.expect("the answer is taken");
            broken.store(true, Relaxed);
            target.ours.shutdown().await.expect("the end is taken");
        };
        tokio::join!(received(&mut client.ours), reply).0
    })
    .await;
    (answer, relayed, description, [client.resets(), target.resets()])
}

#[tokio::test]
async fn what_came_before_a_break_arrives_and_both_ends_are_reset() {
    let (answer, relayed, description, resets) = broken_target(io::ErrorKind::ConnectionReset).await;

    assert!(answer == bytes(3), "{} bytes", answer.len());
    assert_eq!((relayed.end, relayed.closed_by, description), (End::TargetReset, None, None));
    assert_eq!(resets, [1, 1]);
}

#[tokio::test]
async fn a_stream_that_closes_without_an_end_is_passed_on_as_a_reset_with_a_description() {
    let (answer, relayed, description, resets) = broken_target(io::ErrorKind::UnexpectedEof).await;

    assert!(answer == bytes(3), "{} bytes", answer.len());
    assert_eq!((relayed.end, relayed.closed_by), (End::TargetReset, Some(Side::Target)));
    assert!(description.is_some_and(|description| description.contains("without close_notify")));
    assert_eq!(resets, [1, 1]);
}

#[tokio::test]
async fn an_abandoned_session_looks_truncated_at_both_ends() {
    let (mut client, mut target) = (wire(), wire());
    let halves = halves(&mut client, &mut target);

    {
        let pace = unbound();
        let carried = std::pin::pin!(carry(halves, &pace, std::future::pending::<()>()));
        let exchange = async {
            client.ours.write_all(b"hello").await.expect("taken");
            let mut hello = [0; 5];
            target.ours.read_exact(&mut hello).await.expect("hello");
            hello
        };
        tokio::select! {
            _ = carried => panic!("it was not ended"),
            hello = exchange => assert_eq!(&hello, b"hello"),
        }
    }

    assert_eq!((client.resets(), target.resets()), (1, 1));
}

/// A half may have something to send that did not come from the other side, such as an alert of TLS.
#[tokio::test]
async fn what_a_half_has_to_send_by_itself_goes_out_while_the_other_side_is_silent() {
    let (_silent, theirs) = tokio::net::UnixStream::pair().expect("a pair");
    let (stream, flow) = (Stream::Unix(theirs), FlowMeter::default());
    let (mut source, mut sink) = (Socket::new(&stream), wire());
    let (mut half, mut direction) = (sink.half.take().expect("one session"), Direction::new(Unlimited));
    let mut turn = async |half: &mut CustomHalf| {
        poll_fn(|cx| Poll::Ready(direction.poll(cx, &mut source, half, &flow, false).is_pending())).await
    };
    // From here on nothing but its source would wake it.
    assert!(turn(&mut half).await);

    poll_fn(|cx| Poll::Ready(half.write(cx, &[7; NARROW + 5]))).await.expect("written or kept");
    assert!(half.is_behind());
    let mut sent = [0; NARROW + 5];
    sink.ours.read_exact(&mut sent[..NARROW]).await.expect("what was written at once");

    assert!(turn(&mut half).await && !half.is_behind());
    sink.ours.read_exact(&mut sent[NARROW..]).await.expect("what was kept");
    assert_eq!(sent, [7; NARROW + 5]);
}

/// A half of an embedder, or the handshake before, may have used up what the runtime allows a task in one turn.
#[tokio::test]
async fn a_message_after_a_turn_that_was_cut_short_still_arrives() {
    let (mut speaker, theirs) = tokio::net::UnixStream::pair().expect("a pair");
    let (stream, flow) = (Stream::Unix(theirs), FlowMeter::default());
    let (mut source, mut sink) = (Socket::new(&stream), wire());
    let (mut half, mut direction) = (sink.half.take().expect("one session"), Direction::new(Unlimited));
    let (waits, until_it_waits) = tokio::sync::oneshot::channel();
    let (mut turns, mut waits) = (0, Some(waits));
    let relay = poll_fn(|cx| {
        turns += 1;
        while turns == 1 && has_budget_remaining() {
            let Poll::Ready(used) = poll_proceed(cx) else { break };
            used.made_progress();
        }
        let moved = direction.poll(cx, &mut source, &mut half, &flow, false);
        if turns == 2 {
            waits.take().map(|waits| waits.send(()));
        }
        moved
    });
    // A task of its own, whose timeout does not wake the relay.
    let talk = tokio::runtime::Handle::current().spawn(async move {
        until_it_waits.await.expect("another turn");
        speaker.write_all(b"hello").await.expect("written");
        let mut heard = [0; 5];
        let hears = sink.ours.read_exact(&mut heard);
        tokio::time::timeout(Duration::from_secs(10), hears).await.expect("in time").expect("read");
        assert_eq!(&heard, b"hello");
        (speaker, sink.ours)
    });

    tokio::select! {
        biased;
        _ = relay => unreachable!("the speaker has not ended"),
        heard = talk => drop(heard.expect("heard")),
    }
}
