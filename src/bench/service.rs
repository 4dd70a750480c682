//! What a service does with bytes: it is sent a few, and tells by what comes back.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use loopgate_load::{Cookie, PARAMETERS};

use crate::probe::trace::recognise::recognise;
use crate::probe::trace::{protocol::Protocol, request};
use crate::units::shown;

/// How long a service may be silent before it counts as one that says nothing.
const SILENCE: Duration = Duration::from_millis(500);
/// What iperf3 is told by a client that leaves (CLIENT_TERMINATE).
const LEAVING: u8 = 12;
const MAX_SAID: usize = 60;

/// What a service does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// It sends back what it is sent.
    Echo,
    /// It takes what it is sent and says nothing.
    Discard,
    /// An iperf3 server.
    Iperf3,
    /// Something else, with what it said.
    Other(String),
}

impl Service {
    /// The service that `--expect` names.
    pub(crate) fn named(word: &str) -> Option<Service> {
        [Service::Echo, Service::Discard, Service::Iperf3].into_iter().find(|service| service.id() == word)
    }

    /// Its word in JSON and in `--expect`.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Service::Echo => "echo",
            Service::Discard => "discard",
            Service::Iperf3 => "iperf3",
            Service::Other(_) => "other",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Service::Echo => f.write_str("echoes"),
            Service::Discard => f.write_str("takes all and says nothing"),
            Service::Iperf3 => f.write_str("an iperf3 server"),
            Service::Other(said) => f.write_str(said),
        }
    }
}

/// Asks on one connection. The first bytes are those of an iperf3 client; to a service that is silent then, two empty lines
/// follow, on which those that read lines complain.
///
/// # Errors
/// If a timeout cannot be set, or it is an iperf3 server that serves somebody else.
pub(super) fn ask(mut stream: TcpStream) -> io::Result<Service> {
    let cookie = Cookie::new();
    let sent = cookie.bytes();
    if let Err(error) = stream.write_all(sent) {
        return Ok(closes(&error.to_string()));
    }
    let mut said = Vec::new();
    let mut end = listen(&mut stream, &mut said, sent.len())?;
    if said.is_empty() && matches!(end, End::Silent) {
        let _ = stream.write_all(b"\r\n\r\n");
        end = listen(&mut stream, &mut said, sent.len())?;
    }
    match said.as_slice() {
        [PARAMETERS] => {
            let _ = stream.write_all(&[LEAVING]);
            Ok(Service::Iperf3)
        }
        [0xff] => Err(io::Error::other("it is an iperf3 server, and busy with another test")),
        [] => Ok(match end {
            End::Silent => Service::Discard,
            End::Closed(why) => closes(&why),
        }),
        said if sent.starts_with(said) => Ok(Service::Echo),
        said => Ok(Service::Other(words(said))),
    }
}

enum End {
    /// Nothing came for some time, or enough.
    Silent,
    Closed(String),
}

/// Collects what comes until there is enough, or nothing for [`SILENCE`].
fn listen(stream: &mut TcpStream, said: &mut Vec<u8>, enough: usize) -> io::Result<End> {
    let deadline = Instant::now() + SILENCE;
    let mut buffer = [0; 512];
    while said.len() < enough {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(End::Closed("it closed the connection".to_owned())),
            Ok(length) => said.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Ok(End::Closed(error.to_string())),
        }
        // The one byte of an iperf3 server: nothing follows before the next is said.
        if said.as_slice() == [PARAMETERS] || said.as_slice() == [0xff] {
            break;
        }
    }
    Ok(End::Silent)
}

fn closes(why: &str) -> Service {
    Service::Other(format!("answers a few bytes with an end ({why})"))
}

/// `speaks HTTP ("HTTP/1.1 400 Bad Request")`
fn words(said: &[u8]) -> String {
    let first = said.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let text = shown(&String::from_utf8_lossy(first), MAX_SAID);
    // An error of Redis is one to the commands of Redis alone.
    let asked = request::of(Protocol::Redis, "");
    match recognise(None, said).or_else(|| recognise(Some(&asked), said)) {
        Some(known) => format!("speaks {} (\"{text}\")", known.protocol.name()),
        None => format!("answers \"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A service for one connection.
    fn asked(serve: impl FnOnce(TcpStream) + Send + 'static) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let service = thread::spawn(move || serve(listener.accept().unwrap().0));
        let found = ask(TcpStream::connect(at).unwrap()).unwrap();
        service.join().unwrap();
        found
    }

    #[test]
    fn a_service_is_known_by_what_comes_back() {
        let echo = asked(|stream| {
            let _ = io::copy(&mut &stream, &mut &stream);
        });
        let discard = asked(|stream| {
            let _ = io::copy(&mut &stream, &mut io::sink());
        });
        let iperf3 = asked(|mut stream| {
            stream.read_exact(&mut [0; 37]).unwrap();
            stream.write_all(&[PARAMETERS]).unwrap();
            let mut last = [0];
            stream.read_exact(&mut last).unwrap();
            assert_eq!(last, [LEAVING]);
        });
        let web = asked(|mut stream| {
            stream.read_exact(&mut [0; 41]).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        let closing = asked(drop);

        assert_eq!((echo, discard, iperf3), (Service::Echo, Service::Discard, Service::Iperf3));
        assert_eq!(web.to_string(), "speaks HTTP (\"HTTP/1.1 400 Bad Request\")");
        assert!(closing.to_string().contains("with an end"), "{closing}");
    }

    #[test]
    fn what_a_service_says_cannot_reach_the_terminal() {
        assert_eq!(words(b"\x1b[2Jhello\r\nworld"), "answers \"\\u{1b}[2Jhello\"");
        assert_eq!(words(b"-ERR unknown command\r\n"), "speaks Redis (\"-ERR unknown command\")");
    }
}
