//! The closed list of what a diagnosis can find. Ids never change their meaning.
//!
//! One line per verdict: its meaning (which `loopgate explain CODE` prints), its id, how bad it is.

use std::fmt;

use serde::{Serialize, Serializer};

/// What a rule says, and how sure it is.
pub(crate) type Judged = (Verdict, Certainty);

/// How bad a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is wrong.
    Fine,
    /// It works, and somebody should know. A verdict only where nothing fails.
    Warning,
    /// It could not be found out.
    Unclear,
    /// It does not work.
    Error,
}

/// The list, written once: variant, meaning, id and severity cannot drift apart.
macro_rules! verdicts {
    ($(#[doc = $meaning:literal] $name:ident = $id:literal, $severity:ident;)*) => {
        /// What was found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Verdict {
            $(#[doc = $meaning] $name,)*
        }

        impl Verdict {
            /// Every verdict.
            pub const ALL: &[Verdict] = &[$(Verdict::$name,)*];

            /// The id of the closed list.
            pub fn id(self) -> &'static str {
                match self { $(Verdict::$name => $id,)* }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Verdict::$name => Severity::$severity,)* }
            }

            /// What it means, one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Verdict::$name => $meaning.trim_ascii(),)* }
            }
        }
    };
}

verdicts! {
    // Listening.
    /// Another process listens on exactly this address.
    PortHeld = "port-held", Error;
    /// A listener on every address of the family covers this one.
    PortHeldByWildcard = "port-held-by-wildcard", Error;
    /// Every address was wanted, and one of them is taken.
    WildcardBlockedBySpecific = "wildcard-blocked-by-specific", Error;
    /// An IPv6 listener on every address takes IPv4 as well.
    PortHeldByDualStack = "port-held-by-dual-stack", Error;
    /// Nobody listens: an outgoing connection has it as its source port.
    PortHeldByOutgoing = "port-held-by-outgoing", Error;
    /// Nobody listens and nobody holds it: closed connections wait for their time to end.
    PortInTimeWait = "port-in-time-wait", Error;
    /// Nobody listens: accepted connections of a server that ended still live.
    PortHeldByOldConnections = "port-held-by-old-connections", Error;
    /// Several processes listen, sharing the socket or the port.
    PortHeldByGroup = "port-held-by-group", Error;
    /// A child inherited the listening socket of a server that ended, and never answers.
    PortHeldByLeftoverChild = "port-held-by-leftover-child", Error;
    /// Somebody listens whom this user may not see.
    PortHeldHidden = "port-held-hidden", Error;
    /// The listener is a process that is stopped.
    PortHeldBySuspended = "port-held-by-suspended", Error;
    /// This very program already runs and holds it.
    AlreadyRunning = "already-running", Error;
    /// Both sides set SO_REUSEPORT, but the holder is another user.
    ReuseportOtherUser = "reuseport-other-user", Error;
    /// Several sockets share the port by SO_REUSEPORT, and each takes a part of the connections.
    PortSharedByReuseport = "port-shared-by-reuseport", Warning;
    /// A low port, and no right to it.
    PortPrivileged = "port-privileged", Error;
    /// No interface here has the address.
    AddressNotLocal = "address-not-local", Error;
    /// The address is still being checked for a double, or has one.
    AddressTentative = "address-tentative", Error;
    /// IPv6 is off.
    Ipv6Disabled = "ipv6-disabled", Error;
    /// A link-local address without its interface.
    MissingScope = "missing-scope", Error;
    /// This process has no descriptor left.
    OwnFdLimit = "own-fd-limit", Error;
    /// The machine has no file left.
    SystemFileLimit = "system-file-limit", Error;
    /// A sandbox or security policy forbids it.
    BindDeniedBySandbox = "bind-denied-by-sandbox", Error;
    /// A socket file is left over: nobody listens on it.
    UnixSocketStale = "unix-socket-stale", Error;
    // Reaching.
    /// Nothing listens there, by any protocol, family or address that can be seen.
    TargetNotRunning = "target-not-running", Error;
    /// Nothing listens there, but what is probably meant listens on a port nearby.
    TargetOnOtherPort = "target-on-other-port", Error;
    /// The port is listened on, on another address alone.
    TargetOnOtherAddress = "target-on-other-address", Error;
    /// The port is listened on by the other IP family alone.
    TargetOnOtherFamily = "target-on-other-family", Error;
    /// The port is open for UDP, not for TCP.
    TargetIsUdp = "target-is-udp", Error;
    /// The service listens on a Unix socket alone.
    TargetIsUnixSocket = "target-is-unix-socket", Error;
    /// The service listens in another network namespace, as in a container.
    TargetInOtherNetns = "target-in-other-netns", Error;
    /// The service ends and is started again and again.
    TargetFlapping = "target-flapping", Error;
    /// The kernel killed the service because memory ran out.
    TargetKilledOom = "target-killed-oom", Error;
    /// A packet filter rejects the connection; the service itself listens.
    FirewallReject = "firewall-reject", Error;
    /// A packet filter drops the connection silently; the service itself listens.
    FirewallDrop = "firewall-drop", Error;
    /// A packet filter allows so many connections and no more.
    FirewallConnlimit = "firewall-connlimit", Error;
    /// A packet filter leads the connection to another address.
    FirewallRedirect = "firewall-redirect", Error;
    /// The table of tracked connections is full, and new ones are dropped.
    ConntrackFull = "conntrack-full", Error;
    /// The loopback interface is down.
    LoopbackDown = "loopback-down", Error;
    /// The loopback address or its local route is gone.
    LoopbackRouteLost = "loopback-route-lost", Error;
    /// No route leads to the address.
    NoRoute = "no-route", Error;
    /// A route or a routing rule forbids the address.
    RouteForbids = "route-forbids", Error;
    /// The interface that leads to the address is down or has no carrier.
    LinkDown = "link-down", Error;
    /// No machine on the link answers for the address.
    NeighbourSilent = "neighbour-silent", Error;
    /// The memory that all TCP sockets share is used up.
    TcpMemoryFull = "tcp-memory-full", Error;
    /// A redirection to a loopback address is dropped, because route_localnet is off.
    MartianLoopbackDnat = "martian-loopback-dnat", Error;
    /// The queue of connections that wait to be accepted is full.
    AcceptQueueFull = "accept-queue-full", Error;
    /// The listener demands signed segments (TCP-MD5 or TCP-AO) and ignores others.
    ListenerIgnoresSyn = "listener-ignores-syn", Error;
    /// The kernel took the connection, the program does not accept it.
    TargetNotAccepting = "target-not-accepting", Error;
    /// The program that listens is stopped.
    TargetSuspended = "target-suspended", Error;
    /// The program that listens stands in a debugger.
    TargetInDebugger = "target-in-debugger", Error;
    /// The program accepted and reads nothing: its threads wait.
    TargetHung = "target-hung", Error;
    /// The program computes without end and accepts nothing.
    TargetBusyLoop = "target-busy-loop", Error;
    /// The program is stuck in the kernel, as on a dead disk or mount.
    TargetUninterruptible = "target-uninterruptible", Error;
    /// The program has used up its descriptors and cannot accept.
    TargetOutOfFds = "target-out-of-fds", Error;
    /// The program may start no more processes, and closes what it accepts.
    TargetCannotFork = "target-cannot-fork", Error;
    /// The program works, and needs longer than it was given.
    TargetSlow = "target-slow", Error;
    /// The program accepts and resets.
    TargetResets = "target-resets", Error;
    /// The program accepts and closes without a byte.
    TargetClosesEmpty = "target-closes-empty", Error;
    /// The kernel holds the connection back until the client has sent something (TCP_DEFER_ACCEPT).
    TargetWaitsForClient = "target-waits-for-client", Error;
    /// The service speaks TLS, where plain text was expected.
    TlsExpected = "protocol-mismatch-tls-expected", Error;
    /// The service speaks plain text, where TLS was expected.
    PlainExpected = "protocol-mismatch-plain-expected", Error;
    /// The service answers only for other host names.
    HttpHostRejected = "http-host-rejected", Error;
    /// Another protocol answers than was expected.
    UnexpectedProtocol = "unexpected-protocol", Error;
    /// No source port is left.
    EphemeralPortsExhausted = "ephemeral-ports-exhausted", Error;
    /// `localhost` is mapped to another address.
    LocalhostRemapped = "localhost-remapped", Error;
    /// `localhost` cannot be resolved.
    LocalhostUnresolvable = "localhost-unresolvable", Error;
    /// Forwards lead back to themselves.
    ForwardLoop = "forward-loop", Error;
    /// Nobody receives UDP there.
    UdpTargetNotRunning = "udp-target-not-running", Error;
    /// The permissions of the socket file or its folders forbid it.
    UnixSocketDenied = "unix-socket-denied", Error;
    /// A proxy variable of the environment sends clients of loopback addresses elsewhere.
    ProxyEnvCapturesLoopback = "proxy-env-captures-loopback", Warning;
    /// The program file was replaced since the service started.
    TargetRunsOldBinary = "target-runs-old-binary", Warning;
    // A session.
    /// The target stopped reading in the middle.
    TargetStalledWindow = "target-stalled-window", Error;
    /// The target does not close its finished connections.
    TargetLeaksCloseWait = "target-leaks-close-wait", Warning;
    /// The other end is gone without a word.
    PeerVanished = "peer-vanished", Error;
    /// A firewall forgot the connection while it was idle.
    IdleStateExpired = "idle-state-expired", Error;
    /// The target ended while the connection was in use.
    TargetDiedMidstream = "target-died-midstream", Error;
    /// The receiver is too slow, and its kernel drops datagrams.
    UdpReceiverDrops = "udp-receiver-drops", Error;
    /// Small packets pass, large ones are lost.
    LargePacketsLost = "large-packets-lost", Error;
    /// A queueing discipline slows the link.
    LinkShaped = "link-shaped", Error;
    // Standing facts, told where nothing fails.
    /// Outgoing connections may draw this port.
    PortInEphemeralRange = "warn-port-in-ephemeral-range", Warning;
    /// The listener can be reached from other machines.
    Exposed = "warn-exposed", Warning;
    // Answers.
    /// Nothing is wrong.
    Healthy = "healthy", Fine;
    /// None of the others could be shown.
    Unknown = "unknown", Unclear;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_have_a_meaning() {
        let ids: BTreeSet<&str> = Verdict::ALL.iter().map(|verdict| verdict.id()).collect();

        assert_eq!(ids.len(), Verdict::ALL.len());
        for verdict in Verdict::ALL {
            assert!(verdict.meaning().ends_with('.'), "{verdict}");
        }
    }
}
