//! What a connection with a proven key is for, and the answer.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::answers::{STEP, refuse, say};
use super::probe::{self, Probes};
use super::session::{Book, Door, Newcomer, Session};
use crate::transport::tunnel::carrier::{Broken, Carrier, FrameLink, Received};
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::line::Level;
use crate::transport::tunnel::message::{
    self, BadSet, ByeCode, End, Gathered, Hello, MAX_LONG, Message, Routes, Token, WantedRoute, Welcome,
};
use crate::tunnel::link::Pass;

/// What a HELLO is looked up in.
pub(super) struct Desk {
    pub(super) book: Arc<Book>,
    pub(super) probes: Probes,
}

/// Reads HELLO and answers it.
pub(super) async fn take(desk: &Desk, mut link: FrameLink, key: PublicKey, from: SocketAddr) {
    let hello = match timeout(STEP, read(&mut link)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(Broken::Protocol(why))) => return refuse(link, ByeCode::Protocol, &why, None).await,
        // It is gone, or silent.
        Ok(Err(_)) | Err(_) => return,
    };
    // Looked up again: a reload may have taken the key away during the handshake.
    let door = desk.book.door(&key);
    let Some((door, pass)) = door.and_then(|door| door.link.pass(&key).map(|pass| (door, pass))) else {
        return refuse(link, ByeCode::Revoked, "", None).await;
    };
    let revoked = pass.revoked.clone();
    let answered = answer(desk, link, hello, door, pass, from);
    revoked.run_until_cancelled(answered).await;
}

async fn answer(desk: &Desk, link: FrameLink, hello: Hello, door: Door, pass: Pass, from: SocketAddr) {
    match hello {
        Hello::Control { software, instance, .. } => {
            let Ok(link) = link.park() else { return };
            let newcomer = Newcomer { link, pass, from, instance, software };
            if let Err(sent) = door.newcomers.try_send(newcomer)
                && let Ok(link) = sent.into_inner().link.open()
            {
                refuse(link, ByeCode::Overload, "too many at one time", Some(1000)).await;
            }
        }
        Hello::Carrier { session, opener } => match desk.book.session(&session, &pass.key) {
            Some(session) => {
                let opening = &door.link.line.numbers().carriers_opening;
                opening.rise();
                let _fall = Fall(opening);
                let_in(link, &session, opener).await;
            }
            None => refuse(link, ByeCode::NoSession, "", None).await,
        },
        Hello::Probe { routes, dials } => match (desk.probes.may_ask(&pass.key), whole(routes)) {
            (true, Ok(routes)) => {
                let control = desk.book.control_of(&pass.key);
                let question = probe::Question { routes, dials, control };
                probe::answer(link, &door.link, question, from).await;
            }
            (true, Err(bad)) => refuse(link, ByeCode::Protocol, &bad.to_string(), None).await,
            (false, _) => refuse(link, ByeCode::Overload, "one question a second", Some(1000)).await,
        },
    }
}

/// A level falls once this is dropped, also where its future is.
struct Fall<'l>(&'l Level);

impl Drop for Fall<'_> {
    fn drop(&mut self) {
        self.0.fall();
    }
}

/// The routes that are asked about, within the bounds of a set that is asked for.
fn whole(routes: Vec<WantedRoute>) -> Result<Vec<WantedRoute>, BadSet> {
    Gathered::<WantedRoute>::default().add(Routes { routes, more: false }).map(Option::unwrap_or_default)
}

async fn read(link: &mut FrameLink) -> Result<Hello, Broken> {
    let wrong = |why: &str| Broken::Protocol(why.to_owned());
    match link.receive(MAX_LONG).await? {
        Received::Message(json) => match message::decode(&json) {
            Ok(Message::Hello(hello)) => Ok(hello),
            Ok(_) => Err(wrong("another message than HELLO")),
            Err(why) => Err(wrong(&why.to_string())),
        },
        Received::Frame(_) => Err(wrong("a frame before HELLO")),
    }
}

/// Lets a carrier in; it waits for its first session then.
async fn let_in(mut link: FrameLink, session: &Session, opener: End) {
    let Ok(peer) = link.peer() else { return };
    if !matches!(timeout(STEP, say(&mut link, &welcome_carrier(session.token))).await, Ok(Ok(()))) {
        return;
    }
    let Ok(link) = link.park().map(Into::into) else { return };
    match opener {
        End::Accepting => {
            let home = session.keeping.home();
            session.keeping.add(Carrier { link, peer, carried: 0, home });
        }
        End::Dialling => {
            let home = session.waiting.home();
            session.waiting.add(Carrier { link, peer, carried: 0, home });
        }
    }
}

fn welcome_carrier(session: Token) -> Message {
    let empty = String::new;
    Message::Welcome(Welcome {
        session,
        time: empty(),
        name: empty(),
        you: empty(),
        ping_s: 0,
        datagrams: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Protocol;
    use crate::transport::tunnel::message::{MAX_ADDRESSES, MAX_LISTEN};

    #[test]
    fn a_question_may_be_about_as_many_addresses_as_a_tunnel_may_ask_for_and_no_more() {
        let most = MAX_ADDRESSES / MAX_LISTEN;
        let about = |count: usize| {
            let route = |n: usize| {
                let listen = (0..MAX_LISTEN).map(|n| n.to_string()).collect();
                WantedRoute { name: format!("r{n}"), protocol: Protocol::Tcp, listen }
            };
            whole((0..count).map(route).collect()).map(|routes| routes.len())
        };

        assert_eq!(about(most), Ok(most));
        assert_eq!(about(most + 1), Err(BadSet::TooMany));
    }
}
