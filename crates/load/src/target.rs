//! What stands behind a forwarder: an echo, a source of bytes, a small HTTP server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::event::epoll::EventFlags;
use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use crate::streams::CACHED;
use crate::{Fallible, Poll};

/// What a target does with the bytes of its clients.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Answer {
    /// Sends back what it gets; one thread waits for all connections.
    Echo,
    /// The same, of what comes after a PROXY header of version 1.
    EchoAfterHeader,
    /// The first again, a thread per connection: for a single connection two system calls per message instead of three.
    EchoInThread,
    /// A short page for each request.
    Http,
    /// As many bytes as the client takes.
    Bytes,
    /// Nothing: it takes whatever comes, until the client has no more.
    Nothing,
}

const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\nHello, loopback!";
/// Many connections come at once; none shall wait for a retransmitted SYN.
const BACKLOG: i32 = 4096;
/// The key of the listening socket: no descriptor has this number.
const LISTENER: usize = usize::MAX;

/// Listens at `listen`, and answers every client until the process ends.
///
/// # Errors
/// If it cannot listen or accept.
pub fn serve(listen: SocketAddr, answer: Answer) -> Fallible<()> {
    serve_at(&listener(listen)?, answer)
}

/// The same at a socket that listens: see [`listener`].
///
/// # Errors
/// If it cannot accept.
pub fn serve_at(listener: &TcpListener, answer: Answer) -> Fallible<()> {
    match answer {
        Answer::Echo => serve_all(listener, |request, answer| answer.extend_from_slice(request)),
        Answer::EchoAfterHeader => serve_all(listener, after_header),
        Answer::Http => serve_all(listener, pages),
        Answer::EchoInThread => serve_each(listener, echo),
        Answer::Bytes => serve_each(listener, bytes),
        Answer::Nothing => serve_each(listener, |stream| discard(stream, RecvFlags::TRUNC)),
    }
}

/// The same at a Unix socket, for the two that only give or only take.
///
/// # Errors
/// If it cannot listen or accept, or the answer is another one.
pub fn serve_unix(listen: &Path, answer: Answer) -> Fallible<()> {
    let serve = match answer {
        Answer::Bytes => bytes,
        // MSG_TRUNC would copy here as well.
        Answer::Nothing => |stream| discard(stream, RecvFlags::empty()),
        _ => return Err("a target at a Unix socket gives bytes or takes them".into()),
    };
    let listener = UnixListener::bind(listen)?;
    loop {
        let (stream, _) = listener.accept()?;
        std::thread::spawn(move || serve(stream));
    }
}

/// A socket of IPv4 that listens, with a queue for many at once; port 0 lets the kernel choose.
///
/// # Errors
/// If it cannot listen there.
pub fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

fn serve_each(listener: &TcpListener, serve: fn(TcpStream) -> io::Result<()>) -> Fallible<()> {
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // A client that goes away ends its own thread and nothing else.
        std::thread::spawn(move || serve(stream));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

fn bytes(mut stream: impl Write) -> io::Result<()> {
    let buffer = vec![0x6c; CACHED];
    loop {
        stream.write_all(&buffer)?;
    }
}

fn discard(stream: impl AsFd, flags: RecvFlags) -> io::Result<()> {
    let mut buffer = vec![0; CACHED];
    while rustix::net::recv(&stream, buffer.as_mut_slice(), flags)?.1 > 0 {}
    Ok(())
}

/// A header is sent in one piece, and here arrives so; it comes with the request or alone.
fn after_header(request: &[u8], answer: &mut Vec<u8>) {
    let is_header = request.starts_with(b"PROXY ");
    let end = request.iter().position(|byte| *byte == b'\n').filter(|_| is_header).map_or(0, |at| at + 1);
    answer.extend_from_slice(&request[end..]);
}

/// One page for each request that ends in `request`. The clients we know send small requests whole.
fn pages(request: &[u8], answer: &mut Vec<u8>) {
    for _ in request.windows(4).filter(|four| four == b"\r\n\r\n") {
        answer.extend_from_slice(PAGE);
    }
}

fn serve_all(listener: &TcpListener, respond: fn(&[u8], &mut Vec<u8>)) -> Fallible<()> {
    listener.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    poll.add(listener, LISTENER, EventFlags::IN)?;
    let mut clients: Vec<Option<TcpStream>> = Vec::new();
    let mut answer = Vec::new();
    loop {
        for key in poll.wait(None)? {
            if key == LISTENER {
                accept(listener, &poll, &mut clients)?;
            } else if let Some(client) = &clients[key]
                && !exchange(client, respond, &mut answer)
            {
                clients[key] = None;
            }
        }
    }
}

/// Takes every client that waits. A client's key is its descriptor's number.
fn accept(listener: &TcpListener, poll: &Poll, clients: &mut Vec<Option<TcpStream>>) -> io::Result<()> {
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let key = usize::try_from(client.as_raw_fd()).unwrap_or_default();
        poll.add(&client, key, EventFlags::IN)?;
        if clients.len() <= key {
            clients.resize_with(key + 1, || None);
        }
        clients[key] = Some(client);
    }
}

/// One read and its answer; false when the client is gone.
fn exchange(mut client: &TcpStream, respond: fn(&[u8], &mut Vec<u8>), answer: &mut Vec<u8>) -> bool {
    let mut request = [0; 16 * 1024];
    match client.read(&mut request) {
        Ok(0) => false,
        Ok(length) => {
            answer.clear();
            respond(&request[..length], answer);
            write_whole(client, answer).is_ok()
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Answers are far smaller than a socket's buffer; should one be full all the same, everybody waits for it.
fn write_whole(mut client: &TcpStream, mut answer: &[u8]) -> io::Result<()> {
    while !answer.is_empty() {
        match client.write(answer) {
            Ok(written) => answer = &answer[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                rustix::event::poll(&mut [PollFd::new(&client, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
