//! Request and response: small messages on connections that stay open.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rustix::event::epoll::EventFlags;

use crate::{Count, Fallible, MESSAGE, PATIENCE, Poll, Span, Tally, in_words};

/// One connection, one request at a time: two system calls per exchange and no epoll in between.
///
/// # Errors
/// If it cannot connect; what fails later is counted.
pub fn ping_pong(to: SocketAddr, span: Span) -> Fallible<Tally> {
    let mut stream = connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut count = Count::start(span);
    let (request, mut answer) = ([b'?'; MESSAGE], [0; MESSAGE]);
    loop {
        let sent = Instant::now();
        if count.over(sent) {
            break;
        }
        if let Err(error) = stream.write_all(&request).and_then(|()| whole(&stream, &mut answer, sent)) {
            count.failed(error, 1);
            break;
        }
        count.answered(1, sent, Instant::now());
    }
    Ok(count.tally())
}

/// Reads an answer. One that comes byte by byte is not waited for longer than one that does not come.
fn whole(mut stream: &TcpStream, answer: &mut [u8], sent: Instant) -> io::Result<()> {
    let mut got = 0;
    while got < answer.len() {
        match stream.read(&mut answer[got..]).map_err(|error| in_words(error, "no answer"))? {
            0 => return Err(io::Error::other("closed without an answer")),
            length => got += length,
        }
        if got < answer.len() && sent.elapsed() >= PATIENCE {
            return Err(io::Error::other("no whole answer for 3 s"));
        }
    }
    Ok(())
}

/// Many connections in one thread. Each sends `pipeline` requests in one write and the next when all are answered, as
/// redis-benchmark -P does; each answer's latency counts from that write.
///
/// # Errors
/// If one cannot connect; what fails later is counted.
pub fn requests(to: SocketAddr, connections: usize, pipeline: usize, span: Span) -> Fallible<Tally> {
    let mut poll = Poll::new()?;
    let batch = vec![b'?'; MESSAGE * pipeline];
    let mut lines = Vec::with_capacity(connections);
    for key in 0..connections {
        let stream = connect(to)?;
        stream.set_nonblocking(true)?;
        poll.add(&stream, key, EventFlags::IN)?;
        lines.push(Some(Line { stream, sent: Instant::now(), got: 0 }));
    }
    let mut count = Count::start(span);
    for line in &mut lines {
        step(line, &mut count, |line, _| line.send(&batch));
    }
    while lines.iter().any(Option::is_some) && !count.over(Instant::now()) {
        let mut silent = true;
        for key in poll.wait(Some(PATIENCE))? {
            silent = false;
            step(&mut lines[key], &mut count, |line, count| line.take(&batch, count));
        }
        if silent {
            count.failed("no answer for 3 s", lines.iter().flatten().count() as u64);
            break;
        }
    }
    Ok(count.tally())
}

/// A connection with a batch of requests under way.
struct Line {
    stream: TcpStream,
    sent: Instant,
    got: usize,
}

impl Line {
    fn send(&mut self, batch: &[u8]) -> std::io::Result<()> {
        (self.sent, self.got) = (Instant::now(), 0);
        self.stream.write_all(batch)
    }

    fn take(&mut self, batch: &[u8], count: &mut Count) -> std::io::Result<()> {
        let mut answers = [0; 16 * 1024];
        let length = match self.stream.read(&mut answers) {
            Ok(0) => return Err(io::Error::other("closed without an answer")),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let before = self.got / MESSAGE;
        self.got += length;
        count.answered((self.got / MESSAGE - before) as u64, self.sent, Instant::now());
        if self.got < batch.len() { Ok(()) } else { self.send(batch) }
    }
}

/// Lets a connection act; one that fails is counted and given up.
fn step(
    line: &mut Option<Line>,
    count: &mut Count,
    act: impl FnOnce(&mut Line, &mut Count) -> std::io::Result<()>,
) {
    if let Some(acting) = line
        && let Err(error) = act(acting, count)
    {
        count.failed(error, 1);
        *line = None;
    }
}

fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
