//! An active check: one connection, with a request and an expected answer where the rules have them.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::time::timeout_at;

use super::check_connection::CheckConnection;
use crate::balance::Talk;
use crate::engine::targets::greeting::{Greeting, shake_hands};
use crate::engine::targets::reach::{Unreached, cause_of};
use crate::engine::targets::target::Target;
use crate::outcome::Cause;
use crate::proxy_protocol::Ends;
use crate::transport::{self, Link, Origin};
use crate::units::Seconds;
use crate::units::shown;

/// The largest number of characters of a wrong answer that are quoted.
const MAX_QUOTED: usize = 60;

/// Why a check failed.
pub(crate) struct Failed {
    pub(crate) cause: Cause,
    /// What was wrong with the answer, if there was a connection.
    pub(crate) answer: Option<String>,
}

/// Connects to the target, and exchanges request and answer where its rules say so. Takes at most their `timeout`.
///
/// Cancel safe: the connection is closed.
pub(crate) async fn check(target: &Target) -> Result<(), Failed> {
    let rules = target.rules();
    let deadline = Instant::now() + rules.timeout;
    let mut received: Option<Vec<u8>> = None;
    let talk = async {
        let mut connection = connect(target, deadline).await?;
        let received = received.insert(Vec::new());
        match &rules.talk {
            Some(talk) => ask(&mut connection, talk, received).await,
            None => Ok(()),
        }
    };
    match (timeout_at(deadline.into(), talk).await, received) {
        (Ok(answer), _) => answer,
        (Err(_), Some(received)) => {
            Err(wrong(format!("{} in {}", answered(&received), Seconds(rules.timeout))))
        }
        (Err(_), None) => Err(Failed { cause: Cause::TimedOut, answer: None }),
    }
}

async fn connect(target: &Target, deadline: Instant) -> Result<CheckConnection, Failed> {
    if target.to().is_indirect() {
        return match target.open_indirect(&Origin::default(), &|| 0, deadline).await {
            Ok(mut link) => {
                if let Link::Custom(custom) = &mut link {
                    custom.disarm();
                }
                greet(link, None, target).await
            }
            Err(unreached) => Err(failed(unreached)),
        };
    }
    let addresses = target.dialable(deadline).await;
    let addresses = addresses.map_err(failed)?;
    let mut failure = Failed { cause: Cause::NoAddress, answer: None };
    for address in addresses {
        match transport::dial(&address, &Origin::default()).await {
            Ok(stream) => return greet(Link::Socket(stream), address.net(), target).await,
            Err(error) => failure.cause = cause_of(&address, &error),
        }
    }
    Err(failure)
}

fn failed(Unreached { cause, words, .. }: Unreached) -> Failed {
    Failed { cause, answer: words.map(|words| words.to_string()) }
}

/// Sends what the target expects first. A PROXY header marks the connection as Loopgate's own: the target would take a
/// connection that closes without a header for a broken one. With a target that speaks TLS, the handshake is done. `to`
/// is the address that was dialled, if it is an IP address.
async fn greet(mut link: Link, to: Option<SocketAddr>, target: &Target) -> Result<CheckConnection, Failed> {
    let Greeting { header, tls } = target.greeting();
    if let Some(form) = header {
        let client = link.socket().and_then(|socket| transport::local_address(socket).ok());
        let ends = match (client, to) {
            (Some(client), Some(destination)) => Ends::Net { client, destination },
            _ => Ends::Own,
        };
        let greeting = link.send_all(&form.announce_own(ends)).await;
        greeting.map_err(|error| wrong(format!("it did not accept the PROXY header: {error}")))?;
    }
    let named = target.to().named();
    let seal = match (tls, &mut link) {
        (None, _) => None,
        (Some(tls), Link::Socket(socket)) => Some(shake_hands(&*socket, tls, named).await),
        (Some(tls), Link::Custom(custom)) => Some(shake_hands(custom.stream(), tls, named).await),
        // What it says of its target is for sessions; no check asks through it.
        (Some(_), Link::Carrier(_)) => Some(Err((Cause::TlsRefused, String::new()))),
    };
    match seal.transpose() {
        Ok(seal) => Ok(CheckConnection::new(link, seal)),
        Err((cause, words)) => Err(Failed { cause, answer: Some(words) }),
    }
}

async fn ask(connection: &mut CheckConnection, talk: &Talk, received: &mut Vec<u8>) -> Result<(), Failed> {
    let request = connection.write(talk.send.as_bytes()).await;
    request.map_err(|error| wrong(format!("it did not accept the request: {error}")))?;
    loop {
        match connection.read_more(received, Talk::MOST).await {
            Ok(_) if has(received, talk.expect.as_bytes()) => return Ok(()),
            Ok(0) if received.len() < Talk::MOST => {
                return Err(wrong(format!("{}, and closed", answered(received))));
            }
            Ok(_) if received.len() < Talk::MOST => {}
            Ok(_) => return Err(wrong(answered(received))),
            Err(error) => return Err(wrong(format!("{}, and then: {error}", answered(received)))),
        }
    }
}

fn has(received: &[u8], wanted: &[u8]) -> bool {
    received.windows(wanted.len()).any(|part| part == wanted)
}

fn wrong(answer: String) -> Failed {
    Failed { cause: Cause::BadAnswer, answer: Some(answer) }
}

fn answered(received: &[u8]) -> String {
    if received.is_empty() {
        return "it sent nothing".to_owned();
    }
    format!("it answered '{}'", shown(&String::from_utf8_lossy(received), MAX_QUOTED))
}
