//! A carrier on which a session is opened, until the relay takes it over.

use super::state::Session;
use crate::engine::targets::reach::Unreached;
use crate::outcome::{Cause, End, Side};
use crate::relay::{CarrierHalf, Half};
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::engaged::Engaged;

/// Such a carrier. Dropped, it goes back as it was if nothing was sent on it; else the other end gets a RESET, with the order
/// that ends the session if there is one.
pub(super) struct Begun<'s> {
    /// `None` once it is the relay's, or gone.
    carrier: Option<Engaged>,
    has_sent: bool,
    session: &'s Session,
}

impl<'s> Begun<'s> {
    pub(super) fn new(carrier: Engaged, session: &'s Session) -> Begun<'s> {
        Begun { carrier: Some(carrier), has_sent: false, session }
    }

    /// The connection, on which OPEN is sent now.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn begin(&mut self) -> Result<&mut FrameLink, Unreached> {
        self.has_sent = true;
        let carrier = self.carrier.as_mut().ok_or(Cause::Reset)?;
        Ok(&mut carrier.link)
    }

    /// The other end has ended the session, or the connection is broken: nothing more is to be sent.
    pub(super) fn is_over(&mut self) {
        self.carrier = None;
    }

    /// The carrier, for the relay.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn done(mut self) -> Result<Engaged, Unreached> {
        Ok(self.carrier.take().ok_or(Cause::Reset)?)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let Some(carrier) = self.carrier.take() else { return };
        if !self.has_sent {
            return carrier.give_back();
        }
        let ordered = self.session.entry.live().ordered();
        let end = ordered.map_or(End::ClientGone, |order| order.end());
        CarrierHalf::new(carrier.link, Side::Target).reset(end);
    }
}
