//! A target, or the other end of a tunnel, that is dialled through a proxy: SOCKS5 or HTTP CONNECT (`proxy_url`).
//!
//! The proxy looks the target's name up, so nothing of the target is known on this machine. What the proxy answers is
//! read as far as it goes and no further, and never more than its longest message.

mod choice;
mod environment;
pub mod http;
mod no_proxy;
mod refusal;
pub mod socks5;
mod url;

use std::io::{self, ErrorKind};
use std::time::Instant;

use tokio::time::timeout_at;

pub use choice::{ProxyChoice, ProxyWord};
pub use environment::Environment;
pub use refusal::{Answered, Refusal};
pub use url::ProxyUrl;

use super::dial::dial_marked;
use super::{Origin, Stream, Undecided, peek, take_seen};
use crate::address::{Address, Host, TargetAddress};
use crate::outcome::Cause;
use socks5::Read;
use url::Speaks;

/// A target and the proxy it is dialled through.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxied {
    /// The target as written: a host and a port.
    pub(super) to: TargetAddress,
    pub(super) url: ProxyUrl,
}

impl Proxied {
    /// This target, through this proxy.
    pub(crate) fn new(to: TargetAddress, url: ProxyUrl) -> Proxied {
        Proxied { to, url }
    }

    /// The target as written.
    pub(crate) fn to(&self) -> &TargetAddress {
        &self.to
    }

    /// The proxy; shown, it has no password.
    pub(crate) fn url(&self) -> &ProxyUrl {
        &self.url
    }

    /// Where the proxy is, as written.
    pub(crate) fn proxy(&self) -> &TargetAddress {
        &self.url.at
    }

    /// Connects to the proxy, at one of these addresses, and has it connect to the target, until `deadline`. `hops` as of
    /// [`dial_marked`].
    ///
    /// Cancel safe: the connection is closed.
    ///
    /// # Errors
    /// An errno if something is missing here; otherwise words that name the proxy, with the kind of error that its
    /// answer stands for.
    pub(super) async fn reach(
        &self,
        at: &[Address],
        from: &Origin,
        hops: Option<u8>,
        deadline: Instant,
    ) -> io::Result<Stream> {
        let stream = self.dial_proxy(at, from, hops, deadline).await?;
        match timeout_at(deadline.into(), self.ask(&stream)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(refusal)) => Err(self.named(refusal.kind, &refusal.words)),
            Err(_) => Err(self.named(ErrorKind::TimedOut, "did not answer within connect_timeout")),
        }
    }

    async fn dial_proxy(
        &self,
        at: &[Address],
        from: &Origin,
        hops: Option<u8>,
        deadline: Instant,
    ) -> io::Result<Stream> {
        let late = || self.named(ErrorKind::TimedOut, "could not be connected to within connect_timeout");
        let mut failure = None;
        for (n, address) in at.iter().enumerate() {
            // An equal share of the time for each of its addresses, as for those of a target.
            let (now, others) = (Instant::now(), at.len() - n);
            let until = now + deadline.saturating_duration_since(now) / others.try_into().unwrap_or(u32::MAX);
            match timeout_at(until.into(), dial_marked(address, from, hops)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = Some(self.undialled(address, error)),
                Err(_) => failure = Some(late()),
            }
        }
        Err(failure.unwrap_or_else(late))
    }

    /// The error of a failed dial; one of this machine stays what it is.
    fn undialled(&self, address: &Address, error: io::Error) -> io::Error {
        match Cause::of_dial(&error) {
            cause if !cause.blames_target() => error,
            Cause::Refused => {
                self.named(ErrorKind::ConnectionRefused, &format!("is not there: {address} refused"))
            }
            Cause::TimedOut => {
                self.named(ErrorKind::TimedOut, &format!("is not there: {address} does not answer"))
            }
            cause => self.named(error.kind(), &format!("cannot be connected to at {address} ({cause})")),
        }
    }

    /// Has the proxy at the other end of this connection connect to the target. There is no deadline; the caller sets one.
    ///
    /// Not cancel safe: given up, the connection is of no more use.
    ///
    /// # Errors
    /// What the proxy answered, or that it closed.
    pub(crate) async fn ask(&self, stream: &Stream) -> Result<(), Refusal> {
        match self.url.speaks {
            Speaks::Socks5 => self.ask_socks5(stream).await,
            Speaks::Http => {
                let login = self.url.login.as_deref();
                let login = login.map(|login| (&login.user[..], &login.password[..]));
                send(stream, &http::request(&self.to.to_string(), login)).await?;
                let answer = receive(stream, http::LONGEST, http::read_answer).await;
                answer.map_err(|refusal| match login {
                    Some((user, password)) => refusal.without(user, password),
                    None => refusal,
                })
            }
        }
    }

    async fn ask_socks5(&self, stream: &Stream) -> Result<(), Refusal> {
        let login = self.url.login.as_deref();
        send(stream, &socks5::hello(login.is_some())).await?;
        let wants_login = receive(stream, socks5::LONGEST, socks5::read_method).await?;
        match login {
            Some(login) if wants_login => {
                send(stream, &socks5::login(&login.user, &login.password)).await?;
                receive(stream, socks5::LONGEST, socks5::read_login).await?;
            }
            None if wants_login => {
                let words = "asks for a password: write user:password@ in proxy_url";
                return Err(Refusal::new(ErrorKind::PermissionDenied, words));
            }
            _ => {}
        }
        let request = match self.to.net() {
            Some((Host::Name(name), port)) => socks5::request_name(name, port),
            Some((host, port)) => host.ip().map(|ip| socks5::request_ip(ip, port)),
            None => None,
        };
        let request = request.ok_or_else(|| {
            Refusal::new(ErrorKind::Unsupported, "cannot be asked for this target: it is no host and port")
        })?;
        send(stream, &request).await?;
        receive(stream, socks5::LONGEST, socks5::read_reply).await
    }

    fn named(&self, kind: ErrorKind, words: &str) -> io::Error {
        io::Error::new(kind, format!("the proxy {} {words}", self.url))
    }
}

async fn send(stream: &Stream, bytes: &[u8]) -> Result<(), Refusal> {
    stream.send_all(bytes).await.map_err(|error| gone(error.kind()))
}

/// Reads one message, and takes no byte behind it.
async fn receive<T>(stream: &Stream, most: usize, read: fn(&[u8]) -> Read<T>) -> Result<T, Refusal> {
    let mut seen = Vec::new();
    let (message, length) = match peek(stream, &mut seen, most, read).await {
        Ok(read) => read?,
        Err(Undecided::Ended) => return Err(gone(ErrorKind::UnexpectedEof)),
        Err(Undecided::Broken(error)) => return Err(gone(error.kind())),
        Err(Undecided::Full) => {
            return Err(Refusal::new(
                ErrorKind::InvalidData,
                format!("answered with more than {most} bytes"),
            ));
        }
    };
    take_seen(stream, length).map_err(|error| gone(error.kind()))?;
    Ok(message)
}

fn gone(kind: ErrorKind) -> Refusal {
    Refusal::new(kind, "closed before it had connected anybody")
}
