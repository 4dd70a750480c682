//! Some of the two sides of a session.

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
