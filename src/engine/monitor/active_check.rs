//! A check that connects: one connection, and what the service says on it.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::time::timeout;

use super::check_connection::CheckConnection;
use crate::balance::Talk;
use crate::engine::targets::greeting::{Greeting, shake_hands};
use crate::engine::targets::reach::{Unreached, cause_of, reach_custom};
use crate::engine::targets::target::Target;
use crate::outcome::Cause;
use crate::probe::system::redact::printable;
use crate::proxy_protocol::Ends;
use crate::transport::{self, Link, Origin};
use crate::units::Seconds;

/// How much of a wrong answer is told.
const MAX_TOLD: usize = 60;

/// Why a check failed.
pub(crate) struct Failed {
    pub(crate) cause: Cause,
    /// What was wrong with the answer, where there was a connection.
    pub(crate) answer: Option<String>,
}

/// Connects to the target, and talks with it where its rules say so. It takes no longer than their `timeout`.
///
/// Cancel safe: the connection is closed.
pub(crate) async fn check(target: &Target) -> Result<(), Failed> {
    let rules = target.rules();
    let mut heard: Option<Vec<u8>> = None;
    let talk = async {
        let mut connection = connect(target).await?;
        let heard = heard.insert(Vec::new());
        match &rules.talk {
            Some(talk) => ask(&mut connection, talk, heard).await,
            None => Ok(()),
        }
    };
    match (timeout(rules.timeout, talk).await, heard) {
        (Ok(answer), _) => answer,
        (Err(_), Some(heard)) => Err(wrong(format!("{} in {}", answered(&heard), Seconds(rules.timeout)))),
        (Err(_), None) => Err(Failed { cause: Cause::TimedOut, answer: None }),
    }
}

async fn connect(target: &Target) -> Result<CheckConnection, Failed> {
    if let Some(reach) = target.to().reach() {
        let deadline = Instant::now() + target.rules().timeout;
        return match reach_custom(&**reach, &Origin::default(), deadline).await {
            Ok(link) => greet(link, None, target).await,
            Err(Unreached { cause, words, .. }) => {
                Err(Failed { cause, answer: words.map(|words| words.to_string()) })
            }
        };
    }
    let mut told = Failed { cause: Cause::NoAddress, answer: None };
    for address in target.dialable().await {
        match transport::dial(&address, &Origin::default()).await {
            Ok(stream) => return greet(Link::Socket(stream), address.net(), target).await,
            Err(error) => told.cause = cause_of(&address, &error),
        }
    }
    Err(told)
}

/// Tells a target that expects a PROXY header that this is no client's connection: it would take one that closes without a
/// word for a broken one. With one that speaks TLS, that is agreed on.
/// Says what the target expects first; `to` is where it was dialled, where it has an address of the network.
async fn greet(mut link: Link, to: Option<SocketAddr>, target: &Target) -> Result<CheckConnection, Failed> {
    let Greeting { header, tls } = target.greeting();
    if let Some(form) = header {
        let client = link.socket().and_then(|socket| transport::local_address(socket).ok());
        let ends = match (client, to) {
            (Some(client), Some(destination)) => Ends::Net { client, destination },
            _ => Ends::Own,
        };
        let greeting = link.send_all(&form.announce_own(ends)).await;
        greeting.map_err(|error| wrong(format!("it took no header: {error}")))?;
    }
    let seal = match (tls, link.socket()) {
        (Some(tls), Some(socket)) => Some(shake_hands(socket, tls, target.to().written()).await),
        (Some(_), None) => Some(Err((Cause::TlsRefused, "TLS with a target needs a socket".to_owned()))),
        (None, _) => None,
    };
    match seal.transpose() {
        Ok(seal) => Ok(CheckConnection::new(link, seal)),
        Err((cause, words)) => Err(Failed { cause, answer: Some(words) }),
    }
}

async fn ask(connection: &mut CheckConnection, talk: &Talk, heard: &mut Vec<u8>) -> Result<(), Failed> {
    let request = connection.say(talk.send.as_bytes()).await;
    request.map_err(|error| wrong(format!("it took no question: {error}")))?;
    loop {
        match connection.hear(heard, Talk::MOST).await {
            Ok(_) if has(heard, talk.expect.as_bytes()) => return Ok(()),
            Ok(0) if heard.len() < Talk::MOST => {
                return Err(wrong(format!("{}, and closed", answered(heard))));
            }
            Ok(_) if heard.len() < Talk::MOST => {}
            Ok(_) => return Err(wrong(answered(heard))),
            Err(error) => return Err(wrong(format!("{}, and then: {error}", answered(heard)))),
        }
    }
}

fn has(heard: &[u8], wanted: &[u8]) -> bool {
    heard.windows(wanted.len()).any(|part| part == wanted)
}

fn wrong(answer: String) -> Failed {
    Failed { cause: Cause::BadAnswer, answer: Some(answer) }
}

fn answered(heard: &[u8]) -> String {
    if heard.is_empty() {
        return "it said nothing".to_owned();
    }
    format!("it answered '{}'", printable(&String::from_utf8_lossy(heard), MAX_TOLD))
}
