//! The closed list of verdicts a diagnosis can reach. Ids never change their meaning.
//!
//! One entry per verdict: its meaning (which `loopgate explain CODE` prints), its id, its severity.

use std::fmt;

use serde::{Serialize, Serializer};

/// The verdict of a rule, and its certainty.
pub(crate) type Judged = (Verdict, Certainty);

/// How bad a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is wrong.
    Fine,
    /// It works, but is worth knowing. A verdict only if nothing fails.
    Warning,
    /// The diagnosis could not find out.
    Unclear,
    /// It does not work.
    Error,
}

/// The list, written once: variant, meaning, id and severity cannot drift apart.
macro_rules! verdicts {
    ($(#[doc = $meaning:literal] $name:ident = $id:literal, $severity:ident;)*) => {
        /// The result of a diagnosis.
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

            /// The severity of the verdict.
            pub fn severity(self) -> Severity {
                match self { $(Verdict::$name => Severity::$severity,)* }
            }

            /// Its meaning, in one sentence.
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
    /// Nothing listens: an outgoing connection has it as its source port.
    PortHeldByOutgoing = "port-held-by-outgoing", Error;
    /// Nothing listens and no process holds it: closed connections wait for their time to end.
    PortInTimeWait = "port-in-time-wait", Error;
    /// Nothing listens: accepted connections of a server that ended are still open.
    PortHeldByOldConnections = "port-held-by-old-connections", Error;
    /// Several processes listen, sharing the socket or the port.
    PortHeldByGroup = "port-held-by-group", Error;
    /// A child inherited the listening socket of a server that ended, and never answers.
    PortHeldByLeftoverChild = "port-held-by-leftover-child", Error;
    /// A process listens that this user may not see.
    PortHeldHidden = "port-held-hidden", Error;
    /// The listening process is stopped.
    PortHeldBySuspended = "port-held-by-suspended", Error;
    /// Another instance of this program already runs and holds it.
    AlreadyRunning = "already-running", Error;
    /// Both sides set SO_REUSEPORT, but the holder is another user.
    ReuseportOtherUser = "reuseport-other-user", Error;
    /// Several sockets share the port by SO_REUSEPORT, and each takes a part of the connections.
    PortSharedByReuseport = "port-shared-by-reuseport", Warning;
    /// A low port, which this process has no right to bind.
    PortPrivileged = "port-privileged", Error;
    /// No interface here has the address.
    AddressNotLocal = "address-not-local", Error;
    /// The kernel still checks whether another machine has the address, or one does.
    AddressTentative = "address-tentative", Error;
    /// IPv6 is off.
    Ipv6Disabled = "ipv6-disabled", Error;
    /// A link-local address without its interface.
    MissingScope = "missing-scope", Error;
    /// This process has no descriptor left.
    OwnFdLimit = "own-fd-limit", Error;
    /// The machine's table of open files is full.
    SystemFileLimit = "system-file-limit", Error;
    /// A sandbox or security policy forbids it.
    BindDeniedBySandbox = "bind-denied-by-sandbox", Error;
    /// A socket file is left over: nothing listens on it.
    UnixSocketStale = "unix-socket-stale", Error;
    // Reaching.
    /// Nothing listens there, on any protocol, family or address that can be seen.
    TargetNotRunning = "target-not-running", Error;
    /// Nothing listens there, but the service that is probably meant listens on a similar port.
    TargetOnOtherPort = "target-on-other-port", Error;
    /// The service listens on another address only.
    TargetOnOtherAddress = "target-on-other-address", Error;
    /// The service listens on the other IP family only.
    TargetOnOtherFamily = "target-on-other-family", Error;
    /// The port is open for UDP, not for TCP.
    TargetIsUdp = "target-is-udp", Error;
    /// The service listens on a Unix socket only.
    TargetIsUnixSocket = "target-is-unix-socket", Error;
    /// The service listens in another network namespace, such as a container.
    TargetInOtherNetns = "target-in-other-netns", Error;
    /// The service ends and is restarted again and again.
    TargetFlapping = "target-flapping", Error;
    /// The kernel killed the service because memory ran out.
    TargetKilledOom = "target-killed-oom", Error;
    /// A packet filter rejects the connection; the service itself listens.
    FirewallReject = "firewall-reject", Error;
    /// A packet filter drops the connection silently; the service itself listens.
    FirewallDrop = "firewall-drop", Error;
    /// A packet filter limits the number of connections, and the limit is reached.
    FirewallConnlimit = "firewall-connlimit", Error;
    /// A packet filter redirects the connection to another address.
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
    /// The queue of connections waiting to be accepted is full.
    AcceptQueueFull = "accept-queue-full", Error;
    /// The listener demands signed segments (TCP-MD5 or TCP-AO) and ignores all others.
    ListenerIgnoresSyn = "listener-ignores-syn", Error;
    /// The kernel took the connection, but the program does not accept it.
    TargetNotAccepting = "target-not-accepting", Error;
    /// The listening program is stopped.
    TargetSuspended = "target-suspended", Error;
    /// A debugger holds the listening program.
    TargetInDebugger = "target-in-debugger", Error;
    /// The program accepted and reads nothing: its threads wait.
    TargetHung = "target-hung", Error;
    /// The program computes endlessly and accepts nothing.
    TargetBusyLoop = "target-busy-loop", Error;
    /// The program is stuck in the kernel, for example on a dead disk or mount.
    TargetUninterruptible = "target-uninterruptible", Error;
    /// The program has used up its descriptors and cannot accept.
    TargetOutOfFds = "target-out-of-fds", Error;
    /// The program cannot start more processes, and closes what it accepts.
    TargetCannotFork = "target-cannot-fork", Error;
    /// The program works, but takes longer than the time limit.
    TargetSlow = "target-slow", Error;
    /// The program accepts the connection and resets it.
    TargetResets = "target-resets", Error;
    /// The program accepts the connection and closes it without a byte.
    TargetClosesEmpty = "target-closes-empty", Error;
    /// The kernel holds the connection back until the client sends data (TCP_DEFER_ACCEPT).
    TargetWaitsForClient = "target-waits-for-client", Error;
    /// The service speaks TLS, but plain text was expected.
    TlsExpected = "protocol-mismatch-tls-expected", Error;
    /// The service speaks plain text, but TLS was expected.
    PlainExpected = "protocol-mismatch-plain-expected", Error;
    /// The service answers only for other host names.
    HttpHostRejected = "http-host-rejected", Error;
    /// The service does not speak the expected protocol.
    UnexpectedProtocol = "unexpected-protocol", Error;
    /// No source port is left.
    EphemeralPortsExhausted = "ephemeral-ports-exhausted", Error;
    /// `localhost` is mapped to another address.
    LocalhostRemapped = "localhost-remapped", Error;
    /// `localhost` cannot be resolved.
    LocalhostUnresolvable = "localhost-unresolvable", Error;
    /// Forwards lead back to themselves.
    ForwardLoop = "forward-loop", Error;
    /// No socket receives UDP there.
    UdpTargetNotRunning = "udp-target-not-running", Error;
    /// The permissions of the socket file or its folders forbid it.
    UnixSocketDenied = "unix-socket-denied", Error;
    /// A proxy variable of the environment diverts clients of loopback addresses.
    ProxyEnvCapturesLoopback = "proxy-env-captures-loopback", Warning;
    /// The program file was replaced since the service started.
    TargetRunsOldBinary = "target-runs-old-binary", Warning;
    // A session.
    /// The target stopped reading in the middle of a session.
    TargetStalledWindow = "target-stalled-window", Error;
    /// The target does not close its finished connections.
    TargetLeaksCloseWait = "target-leaks-close-wait", Warning;
    /// The other end disappeared without closing the connection.
    PeerVanished = "peer-vanished", Error;
    /// A firewall forgot the connection while it was idle.
    IdleStateExpired = "idle-state-expired", Error;
    /// The target ended while the connection was in use.
    TargetDiedMidstream = "target-died-midstream", Error;
    /// The receiver is too slow, and the kernel drops datagrams.
    UdpReceiverDrops = "udp-receiver-drops", Error;
    /// Small packets pass, large ones are lost.
    LargePacketsLost = "large-packets-lost", Error;
    /// A queueing discipline slows the link.
    LinkShaped = "link-shaped", Error;
    // A tunnel.
    /// Something else than a Loopgate answers where the other end should be.
    TunnelNotLoopgate = "tunnel-not-loopgate", Error;
    /// Something on the way reads TLS and shows a certificate of its own.
    TunnelIntercepted = "tunnel-intercepted", Error;
    /// The other end has proven another key than the one that is written here.
    TunnelWrongKey = "tunnel-wrong-key", Error;
    /// The other end does not know this machine's key.
    TunnelKeyUnknownThere = "tunnel-key-unknown-there", Error;
    /// The other end speaks no version of the tunnel protocol that is spoken here.
    TunnelVersion = "tunnel-version", Error;
    /// Another machine is connected with this machine's key.
    TunnelInUse = "tunnel-in-use", Error;
    /// The other end does not permit what a route asks for there.
    TunnelNotPermitted = "tunnel-not-permitted", Error;
    /// Something at the other end has the address that a route asks for there.
    TunnelPortHeld = "tunnel-port-held", Error;
    /// The proxy on the way does not connect to the other end.
    TunnelProxyRefused = "tunnel-proxy-refused", Error;
    /// The tunnel is up, but further connections to its other end fail.
    TunnelFewCarriers = "tunnel-few-carriers", Warning;
    /// The tunnel comes and goes.
    TunnelFlapping = "tunnel-flapping", Warning;
    /// Much of what the tunnel sends is lost, or takes long.
    TunnelSlow = "tunnel-slow", Warning;
    /// The other end may open an address here to everybody.
    TunnelExposed = "tunnel-exposed", Warning;
    // Lasting conditions, reported only if nothing fails.
    /// The kernel may give this port to an outgoing connection.
    PortInEphemeralRange = "warn-port-in-ephemeral-range", Warning;
    /// Other machines can reach the listener.
    Exposed = "warn-exposed", Warning;
    // Answers.
    /// Nothing is wrong.
    Healthy = "healthy", Fine;
    /// No other verdict could be established.
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
    /// Concluded by elimination.
    Likely,
    /// Not established: the diagnosis lists the evidence and what could not be read.
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
