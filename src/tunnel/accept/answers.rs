//! What this end says to those that connect: that they are let in, or why not.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;
use tokio::time::timeout;

use crate::transport::tunnel::carrier::{Broken, FrameLink};
use crate::transport::tunnel::message::{self, Bye, ByeCode, Datagrams, MAX_LONG, Message, Token, Welcome};
use crate::tunnel::link::Link;

/// How long a PROXY header and a handshake may take together, HELLO after them, and an answer.
pub(super) const STEP: Duration = Duration::from_secs(3);

/// How long a connection that is refused has to read why.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// The answer that lets a control in.
pub(super) fn welcome(
    link: &Link,
    session: Token,
    from: SocketAddr,
    datagrams: Option<Datagrams>,
) -> Message {
    let ping = link.terms().tunnel.ping.as_secs().clamp(1, 60);
    Message::Welcome(Welcome {
        session,
        time: format_rfc3339_seconds(SystemTime::now()).to_string(),
        name: link.name.to_string(),
        you: from.to_string(),
        ping_s: ping as u16,
        datagrams,
    })
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
