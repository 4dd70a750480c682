//! A carrier on which a session is opened, until the relay takes it over.

use super::state::{Carried, Session};
use crate::engine::targets::reach::Unreached;
use crate::outcome::{Cause, End};
use crate::relay::{Ahead, CarrierHalf, Half};
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::engaged::Engaged;

/// Such a carrier. Dropped, it goes back as it was if nothing was sent on it; else the other end gets a RESET, with the order
/// that ends the session if there is one.
pub(super) struct Begun<'s> {
    /// `None` once it is the relay's, or gone.
    carrier: Option<Stage>,
    has_sent: bool,
    /// Why it is given up, unless by an order or the client.
    failed: Option<End>,
    session: &'s Session,
}

#[allow(clippy::large_enum_variant, reason = "it stands in the future of one dial, which is boxed")]
enum Stage {
    /// OPEN is not answered yet.
    Asked(Engaged),
    /// Bytes of the session pass.
    Flowing(Box<Carried>),
}

impl<'s> Begun<'s> {
    pub(super) fn new(carrier: Engaged, session: &'s Session) -> Begun<'s> {
        Begun { carrier: Some(Stage::Asked(carrier)), has_sent: false, failed: None, session }
    }

    /// The connection, on which OPEN is sent now.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn begin(&mut self) -> Result<&mut FrameLink, Unreached> {
        self.has_sent = true;
        match &mut self.carrier {
            Some(Stage::Asked(carrier)) => Ok(&mut carrier.link),
            _ => Err(Cause::Reset.into()),
        }
    }

    /// The session's own connection: what is sent and read from now on are its bytes.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn flow(&mut self) -> Result<&mut Ahead<CarrierHalf>, Unreached> {
        let carried = match self.carrier.take().ok_or(Cause::Reset)? {
            Stage::Asked(carrier) => Box::new(Carried::opened(carrier)),
            Stage::Flowing(carried) => carried,
        };
        match self.carrier.insert(Stage::Flowing(carried)) {
            Stage::Flowing(carried) => Ok(&mut carried.half),
            Stage::Asked(_) => Err(Cause::Reset.into()),
        }
    }

    /// The other end has ended the session, or the connection is broken: nothing more is to be sent.
    pub(super) fn is_over(&mut self) {
        self.carrier = None;
    }

    /// Notes why it is given up.
    pub(super) fn fails(&mut self, why: End) {
        self.failed = Some(why);
    }

    /// The carrier, for the relay.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn done(mut self) -> Result<Box<Carried>, Unreached> {
        Ok(match self.carrier.take().ok_or(Cause::Reset)? {
            Stage::Asked(carrier) => Box::new(Carried::opened(carrier)),
            Stage::Flowing(carried) => carried,
        })
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut carried = match self.carrier.take() {
            None => return,
            Some(Stage::Asked(carrier)) if !self.has_sent => return carrier.give_back(),
            Some(Stage::Asked(carrier)) => Box::new(Carried::opened(carrier)),
            Some(Stage::Flowing(carried)) => carried,
        };
        let ordered = self.session.entry.live().ordered();
        let end = self.failed.or(ordered.map(|order| order.end())).unwrap_or(End::ClientGone);
        carried.half.reset(end);
    }
}
