//! What a service does with bytes: it is sent a few, and tells by what comes back.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use loopgate_load::{Cookie, PARAMETERS};

use crate::probe::trace::recognise::recognise;
use crate::probe::trace::{protocol::Protocol, request};
use crate::units::shown;

/// How long a service may be silent before it counts as one that says nothing.
const SILENCE: Duration = Duration::from_millis(500);
const CONNECT: Duration = Duration::from_secs(2);
/// Changes nothing, and needs no name of a host (RFC 1945).
const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// What an iperf3 server says to a second client (ACCESS_DENIED).
const BUSY: u8 = 0xff;
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

/// Asks on a connection that stands: the first bytes are those of an iperf3 client. A service that is silent then is sent an
/// HTTP request on another, which every kind of server has seen before: those that wait for a line have something to say.
///
/// # Errors
/// If it cannot be connected to again, or is an iperf3 server that serves somebody else.
pub(super) fn ask(mut stream: TcpStream, at: SocketAddr) -> io::Result<Service> {
    let cookie = Cookie::new();
    match answer(&mut stream, cookie.bytes())? {
        Answer::Said(said) if said == [PARAMETERS] => {
            let _ = stream.write_all(&[LEAVING]);
            Ok(Service::Iperf3)
        }
        Answer::Said(said) if said == [BUSY] => {
            Err(io::Error::other("it is an iperf3 server, and busy with another test"))
        }
        Answer::Said(said) if cookie.bytes().starts_with(&said) => Ok(Service::Echo),
        Answer::Said(said) => Ok(Service::Other(words(&said))),
        Answer::Closed(why) => Ok(closes(&why)),
        Answer::Silent => {
            drop(stream);
            let mut stream = TcpStream::connect_timeout(&at, CONNECT)?;
            Ok(match answer(&mut stream, REQUEST)? {
                Answer::Said(said) => Service::Other(words(&said)),
                Answer::Closed(why) => closes(&why),
                Answer::Silent => Service::Discard,
            })
        }
    }
}

enum Answer {
    Said(Vec<u8>),
    /// Nothing came for [`SILENCE`].
    Silent,
    /// Nothing but the end.
    Closed(String),
}

/// Sends `sent`, and collects what comes until it is as long, or for [`SILENCE`].
fn answer(stream: &mut TcpStream, sent: &[u8]) -> io::Result<Answer> {
    if let Err(error) = stream.write_all(sent) {
        return Ok(Answer::Closed(error.to_string()));
    }
    let deadline = Instant::now() + SILENCE;
    let (mut said, mut end) = (Vec::new(), None);
    let mut buffer = [0; 512];
    // The one byte of an iperf3 server: nothing follows before the next is said.
    while said.len() < sent.len() && said != [PARAMETERS] && said != [BUSY] {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => end = Some("it closed the connection".to_owned()),
            Ok(length) => said.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => end = Some(error.to_string()),
        }
        if end.is_some() {
            break;
        }
    }
    Ok(match (said.is_empty(), end) {
        (false, _) => Answer::Said(said),
        (true, Some(why)) => Answer::Closed(why),
        (true, None) => Answer::Silent,
    })
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
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// A service, asked; each of its connections is given to `serve`.
    fn asked(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        ask(TcpStream::connect(at).unwrap(), at).unwrap()
    }

    #[test]
    fn a_service_is_known_by_what_comes_back() {
        let echo = asked(|stream| _ = io::copy(&mut &stream, &mut &stream));
        let discard = asked(|stream| _ = io::copy(&mut &stream, &mut io::sink()));
        let (sender, left) = channel();
        let iperf3 = asked(move |mut stream| {
            let mut last = [0];
            stream.read_exact(&mut [0; 37]).unwrap();
            stream.write_all(&[PARAMETERS]).unwrap();
            stream.read_exact(&mut last).unwrap();
            sender.send(last).unwrap();
        });
        let web = asked(|mut stream| {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    return;
                }
                request.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        let closing = asked(drop);

        assert_eq!((echo, discard, iperf3), (Service::Echo, Service::Discard, Service::Iperf3));
        assert_eq!(left.recv().unwrap(), [LEAVING]);
        assert_eq!(web.to_string(), "speaks HTTP (\"HTTP/1.1 400 Bad Request\")");
        assert!(closing.to_string().contains("with an end"), "{closing}");
    }

    #[test]
    fn what_a_service_says_cannot_reach_the_terminal() {
        assert_eq!(words(b"\x1b[2Jhello\r\nworld"), "answers \"\\u{1b}[2Jhello\"");
        assert_eq!(words(b"-ERR unknown command\r\n"), "speaks Redis (\"-ERR unknown command\")");
    }
}
