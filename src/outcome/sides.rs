//! The two sides of a session, and some of them.

/// The two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that connected to us.
    Client,
    /// The end that we dialled.
    Target,
}

impl Side {
    /// The opposite end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Target,
            Side::Target => Side::Client,
        }
    }

    /// The word in records.
    pub fn code(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Target => "target",
        }
    }
}

/// One of the two sides, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sides {
    /// The client alone.
    Client,
    /// The target alone.
    Target,
    /// Both.
    Both,
}

impl Sides {
    /// Those that are true; `None` for neither.
    pub fn of(client: bool, target: bool) -> Option<Sides> {
        match (client, target) {
            (true, false) => Some(Sides::Client),
            (false, true) => Some(Sides::Target),
            (true, true) => Some(Sides::Both),
            (false, false) => None,
        }
    }

    /// The word in records.
    pub fn code(self) -> &'static str {
        match self {
            Sides::Client => "client",
            Sides::Target => "target",
            Sides::Both => "both",
        }
    }
}
