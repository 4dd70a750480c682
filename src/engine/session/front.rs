//! The first bytes of a session, which some steps look at before any is carried on.
//!
//! Those of a socket stay in it, so that the kernel may still splice them. Those of a carrier, or of an embedder's stream, are
//! read, and given to the relay first.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::time::timeout;

use super::state::Session;
use crate::outcome::End;
use crate::relay::{Ahead, Half, Trouble, last_words};
use crate::transport::{Stream, Undecided, peek, take_seen};

/// Where the client's bytes come from.
pub(super) enum Front<'c> {
    /// A socket, and a copy of what was seen in it at the last look.
    Socket(&'c Stream, Vec<u8>),
    /// A connection of another kind.
    Ahead(&'c mut Ahead<dyn Half>),
}

impl<'c> Front<'c> {
    pub(super) fn of_socket(stream: &'c Stream) -> Front<'c> {
        Front::Socket(stream, Vec::new())
    }

    /// Calls `judge` with all bytes that have arrived, at most `most`, until it returns an answer. See [`peek`].
    ///
    /// # Errors
    /// Why there was none. Cancel safe.
    pub(super) async fn look<T>(
        &mut self,
        most: usize,
        judge: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T, Undecided> {
        match self {
            Front::Socket(stream, seen) => {
                seen.clear();
                peek(stream, seen, most, judge).await
            }
            Front::Ahead(ahead) => ahead.look(most, judge).await,
        }
    }

    /// What the last look has seen.
    pub(super) fn seen(&self) -> &[u8] {
        match self {
            Front::Socket(_, seen) => seen,
            Front::Ahead(ahead) => ahead.seen(),
        }
    }

    /// Takes the first `count` of these bytes.
    ///
    /// # Errors
    /// As of [`take_seen`].
    pub(super) fn take(&mut self, count: usize) -> io::Result<()> {
        match self {
            Front::Socket(stream, _) => take_seen(stream, count),
            Front::Ahead(ahead) => {
                ahead.take_seen(count);
                Ok(())
            }
        }
    }

    /// Waits until the client has sent something, or its end; false if the connection broke. Nothing is taken. Cancel safe.
    pub(super) async fn has_spoken(&mut self) -> bool {
        match self {
            Front::Socket(stream, _) => {
                let ready = stream.ready(Interest::READABLE | Interest::ERROR).await;
                ready.is_ok_and(|ready| !ready.is_error())
            }
            Front::Ahead(ahead) => ahead.has_spoken().await,
        }
    }

    /// Sends the client its last bytes before its connection is reset. See [`last_words`].
    pub(super) async fn last_words(&mut self, words: &[u8], linger: Duration) {
        match self {
            Front::Socket(stream, _) => last_words(stream, words, linger).await,
            Front::Ahead(ahead) => {
                let sent = async {
                    ahead.write_all(words).await?;
                    ahead.flush().await
                };
                // The reset follows all the same.
                let _ = timeout(linger, sent).await;
            }
        }
    }

    /// How a session ends whose client's connection broke in these steps. The other end of a tunnel may know more.
    pub(super) fn gone(&self, session: &Session) -> End {
        let Front::Ahead(ahead) = self else { return End::ClientGone };
        match ahead.told().or_else(|| ahead.trouble().and_then(told)) {
            Some(Trouble::Told(end, words)) if end != End::ClientReset => {
                words.into_iter().for_each(|words| session.entry.hint(words));
                end
            }
            _ => End::ClientGone,
        }
    }
}

fn told(trouble: &Trouble) -> Option<Trouble> {
    match trouble {
        Trouble::Told(end, words) => Some(Trouble::Told(*end, words.clone())),
        _ => None,
    }
}
