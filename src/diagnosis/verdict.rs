//! The closed list of what a diagnosis can find. Ids never change their meaning.
//!
//! Only what a failed bind needs is here; the rest of the list comes with the questions that find it.

use std::fmt;

use serde::{Serialize, Serializer};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Another process listens on exactly this address.
    PortHeld,
    /// A listener on every address of the family covers this one.
    PortHeldByWildcard,
    /// Every address was wanted, and one of them is taken.
    WildcardBlockedBySpecific,
    /// An IPv6 listener on every address takes IPv4 as well.
    PortHeldByDualStack,
    /// Nobody listens: an outgoing connection has it as its source port.
    PortHeldByOutgoing,
    /// Nobody listens and nobody holds it: closed connections wait for their time to end.
    PortInTimeWait,
    /// Nobody listens: accepted connections of a server that ended still live.
    PortHeldByOldConnections,
    /// Several processes listen, sharing the socket or the port.
    PortHeldByGroup,
    /// Somebody listens whom this user may not see.
    PortHeldHidden,
    /// The listener is a process that is stopped.
    PortHeldBySuspended,
    /// This very program already runs and holds it.
    AlreadyRunning,
    /// A low port, and no right to it.
    PortPrivileged,
    /// No interface here has the address.
    AddressNotLocal,
    /// The address is still being checked for a double, or has one.
    AddressTentative,
    /// IPv6 is off.
    Ipv6Disabled,
    /// A link-local address without its interface.
    MissingScope,
    /// This process has no descriptor left.
    OwnFdLimit,
    /// The machine has no file left.
    SystemFileLimit,
    /// Any free port was wanted, and there is none.
    EphemeralPortsExhausted,
    /// A sandbox or security policy forbids it.
    BindDeniedBySandbox,
    /// None of the above could be shown.
    Unknown,
}

impl Verdict {
    /// The id of the closed list.
    pub fn id(self) -> &'static str {
        match self {
            Verdict::PortHeld => "port-held",
            Verdict::PortHeldByWildcard => "port-held-by-wildcard",
            Verdict::WildcardBlockedBySpecific => "wildcard-blocked-by-specific",
            Verdict::PortHeldByDualStack => "port-held-by-dual-stack",
            Verdict::PortHeldByOutgoing => "port-held-by-outgoing",
            Verdict::PortInTimeWait => "port-in-time-wait",
            Verdict::PortHeldByOldConnections => "port-held-by-old-connections",
            Verdict::PortHeldByGroup => "port-held-by-group",
            Verdict::PortHeldHidden => "port-held-hidden",
            Verdict::PortHeldBySuspended => "port-held-by-suspended",
            Verdict::AlreadyRunning => "already-running",
            Verdict::PortPrivileged => "port-privileged",
            Verdict::AddressNotLocal => "address-not-local",
            Verdict::AddressTentative => "address-tentative",
            Verdict::Ipv6Disabled => "ipv6-disabled",
            Verdict::MissingScope => "missing-scope",
            Verdict::OwnFdLimit => "own-fd-limit",
            Verdict::SystemFileLimit => "system-file-limit",
            Verdict::EphemeralPortsExhausted => "ephemeral-ports-exhausted",
            Verdict::BindDeniedBySandbox => "bind-denied-by-sandbox",
            Verdict::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// There is direct evidence.
    Proven,
    /// By elimination.
    Likely,
    /// The evidence is shown, and what could not be read.
    Unknown,
}
