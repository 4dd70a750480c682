//! A client of iperf3, as much of it as loads a server: one test of TCP, from or to it.
//!
//! A test has a control connection, on which both sides send one byte for each state and JSON after a length of four bytes,
//! and its streams. All of them begin with the same 37 bytes, the cookie, by which the server knows what belongs together.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::streams::{drain, pour, sum};
use crate::{Count, Fallible, PATIENCE, Span, Tally, in_words};

/// The state that a server answers a cookie with: it asks for the parameters of the test.
pub const PARAMETERS: u8 = 9;
const CREATE_STREAMS: u8 = 10;
const START: u8 = 1;
const RUNNING: u8 = 2;
const END: u8 = 4;
const EXCHANGE_RESULTS: u8 = 13;
const DISPLAY_RESULTS: u8 = 14;
const DONE: u8 = 16;
const DENIED: u8 = 0xff;

/// The longest answer of a server that is read; one about 128 streams has 30 KiB.
const LONGEST: u32 = 1 << 20;
const ROOM: usize = 1024 * 1024;
/// A server is not there for a moment between two tests.
const AGAIN: Duration = Duration::from_millis(10);

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// To the server.
    Up,
    /// From the server (iperf3 -R).
    Down,
}

/// What the connections of one test have in common.
#[derive(Clone, Copy)]
pub struct Cookie([u8; 37]);

impl Cookie {
    /// A new one: letters, and a zero byte at the end. It tells tests apart and protects nothing.
    pub fn new() -> Cookie {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut seed = now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32) | 1;
        let mut bytes = [0; 37];
        for byte in &mut bytes[..36] {
            // xorshift64
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *byte = b'a' + (seed >> 32) as u8 % 26;
        }
        Cookie(bytes)
    }

    /// As it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for Cookie {
    fn default() -> Cookie {
        Cookie::new()
    }
}

/// Runs one test: `streams` connections for the span.
///
/// # Errors
/// If the server is busy, or does not speak as iperf3 does; what breaks a stream is counted.
pub fn iperf3(to: SocketAddr, direction: Direction, streams: usize, span: Span) -> Fallible<Tally> {
    let cookie = Cookie::new();
    let mut control = control(to, &cookie)?;
    send(&mut control, &parameters(direction, streams, span))?;
    await_state(&mut control, CREATE_STREAMS)?;
    let lines: Vec<TcpStream> = (0..streams).map(|_| stream(to, &cookie)).collect::<io::Result<_>>()?;
    await_state(&mut control, START)?;
    await_state(&mut control, RUNNING)?;
    let tallies = load(&lines, direction, span);
    control.write_all(&[END])?;
    await_end(&mut control, &lines, direction)?;
    send(&mut control, &results(&tallies))?;
    receive(&mut control)?;
    await_state(&mut control, DISPLAY_RESULTS)?;
    control.write_all(&[DONE])?;
    Ok(sum(tallies))
}

/// The control connection, with the server asking for parameters.
fn control(to: SocketAddr, cookie: &Cookie) -> Fallible<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match greeted(to, cookie) {
            Ok((control, PARAMETERS)) => return Ok(control),
            Ok((_, state)) if state != DENIED => return Err(unexpected(state).into()),
            Ok(_) if Instant::now() >= deadline => {
                return Err("the iperf3 server is busy with another test".into());
            }
            Err(error) if Instant::now() >= deadline => return Err(silent(error).into()),
            Ok(_) | Err(_) => thread::sleep(AGAIN),
        }
    }
}

fn greeted(to: SocketAddr, cookie: &Cookie) -> io::Result<(TcpStream, u8)> {
    let mut control = stream(to, cookie)?;
    control.set_nodelay(true)?;
    let state = state(&mut control)?;
    Ok((control, state))
}

fn stream(to: SocketAddr, cookie: &Cookie) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(cookie.bytes())?;
    Ok(stream)
}

