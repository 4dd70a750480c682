//! What a target is: an address as written, dialled from here or through a proxy; something at the other end of a tunnel;
//! or an embedder's own way to reach a service.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use super::proxied::{Proxied, ProxyUrl};
use super::{Link, Origin, Unopened};
use crate::address::{Address, Numbered, TargetAddress, TargetThere, There, UnixName};
use crate::units::shown;

/// A connection to a target that is being made.
pub type Reaching<'r> = Pin<Box<dyn Future<Output = io::Result<Unopened>> + Send + 'r>>;

/// A way to reach a target that is not dialled by address: through another program, or inside this process.
pub trait Reach: Send + Sync {
    /// The name of the target in records (`target=`) and in the log.
    fn name(&self) -> &str;

    /// Connects to it, with a socket or a [`super::Custom`] stream. The future runs on the worker of a session, so it
    /// must not block; it is dropped at `deadline`, or when its client disconnects. `from` is where the route dials
    /// from.
    ///
    /// # Errors
    /// The kind of the error becomes the record's cause, as `refused` or `timed_out`; any other kind is `unreachable`.
    /// An errno about a local shortage, as EMFILE, does not count against the target. The text of an error without an
    /// errno becomes the record's hint.
    fn reach<'r>(&'r self, from: &'r Origin, deadline: Instant) -> Reaching<'r>;

    /// The address at which the kernel of this machine sees the target listen, if it does: then the monitor checks this
    /// address, and the reason why the target is down is looked up there. Without it, only connections show whether the
    /// target is up.
    fn seen_at(&self) -> Option<Address> {
        None
    }
}

/// What a route dials. Two destinations with a [`Reach`] are equal if it is the same object.
#[derive(Clone)]
pub struct Destination(Kind);

#[derive(Clone)]
enum Kind {
    Address(TargetAddress),
    Proxied(Arc<Proxied>),
    There(Arc<TargetThere>),
    Custom(Arc<dyn Reach>),
}

impl Destination {
    /// A destination that is reached through `reach`.
    pub fn custom(reach: impl Reach + 'static) -> Destination {
        Destination(Kind::Custom(Arc::new(reach)))
    }

    /// A destination that is dialled through a proxy, or directly if there is none. What is at the other end of a tunnel
    /// is dialled by nobody here, so it has no proxy.
    pub fn through(proxy: Option<&ProxyUrl>, to: TargetAddress) -> Destination {
        match proxy {
            Some(url) if to.there().is_none() => {
                Destination(Kind::Proxied(Arc::new(Proxied { to, url: url.clone() })))
            }
            _ => to.into(),
        }
    }

    /// What it is at the other end of a tunnel, if it is there: it is reached by a connection of the tunnel's
    /// [`super::tunnel::line::Line`].
    pub fn there(&self) -> Option<&Arc<TargetThere>> {
        match &self.0 {
            Kind::There(there) => Some(there),
            Kind::Address(_) | Kind::Proxied(_) | Kind::Custom(_) => None,
        }
    }

    /// Its custom way to be reached, if it has one.
    pub fn reach(&self) -> Option<&Arc<dyn Reach>> {
        match &self.0 {
            Kind::Address(_) | Kind::Proxied(_) | Kind::There(_) => None,
            Kind::Custom(reach) => Some(reach),
        }
    }

    /// Whether it is dialled through a proxy.
    pub fn is_proxied(&self) -> bool {
        matches!(self.0, Kind::Proxied(_))
    }

    /// Whether it is reached by something other than a dial of its address.
    pub fn is_indirect(&self) -> bool {
        !matches!(self.0, Kind::Address(_))
    }

    /// Connects to it in that way, until `deadline`; `at` has the addresses of its proxy, and `hops` through how many
    /// forwards the client has come if that may be a Loopgate.
    ///
    /// # Errors
    /// As of [`Reach::reach`]; `Unsupported` if it is dialled by its address, or is in a tunnel.
    pub(crate) async fn open(
        &self,
        at: &[Address],
        from: &Origin,
        hops: Option<u8>,
        deadline: Instant,
    ) -> io::Result<Link> {
        match &self.0 {
            Kind::Address(_) | Kind::There(_) => Err(io::ErrorKind::Unsupported.into()),
            Kind::Proxied(proxied) => {
                Box::pin(proxied.reach(at, from, hops, deadline)).await.map(Link::Socket)
            }
            Kind::Custom(reach) => reach.reach(from, deadline).await.and_then(Unopened::open),
        }
    }

    /// The address as written, if it is dialled from here.
    pub fn written(&self) -> Option<&TargetAddress> {
        match &self.0 {
            Kind::Address(address) => Some(address),
            Kind::Proxied(_) | Kind::There(_) | Kind::Custom(_) => None,
        }
    }

    /// What is dialled from here, as written: its own address, or its proxy's.
    pub fn dialled(&self) -> Option<&TargetAddress> {
        match &self.0 {
            Kind::Address(address) => Some(address),
            Kind::Proxied(proxied) => Some(&proxied.url.at),
            Kind::There(_) | Kind::Custom(_) => None,
        }
    }

    /// Its proxy, for a message; no password is shown.
    pub(crate) fn proxy(&self) -> Option<&ProxyUrl> {
        match &self.0 {
            Kind::Proxied(proxied) => Some(&proxied.url),
            Kind::Address(_) | Kind::There(_) | Kind::Custom(_) => None,
        }
    }

