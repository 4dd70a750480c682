//! What is known at this end about targets at the other end of a tunnel.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::address::There;
use crate::outcome::Cause;
use crate::transport::tunnel::message::MAX_ROUTES;

/// Whether a tunnel is up, and which of the services at its other end are down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineState {
    is_up: bool,
    /// The services that are down, as the other end says. At most [`MAX_ROUTES`].
    down: BTreeMap<Arc<str>, Cause>,
}

/// Why a target at the other end cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cause.
    pub cause: Cause,
    /// Whether the other end has said so; its own log has the reason.
    pub far: bool,
}

impl LineState {
    /// Whether the tunnel is up.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Why this target cannot be reached, if that is known. About an address that is dialled from there nothing is known
    /// but whether the tunnel is up.
    pub fn fault(&self, to: &There) -> Option<Fault> {
        if !self.is_up {
            return Some(Fault { cause: Cause::TunnelDown, far: false });
        }
        match to {
            There::Service(name) => self.down.get(name).map(|cause| Fault { cause: *cause, far: true }),
            There::Address(_) => None,
        }
    }

    /// Records whether the tunnel is up; false if that is nothing new. What was known about services is no longer.
    pub(super) fn set(&mut self, is_up: bool) -> bool {
        let is_new = self.is_up != is_up;
        if is_new {
            *self = LineState { is_up, down: BTreeMap::new() };
        }
        is_new
    }

    /// Records what the other end says of a service; false if that is nothing new. Of more than [`MAX_ROUTES`] it is not
    /// kept that they are down: a tunnel has no more routes.
    pub(super) fn note(&mut self, service: &str, cause: Option<Cause>) -> bool {
        match cause {
            None => self.down.remove(service).is_some(),
            Some(cause) if self.down.contains_key(service) || self.down.len() < MAX_ROUTES => {
                self.down.insert(service.into(), cause) != Some(cause)
            }
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> There {
        There::Service(name.into())
    }

    #[test]
    fn a_service_is_down_with_its_tunnel_or_by_the_word_of_the_other_end() {
        let mut state = LineState::default();
        let down = Some(Fault { cause: Cause::TunnelDown, far: false });
        assert_eq!(state.fault(&service("web")), down);

        assert!(state.set(true) && !state.set(true));
        assert!(state.note("web", Some(Cause::Refused)) && !state.note("web", Some(Cause::Refused)));
        assert_eq!(state.fault(&service("web")), Some(Fault { cause: Cause::Refused, far: true }));
        assert_eq!(state.fault(&service("db")), None);

        assert!(state.note("web", None) && !state.note("web", None));
        assert_eq!(state.fault(&service("web")), None);
    }

    #[test]
    fn what_was_said_of_services_is_forgotten_with_the_tunnel() {
        let mut state = LineState::default();
        state.set(true);
        state.note("web", Some(Cause::Refused));

        state.set(false);
        state.set(true);

        assert_eq!(state.fault(&service("web")), None);
    }

    #[test]
    fn no_more_services_are_remembered_than_a_tunnel_has_routes() {
        let mut state = LineState::default();
        state.set(true);

        let noted = (0..=MAX_ROUTES).map(|n| state.note(&n.to_string(), Some(Cause::Refused)));

        assert_eq!(noted.filter(|is_new| *is_new).count(), MAX_ROUTES);
    }
}
