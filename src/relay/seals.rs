//! The TLS of a session's two connections, if they are sockets.

use super::half::Half;
use super::socket::Socket;
use super::tls::TlsHalf;
use crate::outcome::Side;
use crate::transport::Stream;
use crate::transport::tls::Sealed;

/// Which of the two connections of a session use TLS, and their state.
#[derive(Default)]
pub struct Seals {
    /// The client's.
    pub client: Option<Box<Sealed>>,
    /// The target's.
    pub target: Option<Box<Sealed>>,
}

impl Seals {
    /// Whether neither uses TLS.
    pub fn is_empty(&self) -> bool {
        self.client.is_none() && self.target.is_none()
    }

    /// These two connections as halves, each with its TLS state.
    pub fn halves<'a>(self, client: &'a Stream, target: &'a Stream) -> [Box<dyn Half + 'a>; 2] {
        [half(client, self.client, Side::Client), half(target, self.target, Side::Target)]
    }
}

fn half<'a>(stream: &'a Stream, records: Option<Box<Sealed>>, side: Side) -> Box<dyn Half + 'a> {
    match records {
        Some(records) => Box::new(TlsHalf::new(Socket::new(stream), records, side)),
        None => Box::new(Socket::new(stream)),
    }
}
