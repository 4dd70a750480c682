//! One end of a TCP connection, as a test holds it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::net::{SendFlags, sockopt};

use super::{TIMEOUT, pattern, wait_until};

/// An end of a connection. Dropping it closes it: with FIN, or with RST if received data was not read.
pub(crate) struct Connection {
    stream: TcpStream,
}

/// How the other side ended its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    Fin,
    Reset,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Connection {
        Connection::try_to(address).unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"))
    }

    pub(crate) fn try_to(address: SocketAddr) -> io::Result<Connection> {
        TcpStream::connect_timeout(&address, TIMEOUT).map(Connection::from)
    }

    /// Connects from one of this machine's addresses, which include all of 127.0.0.0/8.
    pub(crate) fn from_to(source: &str, address: SocketAddr) -> Connection {
        Connection::try_from_to(source, address)
            .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"))
    }

    pub(crate) fn try_from_to(source: &str, address: SocketAddr) -> io::Result<Connection> {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let source: SocketAddr = format!("{source}:0").parse().unwrap();
        let family = if source.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None)?;
        bind(&socket, &source)?;
        connect(&socket, &address)?;
        Ok(TcpStream::from(socket).into())
    }

    /// Whether a client from `source` is reset before it receives anything: as soon as it is connected, or a moment
    /// later.
    pub(crate) fn is_reset_at_once(source: &str, address: SocketAddr) -> bool {
        match Connection::try_from_to(source, address) {
            Ok(mut connection) => connection.receive_close() == Close::Reset,
            Err(e) => e.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Connects with a receive buffer of a few kilobytes, so that an end that does not read soon blocks its writer.
    pub(crate) fn with_small_buffer_to(address: SocketAddr) -> Connection {
        use rustix::net::{AddressFamily, SocketType, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
        connect(&socket, &address).unwrap();
        TcpStream::from(socket).into()
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.stream.peer_addr().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes once; the write may fail or be short.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Writes the first `length` bytes of stream `seed`.
    pub(crate) fn send_stream(&mut self, seed: u64, length: usize) {
        self.send_stream_from(seed, 0, length);
    }

    pub(crate) fn send_stream_from(&mut self, seed: u64, start: usize, length: usize) {
        let mut sent = 0;
        while sent < length {
            let piece = pattern::at(seed, start + sent, pattern::MOST.min(length - sent));
            self.send(piece);
            sent += piece.len();
        }
    }

    /// Sends one byte as urgent data (tcp(7)).
    pub(crate) fn send_urgent(&mut self, byte: u8) {
        rustix::net::send(&self.stream, &[byte], SendFlags::OOB).unwrap();
    }

    /// Waits for its first byte, which stays; false if it ends instead.
    pub(crate) fn speaks(&self) -> bool {
        self.stream.peek(&mut [0]).unwrap() > 0
    }

    pub(crate) fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut received = vec![0; length];
        self.stream.read_exact(&mut received).unwrap();
        received
    }

    /// Reads once; the read may fail or be short.
    pub(crate) fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    /// Reads `length` bytes and compares each with stream `seed`.
    pub(crate) fn receive_stream(&mut self, seed: u64, length: usize) {
        self.receive_stream_from(seed, 0, length);
    }

    /// Sends `length` bytes of stream `seed` to an echo target, and expects to receive them and then the FIN.
    pub(crate) fn expect_whole_echo(mut self, seed: u64, length: usize) {
        self.send_stream(seed, length);
        self.finish();
        self.receive_stream(seed, length);
        assert_eq!(self.receive_close(), Close::Fin);
    }

    pub(crate) fn receive_stream_from(&mut self, seed: u64, start: usize, length: usize) {
        let mut buffer = vec![0; length.min(64 << 10)];
        let mut received = 0;
        while received < length {
            let most = buffer.len().min(length - received);
            let n = match self.stream.read(&mut buffer[..most]) {
                Ok(0) => panic!("ended after {received} of {length} bytes"),
                Ok(n) => n,
                Err(e) => panic!("after {received} of {length} bytes: {e}"),
            };
            let right = pattern::at(seed, start + received, n);
            if buffer[..n] != *right {
                let wrong = buffer.iter().zip(right).position(|(a, b)| a != b).unwrap_or(n);
                panic!("byte {} of stream {seed} is wrong", start + received + wrong);
            }
            received += n;
        }
    }

    /// Reads to the end; returns the bytes and how the connection ended.
    pub(crate) fn receive_all(&mut self) -> (Vec<u8>, Close) {
        let mut received = Vec::new();
        // Bytes received before a reset stay in `received`.
        let ending = match self.stream.read_to_end(&mut received) {
            Ok(_) => Close::Fin,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => Close::Reset,
            Err(e) => panic!("after {} bytes: {e}", received.len()),
        };
        (received, ending)
    }

    /// How the other side ends; panics if data comes first.
    pub(crate) fn receive_close(&mut self) -> Close {
        let (received, ending) = self.receive_all();
        assert_eq!(received.len(), 0, "data came before the end");
        ending
    }

    /// Waits until there is data to read, without reading it.
    pub(crate) fn wait_for_something(&self) {
        assert!(self.stream.peek(&mut [0]).unwrap() > 0, "ended instead");
    }

    /// Sends FIN; the other direction stays open.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes with RST.
    pub(crate) fn reset(self) {
        sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Hands the connection to another process and kills that process.
    pub(crate) fn die(self) {
        let holder = Command::new("sleep").arg("600").stdin(Stdio::from(OwnedFd::from(self.stream))).spawn();
        let mut holder = holder.unwrap();
        // Until it executes `sleep`, the child holds copies of this process's descriptors that exec has not yet closed.
        let command = format!("/proc/{}/comm", holder.id());
        wait_until("the holder runs", || {
            std::fs::read_to_string(&command).is_ok_and(|it| it.trim() == "sleep").then_some(())
        });
        holder.kill().unwrap();
        holder.wait().unwrap();
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Connection {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream }
    }
}
