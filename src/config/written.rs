//! Values as written, each with its place.

use super::problem::Place;
use crate::address::{Run, TargetAddress};
use crate::client_hello::Name;
use crate::units::OrOff;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A route's targets for TLS clients that ask for a name or protocol, and for clients without TLS: `names`, `alpn`,
/// `not_tls`.
#[derive(Debug, Default)]
pub(crate) struct WrittenHello {
    pub(crate) names: Vec<Named<Name>>,
    pub(crate) alpn: Vec<Named<Box<[u8]>>>,
    pub(crate) not_tls: Vec<WrittenTarget>,
    /// The place of each of the three keys that is written.
    pub(crate) keys: Vec<(&'static str, Place)>,
}

/// A word and the targets it stands for.
pub(crate) type Named<K> = (K, Vec<WrittenTarget>);

/// One of a route's targets.
#[derive(Clone, Debug)]
pub(crate) struct WrittenTarget {
    /// The path of its key in the file; empty for one of the command line.
    pub(crate) path: String,
    pub(crate) address: Written<Run<TargetAddress>>,
    pub(crate) weight: Option<Written<u32>>,
    pub(crate) backup: Option<Written<bool>>,
    pub(crate) drain: Option<Written<bool>>,
    /// `max_connections`
    pub(crate) most: Option<Written<OrOff<usize>>>,
}

impl From<Written<Run<TargetAddress>>> for WrittenTarget {
    fn from(address: Written<Run<TargetAddress>>) -> Self {
        let (weight, backup, drain, most) = (None, None, None, None);
        WrittenTarget { path: String::new(), address, weight, backup, drain, most }
    }
}
