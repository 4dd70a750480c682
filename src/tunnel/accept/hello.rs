//! What a connection with a proven key is for, and the answer.

use std::net::SocketAddr;

use tokio::time::timeout;

use super::seat::Newcomer;
use super::session::{Door, Session};
use super::{Inner, LAST_WORDS, STEP, probe};
use crate::transport::tunnel::carrier::{Broken, Carrier, FrameLink, Received};
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::message::{self, Bye, ByeCode, End, Hello, MAX_LONG, Message, Token, Welcome};
use crate::tunnel::link::Pass;

/// Reads HELLO and answers it.
pub(super) async fn take(inner: &Inner, mut link: FrameLink, key: PublicKey, from: SocketAddr) {
    let hello = match timeout(STEP, read(&mut link)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(Broken::Protocol(why))) => return refuse(link, ByeCode::Protocol, &why, None).await,
        // It is gone, or silent.
        Ok(Err(_)) | Err(_) => return,
    };
    // Looked up again: a reload may have taken the key away during the handshake.
    let door = inner.book.door(&key);
    let Some((door, pass)) = door.and_then(|door| door.link.pass(&key).map(|pass| (door, pass))) else {
        return refuse(link, ByeCode::Revoked, "", None).await;
    };
    let revoked = pass.revoked.clone();
    let answered = answer(inner, link, hello, door, pass, from);
    revoked.run_until_cancelled(answered).await;
}

async fn answer(inner: &Inner, link: FrameLink, hello: Hello, door: Door, pass: Pass, from: SocketAddr) {
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
        Hello::Carrier { session, opener } => match inner.book.session(&session, &pass.key) {
            Some(session) => let_in(link, &session, opener).await,
            None => refuse(link, ByeCode::NoSession, "", None).await,
        },
        Hello::Probe { routes } => match inner.probes.may_ask(&pass.key) {
            true => probe::answer(link, &door.link, routes, from).await,
            false => refuse(link, ByeCode::Overload, "one question a second", Some(1000)).await,
        },
    }
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
    let Ok(link) = link.park() else { return };
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
    Message::Welcome(Welcome { session, time: empty(), name: empty(), you: empty(), ping_s: 0 })
}

/// Sends a message, and waits until the kernel has it.
pub(super) async fn say(link: &mut FrameLink, message: &Message) -> Result<(), Broken> {
    link.queue_message(&message::encode(message))?;
    link.flush().await
}

/// Says why not, and waits until the other end has read it and closed: a close with something unread would be a reset,
/// which may overtake the answer.
pub(super) async fn refuse(mut link: FrameLink, code: ByeCode, words: &str, retry_ms: Option<u32>) {
    let bye = Bye { code, words: words.chars().take(200).collect(), retry_ms };
    let told = async {
        say(&mut link, &Message::Bye(bye)).await?;
        loop {
            link.receive(MAX_LONG).await?;
        }
    };
    // The connection ends either way.
    let _: Result<Result<(), Broken>, _> = timeout(LAST_WORDS, told).await;
}
