//! What the other end of a tunnel may have us listen on or dial: `may_listen` and `may_dial`.

/// A list of addresses, networks and port ranges. Empty, it permits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permits {}
