//! Joins another Loopgate with an invite of it: one connection, one message, one answer.

use std::fmt;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::addresses::LookUps;
use super::attempt::STEP;
use super::fault::Fault;
use super::way::{self, Way};
use crate::address::TargetAddress;
use crate::transport::Congestion;
use crate::transport::proxied::ProxyChoice;
use crate::transport::tunnel::carrier::{FrameLink, Received};
use crate::transport::tunnel::identity::{Dialling, HandshakeFault, PrivateKey, PublicKey, dial_handshake};
use crate::transport::tunnel::pairing::Ticket;
use crate::transport::tunnel::pairing::message::{Answer, MAX_JOIN, Refused, decode_answer, encode_join};
use crate::units::shown;

/// How long the answer may take: the other end writes it down, and has its program take it over.
const ANSWER: Duration = Duration::from_secs(15);

/// How often an end is tried that has no place for a connection that joins now, and the pause before the next try: one may
/// begin a second.
const TRIES: usize = 5;

/// How often an end is tried where no invite is open: it may have been made just now, and its program looks at its files four
/// times a second.
const TRIES_OF_INVITE: usize = 3;

const PAUSE: Duration = Duration::from_millis(1200);

/// The most characters that are shown of the name that the other end gives.
const MAX_NAME: usize = 64;

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The name of the tunnel there, escaped.
    pub name: String,
    /// Whether the program that runs there lets this machine in already.
    pub is_in: bool,
}

/// Why nothing has come of it. Shown, it says what to do.
#[derive(Debug)]
pub enum JoinFault {
    /// The other end was not reached, or is another: the invite is as it was.
    Unreached(String),
    /// It is reached, and lets nobody in by this invite.
    Refused(String),
    /// The connection broke before the answer: it may have been let in, or not.
    Unanswered(String),
}

/// Joins the Loopgate at this address, which must prove `theirs`.
///
/// Not cancel safe: the invite may be used then, and nobody know it.
///
/// # Errors
/// Why nothing has come of it.
pub async fn join(
    to: &TargetAddress,
    proxy: &ProxyChoice,
    theirs: PublicKey,
    own: &PrivateKey,
    ticket: &Ticket,
) -> Result<Joined, JoinFault> {
    let way = Way::to(to, proxy);
    let tls = Dialling::joining(own, theirs);
    let mut link = secured(&way, to, &tls).await?;
    match timeout(ANSWER, ask(&mut link, ticket)).await {
        Ok(Ok(Answer::Joined { name, is_in })) => Ok(Joined { name: shown(&name, MAX_NAME), is_in }),
        Ok(Ok(Answer::Refused(why))) => Err(JoinFault::Refused(refused(why).to_owned())),
        Ok(Err(fault)) => Err(JoinFault::Unanswered(fault.to_string())),
        Err(_) => Err(JoinFault::Unanswered("it does not answer".to_owned())),
    }
}

/// A connection whose two ends have proven their keys, tried again while there is no place for it.
async fn secured(way: &Way, to: &TargetAddress, tls: &Dialling) -> Result<FrameLink, JoinFault> {
    let mut tries = 1;
    loop {
        let fault = match try_secured(way, to, tls).await {
            Ok(link) => return Ok(link),
            Err(fault) => fault,
        };
        let most = match &fault {
            Fault::Handshake(HandshakeFault::Gone { said: 0 } | HandshakeFault::Io(_)) => TRIES,
            Fault::Handshake(HandshakeFault::Version) => TRIES_OF_INVITE,
            _ => 1,
        };
        if tries >= most {
            return Err(unreached(to, &fault));
        }
        tries += 1;
        sleep(PAUSE).await;
    }
}

async fn try_secured(way: &Way, to: &TargetAddress, tls: &Dialling) -> Result<FrameLink, Fault> {
    let addresses = way.addresses(&mut LookUps::default()).await?;
    let stream = way.connect(&addresses, [&Congestion::default(); 2]).await?;
    let secured = timeout(STEP, dial_handshake(&stream, tls, &way::host(to))).await;
    let secured = secured.map_err(|_| Fault::Silent)?.map_err(Fault::Handshake)?;
    Ok(FrameLink::new(stream, secured.records))
}

async fn ask(link: &mut FrameLink, ticket: &Ticket) -> Result<Answer, Fault> {
    link.queue_message(&encode_join(ticket))?;
    match link.receive(MAX_JOIN).await? {
        Received::Message(json) => decode_answer(&json).map_err(|why| Fault::Protocol(why.to_string())),
        Received::Frame(_) => Err(Fault::Protocol("a frame in place of an answer".into())),
    }
}

fn unreached(to: &TargetAddress, fault: &Fault) -> JoinFault {
    match fault {
        // It speaks the protocol of those that join only while an invite is open.
        Fault::Handshake(HandshakeFault::Version) => JoinFault::Refused(
            "no invite is open there: it was used, is older than an hour, was closed by wrong tries, or the Loopgate that \
             runs there does not include its file. Invite again there. (A route in front of it must send it \"loopgate-join/1\" \
             as well, with alpn.)"
                .to_owned(),
        ),
        Fault::Handshake(HandshakeFault::WrongKey(key)) => JoinFault::Unreached(format!(
            "{to} has another key than the line says, {key}: the line is another machine's, or somebody is between"
        )),
        Fault::Handshake(HandshakeFault::Gone { said: 0 } | HandshakeFault::Io(_)) => JoinFault::Unreached(
            format!("{to} closes the connection: too many join there at one time, or it is no Loopgate"),
        ),
        fault => JoinFault::Unreached(format!("{to} is not reached ({}): {fault}", fault.code())),
    }
}

fn refused(why: Refused) -> &'static str {
    match why {
        Refused::Wrong => {
            "this invite is not open there: it was used, is older than an hour, or was closed by wrong tries. Invite again \
             there"
        }
        Refused::Changed => "the file of the invite there was changed since. Invite again there",
        Refused::Known => {
            "a tunnel there has the key of this machine already. Use that one, or make another key here: loopgate tunnel key \
             --file FILE"
        }
        Refused::Failed => {
            "the other machine could not write it down; the log of the Loopgate there says why"
        }
        Refused::Other => "the other machine does not let this one in; its log says why",
    }
}

impl fmt::Display for JoinFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinFault::Unreached(words) | JoinFault::Refused(words) => f.write_str(words),
            JoinFault::Unanswered(words) => write!(
                f,
                "the connection broke before the answer ({words}): whether this machine was let in stands in tunnels.d there"
            ),
        }
    }
}

impl std::error::Error for JoinFault {}