    /// The address as written, whoever dials it; none for a service that the other end of a tunnel offers by its name.
    pub fn named(&self) -> Option<&TargetAddress> {
        match &self.0 {
            Kind::Address(address) => Some(address),
            Kind::Proxied(proxied) => Some(&proxied.to),
            Kind::There(there) => match &there.to {
                There::Address(address) => Some(address),
                There::Service(_) => None,
            },
            Kind::Custom(_) => None,
        }
    }

    /// Its address, if that is known without a look-up; `None` for a name. For a custom destination it is the address
    /// at which the kernel sees it, if any.
    pub fn place(&self) -> Option<Address> {
        match &self.0 {
            Kind::Address(address) => address.place(),
            Kind::Proxied(_) | Kind::There(_) => None,
            Kind::Custom(reach) => reach.seen_at(),
        }
    }

    /// Whether its address may change: it is a name, or has an interface by name, and must be looked up.
    pub fn is_looked_up(&self) -> bool {
        self.written().is_some_and(|address| address.place().is_none())
    }

    /// The Unix socket that it is, or at which the kernel sees it.
    pub fn unix(&self) -> Option<UnixName> {
        match self.place()? {
            Address::Unix(name) => Some(name),
            Address::Net(_) | Address::Named(_) => None,
        }
    }
}

impl From<TargetAddress> for Destination {
    fn from(address: TargetAddress) -> Destination {
        Destination(match address {
            TargetAddress::There(there) => Kind::There(Arc::new(there)),
            address => Kind::Address(address),
        })
    }
}

impl Numbered for Destination {
    fn nth(&self, n: u16) -> Destination {
        match &self.0 {
            Kind::Address(address) => address.nth(n).into(),
            Kind::Proxied(proxied) => Destination::through(Some(&proxied.url), proxied.to.nth(n)),
            Kind::There(_) | Kind::Custom(_) => self.clone(),
        }
    }

    fn port(&self) -> Option<u16> {
        // What is in a tunnel stands for itself: no range is counted on there.
        self.named().filter(|_| self.there().is_none()).and_then(Numbered::port)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Address(address) => address.fmt(f),
            Kind::Proxied(proxied) => proxied.to.fmt(f),
            Kind::There(there) => there.fmt(f),
            Kind::Custom(reach) => f.write_str(&shown(reach.name(), usize::MAX)),
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({self})")
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Destination) -> bool {
        match (&self.0, &other.0) {
            (Kind::Address(address), Kind::Address(other)) => address == other,
            (Kind::Proxied(proxied), Kind::Proxied(other)) => proxied == other,
            (Kind::There(there), Kind::There(other)) => there == other,
            (Kind::Custom(reach), Kind::Custom(other)) => {
                std::ptr::addr_eq(Arc::as_ptr(reach), Arc::as_ptr(other))
            }
            _ => false,
        }
    }
}

impl Eq for Destination {}

impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Kind::Address(address) => address.hash(state),
            Kind::Proxied(proxied) => proxied.hash(state),
            Kind::There(there) => there.hash(state),
            Kind::Custom(reach) => Arc::as_ptr(reach).cast::<()>().hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Run;

    /// Not zero-sized, as the allocator may place any number of zero-sized objects at the same address.
    struct Nowhere(#[allow(dead_code, reason = "it is here for its size")] u8);

    impl Reach for Nowhere {
        fn name(&self) -> &str {
            "no\nwhere"
        }

        fn reach<'r>(&'r self, _: &'r Origin, _: Instant) -> Reaching<'r> {
            Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
        }
    }

    fn written(text: &str) -> Destination {
        text.parse::<Run<TargetAddress>>().unwrap().first().clone().into()
    }

    #[test]
    fn a_custom_destination_equals_only_itself_and_is_printed_by_its_name() {
        let (one, other) = (Destination::custom(Nowhere(1)), Destination::custom(Nowhere(1)));

        assert_eq!(one, one.clone());
        assert_ne!(one, other);
        assert_ne!(one, written("127.0.0.1:1"));
        assert_eq!(one.to_string(), r"no\nwhere");
        assert_eq!((one.place(), one.is_looked_up(), one.nth(3) == one), (None, false, true));
    }

    #[test]
    fn what_is_at_the_other_end_of_a_tunnel_is_compared_by_its_text_and_dialled_by_nobody_here() {
        let (one, other) = (written("tunnel:home/web"), written("tunnel:home/10.0.0.5:5432"));

        assert_eq!(one, written("tunnel:home/web"));
        assert_ne!(one, other);
        assert_eq!(one.to_string(), "tunnel:home/web");
        assert_eq!((one.written(), one.dialled(), one.place(), one.named()), (None, None, None, None));
        assert_eq!(other.named().map(ToString::to_string), Some("10.0.0.5:5432".to_owned()));
        assert!(!one.is_looked_up() && !other.is_looked_up() && one.is_indirect());
    }

    #[test]
    fn an_address_is_its_own_place_and_a_name_has_to_be_looked_up() {
        assert_eq!(written("[::1]:80").place().unwrap().to_string(), "[::1]:80");
        assert!(written("unix:@x").unix().is_some() && written("127.0.0.1:1").unix().is_none());
        for text in ["db:5432", "[fe80::1%eth0]:80"] {
            assert!(written(text).is_looked_up(), "{text}");
        }
    }
}
