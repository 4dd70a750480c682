//! One end of a TCP connection, as a test holds it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::net::{SendFlags, sockopt};

use super::{PATIENCE, pattern, until};

/// An end of a connection. Dropped, it is closed: with FIN, or with RST where something was not read.
pub(crate) struct Wire {
    stream: TcpStream,
}

/// How the other side ended its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Fin,
    Reset,
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> Wire {
        Wire::try_to(address).unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"))
    }

    pub(crate) fn try_to(address: SocketAddr) -> io::Result<Wire> {
        TcpStream::connect_timeout(&address, PATIENCE).map(Wire::from)
    }

    /// Connects from one of this machine's addresses, of which all of 127.0.0.0/8 are.
    pub(crate) fn from_to(source: &str, address: SocketAddr) -> Wire {
        Wire::try_from_to(source, address).unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"))
    }

    pub(crate) fn try_from_to(source: &str, address: SocketAddr) -> io::Result<Wire> {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let source: SocketAddr = format!("{source}:0").parse().unwrap();
        let family = if source.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None)?;
        bind(&socket, &source)?;
        connect(&socket, &address)?;
        Ok(TcpStream::from(socket).into())
    }

    /// Whether a client from there is reset before it hears anything: as soon as it is connected, or a moment later.
    pub(crate) fn is_turned_away(source: &str, address: SocketAddr) -> bool {
        match Wire::try_from_to(source, address) {
            Ok(mut wire) => wire.hear_end() == Ending::Reset,
            Err(e) => e.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Connects with a receive buffer of a few kilobytes, so that an end which does not read holds up its writer soon.
    pub(crate) fn narrow_to(address: SocketAddr) -> Wire {
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

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// One write, which may fail or be short.
    pub(crate) fn try_say(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Writes the first `length` bytes of stream `seed`.
    pub(crate) fn say_stream(&mut self, seed: u64, length: usize) {
        self.say_stream_from(seed, 0, length);
    }

    pub(crate) fn say_stream_from(&mut self, seed: u64, start: usize, length: usize) {
        let mut said = 0;
        while said < length {
            let piece = pattern::at(seed, start + said, pattern::MOST.min(length - said));
            self.say(piece);
            said += piece.len();
        }
    }

    /// Sends one byte as urgent data (tcp(7)).
    pub(crate) fn say_urgently(&mut self, byte: u8) {
        rustix::net::send(&self.stream, &[byte], SendFlags::OOB).unwrap();
    }

    pub(crate) fn hear(&mut self, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        self.stream.read_exact(&mut heard).unwrap();
        heard
    }

    /// One read, which may fail or be short.
    pub(crate) fn try_hear(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    /// Reads `length` bytes and compares each with stream `seed`.
    pub(crate) fn hear_stream(&mut self, seed: u64, length: usize) {
        self.hear_stream_from(seed, 0, length);
    }

    /// Says all of stream `seed` to an echo, hears it again and then the FIN.
    pub(crate) fn expect_whole_echo(mut self, seed: u64, length: usize) {
        self.say_stream(seed, length);
        self.finish();
        self.hear_stream(seed, length);
        assert_eq!(self.hear_end(), Ending::Fin);
    }

    pub(crate) fn hear_stream_from(&mut self, seed: u64, start: usize, length: usize) {
        let mut buffer = vec![0; length.min(64 << 10)];
        let mut heard = 0;
        while heard < length {
            let most = buffer.len().min(length - heard);
            let n = match self.stream.read(&mut buffer[..most]) {
                Ok(0) => panic!("ended after {heard} of {length} bytes"),
                Ok(n) => n,
                Err(e) => panic!("after {heard} of {length} bytes: {e}"),
            };
            let right = pattern::at(seed, start + heard, n);
            if buffer[..n] != *right {
                let wrong = buffer.iter().zip(right).position(|(a, b)| a != b).unwrap_or(n);
                panic!("byte {} of stream {seed} is wrong", start + heard + wrong);
            }
            heard += n;
        }
    }

    /// Reads whatever comes, and says how it ended.
    pub(crate) fn hear_all(&mut self) -> (Vec<u8>, Ending) {
        let mut heard = Vec::new();
        // What came before a reset stays in `heard`.
        let ending = match self.stream.read_to_end(&mut heard) {
            Ok(_) => Ending::Fin,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => Ending::Reset,
            Err(e) => panic!("after {} bytes: {e}", heard.len()),
        };
        (heard, ending)
    }

    /// How the other side ends, where nothing more may come before it does.
    pub(crate) fn hear_end(&mut self) -> Ending {
        let (heard, ending) = self.hear_all();
        assert_eq!(heard.len(), 0, "something was said before the end");
        ending
    }

    /// Waits until there is something to read, and leaves it there.
    pub(crate) fn wait_for_something(&self) {
        assert!(self.stream.peek(&mut [0]).unwrap() > 0, "ended instead");
    }

    /// Says FIN; the other direction stays open.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes with RST.
    pub(crate) fn reset(self) {
        sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Gives the connection to a process of its own and kills that.
    pub(crate) fn die(self) {
        let holder = Command::new("sleep").arg("600").stdin(Stdio::from(OwnedFd::from(self.stream))).spawn();
        let mut holder = holder.unwrap();
        // Killed before it is `sleep`, it holds copies of this process's descriptors that exec has not closed yet.
        let command = format!("/proc/{}/comm", holder.id());
        until("the holder runs", || {
            std::fs::read_to_string(&command).is_ok_and(|it| it.trim() == "sleep").then_some(())
        });
        holder.kill().unwrap();
        holder.wait().unwrap();
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream }
    }
}
