//! A check that connects: one connection, and what the service says on it.

use std::io::{self, ErrorKind};

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::time::timeout;

use super::targets::{Seconds, Target, cause_of};
use crate::address::Address;
use crate::balance::Talk;
use crate::outcome::Cause;
use crate::probe::masking::printable;
use crate::proxy_protocol::{Ends, Form};
use crate::transport::{self, Origin, Stream};

/// How much of a wrong answer is told.
const MOST_TOLD: usize = 60;

/// Why a check failed.
pub(super) struct Failed {
    pub(super) cause: Cause,
    /// What was wrong with the answer, where there was a connection.
    pub(super) answer: Option<String>,
}

/// Connects to the target, and talks with it where its rules say so. It takes no longer than their `timeout`.
///
/// Cancel safe: the connection is closed.
pub(super) async fn check(target: &Target) -> Result<(), Failed> {
    let rules = target.rules();
    let mut heard: Option<Vec<u8>> = None;
    let talk = async {
        let stream = connect(target).await?;
        let heard = heard.insert(Vec::new());
        match &rules.talk {
            Some(talk) => ask(&stream, talk, heard).await,
            None => Ok(()),
        }
    };
    match (timeout(rules.timeout, talk).await, heard) {
        (Ok(answer), _) => answer,
        (Err(_), Some(heard)) => Err(wrong(format!("{} in {}", answered(&heard), Seconds(rules.timeout)))),
        (Err(_), None) => Err(Failed { cause: Cause::TimedOut, answer: None }),
    }
}

async fn connect(target: &Target) -> Result<Stream, Failed> {
    let mut told = Failed { cause: Cause::NoAddress, answer: None };
    for address in target.dialable().await {
        match transport::dial(&address, &Origin::default()).await {
            Ok(stream) => {
                greet(&stream, &address, target.header()).await?;
                return Ok(stream);
            }
            Err(error) => told.cause = cause_of(&address, &error),
        }
    }
    Err(told)
}

/// Tells a target that expects a PROXY header that this is no client's connection: it would take one that closes without a
/// word for a broken one.
async fn greet(stream: &Stream, address: &Address, header: Option<Form>) -> Result<(), Failed> {
    let Some(form) = header else { return Ok(()) };
    let ends = match (address, transport::local_address(stream)) {
        (Address::Net(destination), Ok(client)) => Ends::Net { client, destination: *destination },
        _ => Ends::Own,
    };
    let greeting = stream.send_all(&form.announce_own(ends)).await;
    greeting.map_err(|error| wrong(format!("it took no header: {error}")))
}

async fn ask(stream: &Stream, talk: &Talk, heard: &mut Vec<u8>) -> Result<(), Failed> {
    let question = stream.send_all(talk.send.as_bytes()).await;
    question.map_err(|error| wrong(format!("it took no question: {error}")))?;
    loop {
        match hear(stream, heard).await {
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

/// Appends what comes next, and says how much that is; zero at the end.
async fn hear(stream: &Stream, heard: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 512];
    let room = buffer.len().min(Talk::MOST - heard.len());
    loop {
        stream.ready(Interest::READABLE).await?;
        match stream
            .try_io(Interest::READABLE, || Ok(recv(stream, &mut buffer[..room], RecvFlags::empty())?.0))
        {
            Ok(length) => {
                heard.extend_from_slice(&buffer[..length]);
                return Ok(length);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
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
    format!("it answered '{}'", printable(&String::from_utf8_lossy(heard), MOST_TOLD))
}
