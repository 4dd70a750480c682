//! A QUIC connection that carries flows, from its token to its end: what is read is passed on, what waits is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Connection, ConnectionError, ReadExactError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use super::means::QuicMeans;
use super::silence::{LOOK_EVERY, Silence, Then};
use crate::transport::tunnel::flows::FlowNumber;
use crate::transport::tunnel::quic::MAX_LARGE;
use crate::transport::tunnel::quic::datagram::{self, LONGEST};
use crate::transport::tunnel::quic::news::{HEAD, News};
use crate::tunnel::datagrams::means::Arrivals;

/// How long a datagram that has a stream of its own may be on its way: what comes later is of no use.
const LARGE_PATIENCE: Duration = Duration::from_secs(2);

/// The longest datagram that fits a packet of any way that QUIC can use (RFC 9000, section 14: 1,200 bytes).
const SURE: usize = 1024;

/// Datagrams that are read in a row before anything else runs.
const BURST: usize = 64;

/// The most urgent stream is that of the news.
const NEWS_PRIORITY: i32 = 1;

/// Why a connection is closed, as its application error code (RFC 9000, section 20.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Code {
    /// Nothing is wrong: the control has ended, or another connection took over.
    Over = 0,
    /// The token names no control, or one of another key, or was used, or is too old.
    NoSession = 1,
    /// The other end broke the rules.
    Protocol = 2,
    /// The other end has fallen silent.
    Silent = 3,
    /// The other end takes nothing.
    Overload = 4,
}

