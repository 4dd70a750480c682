//! What a target is: an address as written, or a way of an embedder's own to reach something.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use super::{Origin, Unopened};
use crate::address::{Address, Numbered, TargetAddress, UnixName};

/// A connection with a target on its way.
pub type Reaching<'r> = Pin<Box<dyn Future<Output = io::Result<Unopened>> + Send + 'r>>;

/// A way to a target that is not dialled by its address: through something else, or inside this process.
pub trait Reach: Send + Sync {
    /// What records and the log call the target, as `target=` shows it.
    fn name(&self) -> &str;

    /// Makes a connection with it: a socket, or a [`super::Custom`] stream. It runs on the worker of a session, so it must
    /// not block, and it is dropped at `deadline`, or when its client goes. `from` is where the route dials from.
    ///
    /// # Errors
    /// Their kind becomes the record's cause, as `refused` and `timed_out`; one of another kind is `unreachable`. An errno
    /// about a want of our own, as EMFILE, is not held against the target. The words of an error without an errno become the
    /// record's hint.
    fn reach<'r>(&'r self, from: &'r Origin, deadline: Instant) -> Reaching<'r>;

    /// Where the kernel of this machine sees it listen, if it does: then the monitor looks there, and a target that is down
    /// is explained from what is found. Without it only connections tell whether it is there.
    fn seen_at(&self) -> Option<Address> {
        None
    }
}

/// What a route dials. Those of [`Reach`] are equal where they are one object.
#[derive(Clone)]
pub struct Destination(Kind);

#[derive(Clone)]
enum Kind {
    Address(TargetAddress),
    Custom(Arc<dyn Reach>),
}

impl Destination {
    /// One that is reached so.
    pub fn custom(reach: impl Reach + 'static) -> Destination {
        Destination(Kind::Custom(Arc::new(reach)))
    }

    /// The way of its own that it is reached by, where it has one.
    pub fn reach(&self) -> Option<&Arc<dyn Reach>> {
        match &self.0 {
            Kind::Address(_) => None,
            Kind::Custom(reach) => Some(reach),
        }
    }

    /// The address as written, where it has one.
    pub fn written(&self) -> Option<&TargetAddress> {
        match &self.0 {
            Kind::Address(address) => Some(address),
            Kind::Custom(_) => None,
        }
    }

    /// The one place that it is at without asking anybody; `None` of a name. What is reached in a way of its own is
    /// wherever the kernel sees it, if it does.
    pub fn place(&self) -> Option<Address> {
        match &self.0 {
            Kind::Address(address) => address.place(),
            Kind::Custom(reach) => reach.seen_at(),
        }
    }

    /// Whether its place changes: it is a name, or an interface by name, and is looked up.
    pub fn is_looked_up(&self) -> bool {
        self.written().is_some_and(|address| address.place().is_none())
    }

    /// The Unix socket it is, or is seen at.
    pub fn unix(&self) -> Option<UnixName> {
        match self.place()? {
            Address::Unix(name) => Some(name),
            Address::Net(_) | Address::Named(_) => None,
        }
    }
}

impl From<TargetAddress> for Destination {
    fn from(address: TargetAddress) -> Destination {
        Destination(Kind::Address(address))
    }
}

impl Numbered for Destination {
    fn nth(&self, n: u16) -> Destination {
        match &self.0 {
            Kind::Address(address) => address.nth(n).into(),
            Kind::Custom(_) => self.clone(),
        }
    }

    fn port(&self) -> Option<u16> {
        self.written().and_then(Numbered::port)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Address(address) => address.fmt(f),
            Kind::Custom(reach) => reach.name().escape_debug().fmt(f),
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
            Kind::Custom(reach) => Arc::as_ptr(reach).cast::<()>().hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Run;

    /// With a size, since the allocator may put any number of things without one at one place.
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
    fn a_way_of_its_own_is_equal_to_itself_alone_and_printed_by_its_name() {
        let (one, other) = (Destination::custom(Nowhere(1)), Destination::custom(Nowhere(1)));

        assert_eq!(one, one.clone());
        assert_ne!(one, other);
        assert_ne!(one, written("127.0.0.1:1"));
        assert_eq!(one.to_string(), r"no\nwhere");
        assert_eq!((one.place(), one.is_looked_up(), one.nth(3) == one), (None, false, true));
    }

    #[test]
    fn an_address_is_where_it_says_and_a_name_has_to_be_looked_up() {
        assert_eq!(written("[::1]:80").place().unwrap().to_string(), "[::1]:80");
        assert!(written("unix:@x").unix().is_some() && written("127.0.0.1:1").unix().is_none());
        for text in ["db:5432", "[fe80::1%eth0]:80"] {
            assert!(written(text).is_looked_up(), "{text}");
        }
    }
}
