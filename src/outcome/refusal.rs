//! Why a client was not let in.

/// Why a client may not connect at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Its address is in `deny`.
    Listed,
    /// There is an `allow`, and its address is not in it.
    Unlisted,
}

impl Denial {
    /// What to know about it: the hint of the record.
    pub fn hint(self) -> &'static str {
        match self {
            Denial::Listed => "its address is in deny",
            Denial::Unlisted => "its address is not in allow",
        }
    }
}
