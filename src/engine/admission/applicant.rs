//! A client as the access lists and the limits of a route know it.

use std::net::IpAddr;

use crate::acl::Access;
use crate::address::TunnelName;
use crate::limits::ClientKey;
use crate::outcome::{Client, Denial};

/// Who asks for a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applicant {
    ip: Option<IpAddr>,
    /// The tunnel it came through, whose other end names its address.
    tunnel: Option<TunnelName>,
}

impl Applicant {
    /// This client, come through this tunnel or directly.
    pub(crate) fn of(client: &Client, tunnel: Option<&TunnelName>) -> Applicant {
        let ip = match client {
            Client::Net(address) => Some(address.ip()),
            Client::Unix { .. } | Client::Unknown => None,
        };
        Applicant { ip, tunnel: tunnel.cloned() }
    }

    /// Under which it is counted; `None` where no limit per client applies.
    pub(super) fn key(&self) -> Option<ClientKey> {
        match (&self.tunnel, self.ip) {
            (Some(tunnel), ip) => Some(ClientKey::through(tunnel.clone(), ip)),
            (None, ip) => ip.map(ClientKey::from),
        }
    }

    /// Why the lists of networks deny it. What they say of a process was decided when it came.
    pub(super) fn denied_by(&self, access: &Access) -> Option<Denial> {
        match (self.ip, &self.tunnel) {
            (Some(ip), _) => access.denies(ip),
            (None, Some(_)) => access.denies_anywhere(),
            (None, None) => None,
        }
    }
}

impl From<IpAddr> for Applicant {
    fn from(ip: IpAddr) -> Applicant {
        Applicant { ip: Some(ip), tunnel: None }
    }
}
