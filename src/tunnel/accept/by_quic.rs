//! Datagrams of a control by QUIC, at the accepting end.

use std::net::SocketAddr;

use tokio::sync::{Notify, mpsc};

use super::session::Session;
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::message::{Datagrams, Message};
use crate::tunnel::control::Control;
use crate::tunnel::link::Link;
use crate::tunnel::quic::{Accepting, Entered, Seated};

/// The place of a control among those that are reached by QUIC.
pub(super) struct ByQuic {
    seated: Seated,
    /// The port that the control has reached.
    port: u16,
    accepting: Accepting,
    /// Told when the other end wants a token.
    pub(super) asked: Notify,
}

impl ByQuic {
    /// A place for a control, which comes from this address, and the connections that show its tokens.
    pub(super) fn of(
        link: &Link,
        session: &Session,
        frames: &FrameLink,
        from: SocketAddr,
    ) -> (ByQuic, mpsc::Receiver<Entered>) {
        let (seated, entered) = link.quic.desk.seat(session.pass.key, from.ip());
        let accepting = Accepting {
            quic: link.quic.clone(),
            name: link.name.clone(),
            flows: session.hub.of_quic(),
            by: link.datagrams_by.clone(),
        };
        // A connection that is gone ends before it is told anything.
        let port = frames.local().map_or(0, |at| at.port());
        (ByQuic { seated, port, accepting, asked: Notify::new() }, entered)
    }

    /// How this end is reached by QUIC, if it is, with a fresh token.
    pub(super) fn offer(&self) -> Option<Datagrams> {
        self.seated.offer(self.port)
    }

    /// Answers the other end, and carries flows by the newest connection, for as long as it is polled.
    pub(super) async fn run(&self, control: &Control, entered: mpsc::Receiver<Entered>) {
        let answers = async {
            loop {
                self.asked.notified().await;
                if let Some(offer) = self.offer() {
                    control.send(Message::Datagrams(offer)).await;
                }
            }
        };
        tokio::select! {
            () = answers => {}
            () = self.accepting.keep(entered) => {}
        }
    }
}