impl Code {
    /// Closes a connection.
    pub(super) fn close(self, connection: &Connection) {
        connection.close(VarInt::from_u32(self as u32), b"");
    }
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ended {
    /// It broke, or the other end closed it.
    Closed(ConnectionError),
    /// The other end broke the rules, as these words say.
    Protocol(String),
    /// Nothing came from the other end though something was sent.
    Silent,
    /// The other end takes no news.
    Overload,
}

/// A connection whose token was taken.
pub(super) struct Carry {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    pub(super) recv: RecvStream,
    pub(super) arrivals: Arc<dyn Arrivals>,
    pub(super) means: Arc<QuicMeans>,
}

impl Carry {
    /// Carries flows until the connection ends. `up` is told once the other end has answered.
    ///
    /// Not cancel safe: a dropped connection is closed.
    pub(super) async fn run(self, up: oneshot::Sender<()>) -> Ended {
        let Carry { connection, send, recv, arrivals, means } = self;
        let _over = means.over.clone().drop_guard();
        means.ask();
        means.is_sent();
        let ended = tokio::select! {
            ended = read_datagrams(&connection, &*arrivals) => ended,
            ended = read_large(&connection, &arrivals) => ended,
            ended = hear(recv, &*arrivals, &means, up) => ended,
            ended = send_datagrams(&connection, &*arrivals, &means) => ended,
            ended = tell(send, &means) => ended,
            () = watch(&connection, &means) => Ended::Silent,
            () = means.over.cancelled() => Ended::Overload,
        };
        let code = match &ended {
            Ended::Closed(_) => Code::Over,
            Ended::Protocol(_) => Code::Protocol,
            Ended::Silent => Code::Silent,
            Ended::Overload => Code::Overload,
        };
        code.close(&connection);
        ended
    }
}

async fn read_datagrams(connection: &Connection, arrivals: &dyn Arrivals) -> Ended {
    loop {
        for _ in 0..BURST {
            match connection.read_datagram().await.map(datagram::decode) {
                Ok(Some((flow, payload))) => arrivals.arrived(flow, payload),
                Ok(None) => return Ended::Protocol("a datagram without a flow".into()),
                Err(error) => return Ended::Closed(error),
            }
        }
        yield_now().await;
    }
}

/// Datagrams that have streams of their own; the other end may open as many as [`MAX_LARGE`].
async fn read_large(connection: &Connection, arrivals: &Arc<dyn Arrivals>) -> Ended {
    let mut reads = JoinSet::new();
    loop {
        tokio::select! {
            opened = connection.accept_uni() => match opened {
                Ok(stream) => {
                    reads.spawn(read_one(stream));
                }
                Err(error) => return Ended::Closed(error),
            },
            // One that is late or cut was lost, as datagrams are.
            Some(read) = reads.join_next() => if let Ok(Some(bytes)) = read {
                match datagram::decode(bytes) {
                    Some((flow, payload)) => arrivals.arrived(flow, payload),
                    None => return Ended::Protocol("a datagram without a flow".into()),
                }
            },
        }
    }
}

async fn read_one(mut stream: RecvStream) -> Option<Bytes> {
    match timeout(LARGE_PATIENCE, stream.read_to_end(LONGEST)).await {
        Ok(Ok(bytes)) => Some(bytes.into()),
        Ok(Err(_)) | Err(_) => {
            // It fails on a stream that has ended, which needs no stop.
            let _ = stream.stop(VarInt::from_u32(0));
            None
        }
    }
}

/// Reads what the other end says of flows.
async fn hear(
    mut recv: RecvStream,
    arrivals: &dyn Arrivals,
    means: &QuicMeans,
    up: oneshot::Sender<()>,
) -> Ended {
    let mut up = Some(up);
    loop {
        let news = match next_news(&mut recv).await {
            Ok(news) => news,
            Err(ended) => return ended,
        };
        match news {
            News::Flow(flow, open) => arrivals.began(flow, *open),
            News::End(flow, why) => arrivals.ended(flow, why),
            News::Ping => means.say(&News::Pong),
            News::Pong if !means.answered() => return Ended::Protocol("an answer to no question".into()),
            // Whoever waited may be gone.
            News::Pong => drop(up.take().map(|up| up.send(()))),
        }
    }
}

async fn next_news(recv: &mut RecvStream) -> Result<News, Ended> {
    let wrong = |why: &dyn std::fmt::Display| Ended::Protocol(why.to_string());
    let mut head = [0; HEAD];
    recv.read_exact(&mut head).await.map_err(of_read)?;
    let mut item = vec![0; News::length(head).map_err(|why| wrong(&why))?];
    recv.read_exact(&mut item).await.map_err(of_read)?;
    News::decode(&item).map_err(|why| wrong(&why))
}

fn of_read(error: ReadExactError) -> Ended {
    match error {
        ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => Ended::Closed(error),
        _ => Ended::Protocol("the stream of the news has ended".into()),
    }
}

/// Sends the news that wait.
async fn tell(mut send: SendStream, means: &QuicMeans) -> Ended {
    // It fails on a closed connection, and so does the next write.
    let _ = send.set_priority(NEWS_PRIORITY);
    loop {
        means.news.notified().await;
        match send.write_all(&means.take_news()).await {
            Ok(()) => {}
            Err(WriteError::ConnectionLost(error)) => return Ended::Closed(error),
            Err(_) => return Ended::Protocol("the stream of the news was stopped".into()),
        }
    }
}

/// Sends the datagrams that wait, and tells what was dropped.
async fn send_datagrams(connection: &Connection, arrivals: &dyn Arrivals, means: &Arc<QuicMeans>) -> Ended {
    let free = Arc::new(Semaphore::new(MAX_LARGE as usize));
    let mut large = JoinSet::new();
    loop {
        let (next, dropped) = means.next();
        tell_dropped(arrivals, dropped);
        while large.try_join_next().is_some() {}
        let Some((flow, datagram)) = next else {
            means.datagrams.notified().await;
            continue;
        };
        if datagram.len() <= SURE || connection.max_datagram_size().is_some_and(|most| datagram.len() <= most)
        {
            match connection.send_datagram_wait(datagram).await {
                Ok(()) => {}
                Err(quinn::SendDatagramError::ConnectionLost(error)) => return Ended::Closed(error),
                // The way has become narrower meanwhile.
                Err(_) => means.is_dropped(flow),
            }
            continue;
        }
        match free.clone().try_acquire_owned() {
            Ok(permit) => {
                let (connection, means) = (connection.clone(), means.clone());
                large.spawn(async move {
                    let _permit = permit;
                    if !send_large(&connection, &datagram).await {
                        means.is_dropped(flow);
                    }
                });
            }
            Err(_) => means.is_dropped(flow),
        }
    }
}

fn tell_dropped(arrivals: &dyn Arrivals, dropped: BTreeMap<FlowNumber, u64>) {
    dropped.into_iter().for_each(|(flow, count)| arrivals.dropped(flow, count));
}

/// Sends a datagram on a stream of its own; whether the other end has it in time.
async fn send_large(connection: &Connection, datagram: &[u8]) -> bool {
    let Ok(Ok(mut stream)) = timeout(LARGE_PATIENCE, connection.open_uni()).await else { return false };
    let sent = async {
        stream.write_all(datagram).await.ok()?;
        stream.finish().ok()?;
        // Nothing but that all of it has arrived.
        stream.stopped().await.ok()?.is_none().then_some(())
    };
    let is_sent = matches!(timeout(LARGE_PATIENCE, sent).await, Ok(Some(())));
    if !is_sent {
        // It fails on a stream that was stopped, which needs no reset.
        let _ = stream.reset(VarInt::from_u32(0));
    }
    is_sent
}

/// Resolves once the other end is silent though something was sent. What arrives, arrives as packets of this connection:
/// at least the acknowledgement of what was sent.
async fn watch(connection: &Connection, means: &QuicMeans) {
    let arrived = || connection.stats().udp_rx.datagrams;
    let (mut silence, mut heard) = (Silence::default(), arrived());
    loop {
        means.unanswered.notified().await;
        loop {
            sleep(LOOK_EVERY).await;
            let before = std::mem::replace(&mut heard, arrived());
            match silence.look(means.has_sent(), heard != before, Instant::now()) {
                Then::Rest => break,
                Then::Look => {}
                Then::Ask => means.ask(),
                Then::GiveUp => return,
            }
        }
    }
}
