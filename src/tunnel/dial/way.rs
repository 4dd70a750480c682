//! How the other end is connected to: directly, or through a proxy.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::addresses::LookUps;
use super::attempt::connect;
use super::fault::Fault;
use super::proxy_fault::ProxyFault;
use crate::address::{Address, Host, TargetAddress};
use crate::outcome::Cause;
use crate::transport::proxied::{Proxied, ProxyChoice};
use crate::transport::{Congestion, Stream};

/// How long a proxy has to answer: it looks the name up, and connects.
const ANSWER: Duration = Duration::from_secs(5);

/// The way to one address of `connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is dialled from here.
    Direct(TargetAddress),
    /// A proxy dials it, and looks its name up, each time anew.
    Proxied(Proxied),
}

impl Way {
    /// The way to this address.
    pub(crate) fn to(target: &TargetAddress, proxy: &ProxyChoice) -> Way {
        match proxy.of(target) {
            Some(url) => Way::Proxied(Proxied::new(target.clone(), url.clone())),
            None => Way::Direct(target.clone()),
        }
    }

    /// Looks up what is dialled from here.
    ///
    /// # Errors
    /// Why there is no address.
    pub(crate) async fn addresses(&self, look_ups: &mut LookUps) -> Result<Vec<Address>, Fault> {
        let dialled = match self {
            Way::Direct(target) => target,
            Way::Proxied(proxied) => proxied.proxy(),
        };
        look_ups.addresses(dialled).await.map_err(|cause| self.unreached(cause))
    }

    /// Connects by it: to one of these addresses, and then through the proxy that is there, if it is one's.
    ///
    /// # Errors
    /// Why it failed. Given up, the connection is closed.
    pub(crate) async fn connect(
        &self,
        at: &[Address],
        congestion: [&Congestion; 2],
    ) -> Result<Stream, Fault> {
        let stream = connect(at, congestion).await.map_err(|cause| self.unreached(cause))?;
        let Way::Proxied(proxied) = self else { return Ok(stream) };
        match timeout(ANSWER, proxied.ask(&stream)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(refusal)) => Err(ProxyFault::refused(proxied, refusal).into()),
            Err(_) => Err(ProxyFault::silent(proxied).into()),
        }
    }

    /// The fault of a dial from here. One of this machine is no fault of the proxy's.
    fn unreached(&self, cause: Cause) -> Fault {
        match self {
            Way::Proxied(proxied) if cause.blames_target() => ProxyFault::unreached(proxied, cause).into(),
            _ => Fault::Unreached(cause),
        }
    }

    /// What was reached, where the connection leads to `peer`.
    pub(crate) fn reached(&self, peer: SocketAddr) -> Reached {
        match self {
            Way::Direct(_) => Reached { to: peer.to_string(), proxy: None },
            Way::Proxied(proxied) => {
                Reached { to: proxied.to().to_string(), proxy: Some(proxied.url().to_string()) }
            }
        }
    }
}

/// The name that is asked for in TLS.
pub(crate) fn host(target: &TargetAddress) -> String {
    match target.net() {
        Some((Host::Name(name), _)) => name.to_string(),
        Some((Host::Ip(ip), _)) => ip.to_string(),
        _ => String::new(),
    }
}

/// The other end as lines name it: by its address, or as the proxy was asked for it. It has no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) to: String,
    pub(crate) proxy: Option<String>,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to)?;
        match &self.proxy {
            Some(proxy) => write!(f, " proxy={proxy}"),
            None => Ok(()),
        }
    }
}
