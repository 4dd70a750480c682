//! Why a session is cut, and why a connection is closed: one byte each.

/// Why a session was cut. A closed list; a byte that is not in it is read as `Reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The sender's side of the session sent RST.
    Reset = 0,
    /// Nothing moved for `idle_timeout`.
    Idle = 1,
    /// A limit.
    Limited = 2,
    /// The client may not connect.
    Denied = 3,
    /// The time for a stop was over.
    Drained = 4,
    /// Its place was needed.
    Evicted = 5,
    /// A key or a permission was withdrawn.
    Revoked = 6,
    /// No target was reached.
    NoTarget = 7,
    /// The other end broke the rules of these frames.
    Protocol = 8,
    /// A bug.
    Internal = 9,
    /// By hand.
    Killed = 10,
    /// An impairment of the route.
    Impaired = 11,
    /// The kernel gave the client's connection up.
    ClientLost = 12,
    /// The kernel gave the target's connection up.
    TargetLost = 13,
    /// The client did not send in time what the route waits for.
    SlowClient = 14,
    /// TLS with the client failed.
    TlsFailed = 15,
    /// The session was as old as `max_session_age` allows.
    Expired = 16,
    /// No target is for the name that the client asked for.
    NoName = 17,
    /// The client did not begin with the PROXY header that the route wants.
    BadHeader = 18,
}

/// Why a connection is closed. A closed list; a byte that is not in it is read as `Surplus`: nothing follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseCode {
    /// It is one idle carrier too many.
    Surplus = 0,
    /// The sender stops.
    Stopping = 1,
    /// The other end broke the rules.
    Protocol = 2,
    /// The key was withdrawn.
    Revoked = 3,
    /// Another control took over.
    Replaced = 4,
    /// The sender is out of something.
    Overload = 5,
}

impl Reason {
    pub(super) const ALL: [Reason; 19] = [
        Reason::Reset,
        Reason::Idle,
        Reason::Limited,
        Reason::Denied,
        Reason::Drained,
        Reason::Evicted,
        Reason::Revoked,
        Reason::NoTarget,
        Reason::Protocol,
        Reason::Internal,
        Reason::Killed,
        Reason::Impaired,
        Reason::ClientLost,
        Reason::TargetLost,
        Reason::SlowClient,
        Reason::TlsFailed,
        Reason::Expired,
        Reason::NoName,
        Reason::BadHeader,
    ];

    /// The word of FLOW_END: that of the record.
    pub(super) fn code(self) -> &'static str {
        match self {
            Reason::Reset => "reset",
            Reason::Idle => "idle",
            Reason::Limited => "limited",
            Reason::Denied => "denied",
            Reason::Drained => "drained",
            Reason::Evicted => "evicted",
            Reason::Revoked => "revoked",
            Reason::NoTarget => "no_target",
            Reason::Protocol => "protocol",
            Reason::Internal => "internal",
            Reason::Killed => "killed",
            Reason::Impaired => "impaired",
            Reason::ClientLost => "client_lost",
            Reason::TargetLost => "target_lost",
            Reason::SlowClient => "slow_client",
            Reason::TlsFailed => "tls_failed",
            Reason::Expired => "expired",
            Reason::NoName => "no_name",
            Reason::BadHeader => "bad_header",
        }
    }

    /// The reason of a word; a word that is not in the list is read as `Reset`.
    pub(super) fn of_code(word: &str) -> Reason {
        Reason::ALL.into_iter().find(|reason| reason.code() == word).unwrap_or(Reason::Reset)
    }

    pub(super) fn of(byte: u8) -> Reason {
        Reason::ALL.get(usize::from(byte)).copied().unwrap_or(Reason::Reset)
    }
}

impl CloseCode {
    pub(super) fn of(byte: u8) -> CloseCode {
        match byte {
            1 => CloseCode::Stopping,
            2 => CloseCode::Protocol,
            3 => CloseCode::Revoked,
            4 => CloseCode::Replaced,
            5 => CloseCode::Overload,
            _ => CloseCode::Surplus,
        }
    }
}