/// The server ends a test by itself some seconds after this time.
fn parameters(direction: Direction, streams: usize, span: Span) -> Value {
    let seconds = (span.warm_up + span.measured).as_secs() + 1;
    let mut parameters = json!({
        "tcp": true, "omit": 0, "time": seconds, "num": 0, "blockcount": 0, "parallel": streams,
        "len": 131_072, "pacing_timer": 1000, "client_version": "3.12",
    });
    if direction == Direction::Down {
        parameters["reverse"] = true.into();
    }
    parameters
}

/// Every stream in its own thread.
fn load(lines: &[TcpStream], direction: Direction, span: Span) -> Vec<Tally> {
    let one = |line: &TcpStream| {
        let mut count = Count::start(span);
        let done = match direction {
            Direction::Up => pour(line, &mut count),
            Direction::Down => drain(line, "nothing came", &mut count),
        };
        if let Err(cause) = done {
            count.failed(cause, 1);
        }
        count.tally()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = lines.iter().map(|line| scope.spawn(|| one(line))).collect();
        threads.into_iter().filter_map(|it| it.join().ok()).collect()
    })
}

/// Waits until the server asks for the results. One that sends does not hear of the end while its streams are full: they
/// are read until then.
fn await_end(control: &mut TcpStream, lines: &[TcpStream], direction: Direction) -> Fallible<()> {
    if direction == Direction::Up {
        return await_state(control, EXCHANGE_RESULTS);
    }
    let deadline = Instant::now() + PATIENCE;
    control.set_read_timeout(Some(AGAIN))?;
    for line in lines {
        line.set_nonblocking(true)?;
    }
    let mut buffer = vec![0; ROOM];
    loop {
        for line in lines {
            let _ = rustix::net::recv(line, buffer.as_mut_slice(), RecvFlags::TRUNC);
        }
        match state(control) {
            Ok(EXCHANGE_RESULTS) => break,
            Ok(state) => return Err(unexpected(state).into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {}
            Err(error) => return Err(silent(error).into()),
        }
    }
    Ok(control.set_read_timeout(Some(PATIENCE))?)
}

/// What the server wants to know of us; it finds a stream by its number, and numbers them 1, 3, 4 and so on.
fn results(tallies: &[Tally]) -> Value {
    let one = |(index, tally): (usize, &Tally)| {
        let id = if index == 0 { 1 } else { index + 2 };
        json!({
            "id": id, "bytes": tally.all, "retransmits": -1, "jitter": 0, "errors": 0, "omitted_errors": 0,
            "packets": 0, "omitted_packets": 0, "start_time": 0, "end_time": tally.seconds,
        })
    };
    let streams: Vec<Value> = tallies.iter().enumerate().map(one).collect();
    json!({
        "cpu_util_total": 0, "cpu_util_user": 0, "cpu_util_system": 0, "sender_has_retransmits": 0,
        "streams": streams,
    })
}

fn send(control: &mut TcpStream, what: &Value) -> Fallible<()> {
    let text = what.to_string();
    let length = u32::try_from(text.len())?.to_be_bytes();
    Ok(control.write_all(&[&length, text.as_bytes()].concat())?)
}

fn receive(control: &mut TcpStream) -> Fallible<Value> {
    let mut length = [0; 4];
    control.read_exact(&mut length).map_err(silent)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err("the iperf3 server sent no results".into());
    }
    let mut text = vec![0; length as usize];
    control.read_exact(&mut text).map_err(silent)?;
    Ok(serde_json::from_slice(&text)?)
}

fn state(control: &mut TcpStream) -> io::Result<u8> {
    let mut state = [0];
    control.read_exact(&mut state)?;
    Ok(state[0])
}

fn await_state(control: &mut TcpStream, wanted: u8) -> Fallible<()> {
    match state(control).map_err(silent)? {
        state if state == wanted => Ok(()),
        state => Err(unexpected(state).into()),
    }
}

fn silent(error: io::Error) -> io::Error {
    in_words(error, "the iperf3 server said nothing")
}

fn unexpected(state: u8) -> String {
    match state {
        DENIED => "the iperf3 server is busy with another test".to_owned(),
        0xfe => "the iperf3 server ended the test with an error".to_owned(),
        state => format!("the iperf3 server went to state {state}"),
    }
}
