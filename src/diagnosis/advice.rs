//! The general explanation of each verdict and its remedy: the long text of `loopgate explain CODE`.
//!
//! A diagnosis describes one case; this text describes the verdict in general.

use super::tunnel::advice as tunnel;
use super::verdict::Verdict;

/// The general explanation of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// How the fault arises.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// One entry per verdict: why, then what to do; or, in brackets, what stands elsewhere. A verdict without an entry does not
/// compile.
macro_rules! advice {
    ($($name:ident: $why:literal, $remedy:literal;)* $([$elsewhere:ident: $advice:expr])*) => {
        impl Verdict {
            /// How the fault arises, and what to do.
            pub fn advice(self) -> Advice {
                match self {
                    $(Verdict::$name => Advice { why: $why, remedy: $remedy },)*
                    $(Verdict::$elsewhere => Advice { why: $advice.0, remedy: $advice.1 },)*
                }
            }
        }
    };
}

advice! {
    PortHeld:
        "Two sockets cannot listen on one address and port. Often it is an earlier run of the same service, \
         or another one with the same default port.",
        "Stop the process that is named (its service or container, if one is named), or choose another port.";
    PortHeldByWildcard:
        "A listener on 0.0.0.0 (or [::]) takes the port on every address of its family, so no single address \
         is left.",
        "Stop it, let it listen on one address, or choose another port. Another address of the same family \
         does not help.";
    WildcardBlockedBySpecific:
        "0.0.0.0 (or [::]) needs the port on every address, and a listener has it on one.",
        "Listen on the addresses you need, one by one, or stop the holder.";
    PortHeldByDualStack:
        "An IPv6 socket on [::] without IPV6_V6ONLY takes IPv4 connections too. IPv4 tables do not show it.",
        "Stop it, or make it IPv6 only (IPV6_V6ONLY, `ipv6only=on` in nginx), or choose another port.";
    PortHeldByOutgoing:
        "The kernel gives outgoing connections a source port out of net.ipv4.ip_local_port_range, and one of \
         them got yours before you did.",
        "Wait until that connection ends, or end it. To prevent it, choose a port outside that range or reserve \
        yours with net.ipv4.ip_local_reserved_ports.";
    PortInTimeWait:
        "The side that closes a connection first keeps its address for a minute (TIME_WAIT). A bind without \
        SO_REUSEADDR fails until then.",
        "Set SO_REUSEADDR, as loopgate and nearly every server do, or wait for the time that is named.";
    PortHeldByOldConnections:
        "A server ended, but one of its workers still serves a connection that it accepted, and the old socket \
        had no SO_REUSEADDR.",
        "End the worker that is named, or wait until it has finished.";
    PortHeldByGroup:
        "A master and its workers share one listening socket; ending one of them leaves it with the others.",
        "Stop the master or the whole service, not one of its processes.";
    PortHeldByLeftoverChild:
        "A server opened its socket without close-on-exec, started a program, and ended. The program still has \
        the socket without knowing it, and never accepts.",
        "End that program. In the server, open sockets close-on-exec (SOCK_CLOEXEC, close_fds).";
    PortHeldHidden:
        "The kernel shows every user that a socket exists and who created it, but only that user and \
        root can see which process has it.",
        "Run the same command as root or as that user.";
    PortHeldBySuspended:
        "The process was stopped by Ctrl-Z, SIGSTOP or a debugger. It keeps its sockets and answers nothing.",
        "Resume it (`fg` in its terminal, kill -CONT), or end it with kill and kill -CONT.";
    AlreadyRunning:
        "A process of the same program file listens there: loopgate was started twice.",
        "Nothing, if it does what you want. Edit its file to change it; stop it with the command that is named.";
    ReuseportOtherUser:
        "SO_REUSEPORT lets several sockets share a port only if they belong to one user, so that no other \
        user can steal connections.",
        "Run both as one user, or stop the other.";
    PortSharedByReuseport:
        "Both programs set SO_REUSEPORT, and the kernel spreads connections over them. With an old and a new \
         copy, every second request meets the old one.",
        "End one of them. A service that has one process should not set SO_REUSEPORT.";
    PortPrivileged:
        "Ports below net.ipv4.ip_unprivileged_port_start (1024) are for root and for programs with \
         CAP_NET_BIND_SERVICE.",
        "Choose a port from 1024, or grant the capability to the file (setcap) or the unit \
         (AmbientCapabilities=).";
    AddressNotLocal:
        "A listener needs an address that an interface of this machine has, in this network namespace. A VPN may \
        be down, an address may have changed, or a container may have addresses of its own.",
        "Choose one of the addresses that are listed, 0.0.0.0 for all of them, or bring the interface up.";
    AddressTentative:
        "The kernel checks for a second or two that no other machine uses a new IPv6 address (duplicate address \
        detection); until then it cannot be used.",
        "Wait and try again (`bind = \"retry\"` does). If another machine has the address, change one of the two.";
    Ipv6Disabled:
        "IPv6 is switched off by net.ipv6.conf.*.disable_ipv6 or a kernel parameter, so no IPv6 address exists.",
        "Use 127.0.0.1, or switch IPv6 on.";
    MissingScope:
        "Every link has the network fe80::/10, so an address in it says nothing without its link.",
        "Append the interface, as in [fe80::1%eth0]:8080.";
    OwnFdLimit:
        "Each session takes two descriptors, and the limit of this process (RLIMIT_NOFILE) leaves room for \
         few or none.",
        "Raise the hard limit: `ulimit -n`, LimitNOFILE= in a systemd unit, --ulimit nofile= for a container.";
    SystemFileLimit:
        "The machine's table of open files (fs.file-max) is full. Some program has opened very many.",
        "Find it with `lsof | awk '{print $1}' | sort | uniq -c | sort -n`, or raise fs.file-max.";
    BindDeniedBySandbox:
        "The port needs no privilege, yet bind(2) is denied by Landlock, SELinux, AppArmor, a seccomp filter or a \
        BPF program of the control group.",
        "Allow the port in that policy: `semanage port -a`, the unit's SocketBindAllow= or \
         RestrictAddressFamilies=, the sandbox's own options.";
    UnixSocketStale:
        "A socket file remains when its program ends without removing it, and a bind to its path fails although \
        nothing listens.",
        "Remove the file.";
    TargetNotRunning:
        "The service was not started, has ended, or listens where loopgate cannot see it.",
        "Start it, and look at its log for why it ended. Compare its port with `target`.";
    TargetOnOtherPort:
        "Development servers take the next port when theirs is taken, and digits are easily swapped.",
        "Change `target` to the port that is named, or let the service listen on the intended one.";
    TargetOnOtherAddress:
        "The service listens on one address of this machine, and another one was dialled.",
        "Dial the address that is named, or let the service listen on 127.0.0.1 or 0.0.0.0.";
    TargetOnOtherFamily:
        "`localhost` may mean ::1 or 127.0.0.1, and the service took the one that was not dialled.",
        "Write `target = \"localhost:PORT\"`, which tries both, or the address that is named.";
    TargetIsUdp:
        "The service uses UDP on that port, as DNS, QUIC and WireGuard do; TCP and UDP ports are separate.",
        "Reach it over UDP.";
    TargetIsUnixSocket:
        "The service is configured for a Unix socket only, like PostgreSQL with an empty listen_addresses.",
        "Dial the socket, as in `unix:/run/…`, or switch on its TCP listener.";
    TargetInOtherNetns:
        "A container or a sandboxed service has a loopback interface of its own: its 127.0.0.1 is not yours.",
        "Publish the port (`docker run -p 127.0.0.1:PORT:PORT`, `kubectl port-forward`), or dial the \
         container's address.";
    TargetFlapping:
        "A supervisor restarts the service each time it ends, and it ends again at once.",
        "Look at its log: `journalctl -u UNIT`, `docker logs NAME`.";
    TargetKilledOom:
        "The machine ran out of memory, or the service reached the limit of its control group, and the kernel \
        killed it.",
        "Raise the limit (MemoryMax=, --memory) or find what needs the memory.";
    FirewallReject:
        "A rule answers in place of the service, with a reset or an ICMP message. Either looks as if no service \
        were there.",
        "Change the rule that is named; as root, loopgate names it.";
    FirewallDrop:
        "A rule throws the packets away, so the client waits for an answer that never comes.",
        "Change the rule that is named; as root, loopgate names it.";
    FirewallConnlimit:
        "A rule counts open connections and rejects those beyond its number.",
        "Raise the number in the rule, or close connections that are not used.";
    FirewallRedirect:
        "A rule changes where the packets go (dnat, redirect), so another program answers, or none.",
        "Change the rule that is named; as root, loopgate names it.";
    NoRoute:
        "No entry of the routing table covers the address: a VPN is down, or there is no default route.",
        "Bring up the interface that leads there, or add the route.";
    RouteForbids:
        "A route or a routing rule of type unreachable, prohibit or blackhole covers the address.",
        "Remove it: `ip route show type prohibit` and `ip rule show` list them.";
    LinkDown:
        "The route uses an interface that is not up, or whose cable or other end is gone.",
        "ip link set INTERFACE up, or repair its other end.";
    NeighbourSilent:
        "The address is on the same network, and no machine there answers the ARP or NDP request for it.",
        "Check that the machine is on and has this address.";
    TcpMemoryFull:
        "Many connections with full buffers have used up what net.ipv4.tcp_mem allows, and the kernel drops data.",
        "Find the processes that have them (`ss -tm`), or raise net.ipv4.tcp_mem.";
    ConntrackFull:
        "The firewall remembers each connection, and its table (nf_conntrack_max) is full.",
        "Raise net.netfilter.nf_conntrack_max, or shorten its timeouts.";
    LoopbackDown:
        "Connections within the machine go through the interface lo, which is not up. A fresh network namespace \
        starts this way.",
        "ip link set lo up";
    LoopbackRouteLost:
        "lo is up, but the address or its route in the local table was removed.",
        "ip address add 127.0.0.1/8 dev lo (or ::1/128), or restart the network.";
    MartianLoopbackDnat:
        "A rule sends packets from outside to 127.0.0.1, and the kernel drops such packets unless \
        route_localnet is on.",
        "sysctl -w net.ipv4.conf.INTERFACE.route_localnet=1, or redirect to an address of the machine instead.";
    AcceptQueueFull:
        "The kernel puts connections into a queue, and the program takes them out. The program is too slow or \
        hangs, so the queue is full.",
        "Find out why the program does not accept. A longer queue (its backlog, net.core.somaxconn) helps only \
        against bursts.";
    ListenerIgnoresSyn:
        "Routers sign their segments (TCP-MD5, TCP-AO), and a listener that demands signatures ignores every other \
        client.",
        "Dial with the signature it expects, or remove the option from the listener.";
    TargetNotAccepting:
        "connect(2) succeeds as soon as the kernel has queued the connection; the program has not called \
         accept(2).",
        "Find out what it waits for; restart it.";
        TargetSuspended:
        "Ctrl-Z or SIGSTOP stopped the process, or its control group is frozen. The kernel still accepts \
        connections for it.",
        "`fg` in its terminal, or kill -CONT PID.";
    TargetInDebugger:
        "A debugger or tracer holds the process.",
        "Continue it in the debugger, or end the debugger.";
    TargetHung:
        "The program accepted the connection, but its threads wait: for a lock, a full pool, another service.",
        "Take its stacks (gdb -p, py-spy dump, jstack), then restart it.";
    TargetBusyLoop:
        "A thread that should accept computes instead, in an endless loop or over a huge request.",
        "Find out where (perf top -p PID, py-spy dump), then restart it.";
    TargetUninterruptible:
        "The process waits in the kernel for a disk, a network mount or a device, and no signal reaches it.",
        "Repair what it waits for; kill does not help.";
    TargetOutOfFds:
        "Each connection takes a descriptor, and the service has used up its limit.",
        "Raise its limit (LimitNOFILE=), and check whether it leaks.";
    TargetCannotFork:
        "The service starts a process for each connection, and its user or control group has reached its limit.",
        "Raise RLIMIT_NPROC or TasksMax=, or end processes that are left over.";
    TargetSlow:
        "The service works, but takes longer than the time limit.",
        "Raise the limit (--timeout, its clients' limits), or find out what the service waits for.";
    TargetResets:
        "The service itself resets the connection: a list of allowed clients, a worker that crashes, a limit.",
        "Look at its log.";
    TargetClosesEmpty:
        "The service accepts and closes: it expects another protocol or an allowed client, or it fails at once.",
        "Look at its log, and check what it expects first.";
    TargetWaitsForClient:
        "With TCP_DEFER_ACCEPT the service sees a connection only once the client has sent its first byte. A \
        client that waits for a greeting waits for ever.",
        "Remove the option from a service whose clients wait for a greeting.";
    TlsExpected:
        "The service expects TLS, and plain text was sent.",
        "Use https, or a client that speaks TLS.";
    PlainExpected:
        "The service speaks plain text, and a TLS handshake was sent.",
        "Use http, or switch TLS on in the service.";
    HttpHostRejected:
        "The service answers only for host names that it knows, and through a forward the name differs.",
        "Add the name to its list (allowedHosts, ALLOWED_HOSTS, server_name), or send the name it knows.";
    UnexpectedProtocol:
        "The service on this port is not the expected one.",
        "Compare the port with the configuration of the service.";
    EphemeralPortsExhausted:
        "Each connection to one address and port needs a source port of its own, and all of \
         net.ipv4.ip_local_port_range are in use or in TIME_WAIT.",
        "Keep connections open and use them again, add addresses to `source`, or widen the range.";
    LocalhostRemapped:
        "The hosts file gives `localhost` another address than 127.0.0.1 and ::1.",
        "Correct the line in /etc/hosts, or write the address.";
    LocalhostUnresolvable:
        "The hosts file has no line for `localhost`, and no name server answers for it.",
        "Add `127.0.0.1 localhost` to /etc/hosts, or write the address.";
    ForwardLoop:
        "A forward dials its own listener, or two forwards dial each other: one connection causes endless others.",
        "Change the target of one of them.";
    UdpTargetNotRunning:
        "No socket receives on that UDP port, and the kernel answers with ICMP port unreachable.",
        "Start the service, or correct the port.";
    UnixSocketDenied:
        "A client needs write permission on the socket file and search permission on every folder above it.",
        "Join the group that owns it, or change the mode of the part that is named.";
    ProxyEnvCapturesLoopback:
        "http_proxy is set and no_proxy does not name loopback, so clients send requests for local addresses to the \
        proxy.",
        "export no_proxy=localhost,127.0.0.1,::1";
    TargetRunsOldBinary:
        "The program file was replaced by a new build, and the process runs the old one until it is restarted.",
        "Restart the service.";
    TargetStalledWindow:
        "The service no longer reads: its buffer is full, its window is closed, and our buffer fills.",
        "Find out what it waits for; restart it.";
    TargetLeaksCloseWait:
        "Clients have closed, and the service never closes its side. Each such connection keeps a descriptor.",
        "Fix the service: it must close ended connections. A restart frees them.";
    PeerVanished:
        "The other machine or its link disappeared without FIN or RST, so packets are retransmitted in vain.",
        "Check that the link and the machine are up; a new connection shows it.";
    IdleStateExpired:
        "A firewall forgets connections that are silent for too long, and then drops their packets.",
        "Send keepalives more often than the firewall's timeout, or raise that timeout.";
    TargetDiedMidstream:
        "The process that served the connection ended: killed, crashed or restarted.",
        "Look at its log and at the kernel's (dmesg).";
    UdpReceiverDrops:
        "Datagrams arrive faster than the service reads, and the kernel drops what its buffer cannot hold.",
        "Make it read faster, or enlarge its buffer (SO_RCVBUF, net.core.rmem_max).";
    LargePacketsLost:
        "A link on the path has a smaller MTU than the sender assumes, and the ICMP message that reports it is \
        lost (a VPN, a firewall that drops ICMP).",
        "Lower the MTU of the interface, or let ICMP pass.";
    LinkShaped:
        "A queueing discipline (tc) limits the rate or adds delay, often left over from a test.",
        "Look at it with `tc qdisc show`, and remove it with `tc qdisc del dev DEV root`.";
    PortInEphemeralRange:
        "The kernel gives outgoing connections source ports from net.ipv4.ip_local_port_range, so one of them may \
        have yours when you start.",
        "Choose a port outside the range, reserve it (net.ipv4.ip_local_reserved_ports), or start before the other \
        programs.";
    Exposed:
        "Other machines can reach a listener on 0.0.0.0, [::] or an address of the network.",
        "Listen on 127.0.0.1, or restrict the clients of the route with `allow`.";
    Healthy:
        "Every check passed; no fault was found.",
        "Nothing.";
    Unknown:
        "The evidence fits no other verdict, or the deciding facts could not be read. The report names them.",
        "Run it again as root, and look at the evidence (--json).";
    [TunnelNotLoopgate: tunnel::NOT_LOOPGATE]
    [TunnelIntercepted: tunnel::INTERCEPTED]
    [TunnelWrongKey: tunnel::WRONG_KEY]
    [TunnelKeyUnknownThere: tunnel::KEY_UNKNOWN_THERE]
    [TunnelVersion: tunnel::VERSION]
    [TunnelInUse: tunnel::IN_USE]
    [TunnelNotPermitted: tunnel::NOT_PERMITTED]
    [TunnelPortHeld: tunnel::PORT_HELD]
    [TunnelProxyRefused: tunnel::PROXY_REFUSED]
    [TunnelFewCarriers: tunnel::FEW_CARRIERS]
    [TunnelFlapping: tunnel::FLAPPING]
    [TunnelSlow: tunnel::SLOW]
    [TunnelExposed: tunnel::EXPOSED]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_says_why_and_what_to_do() {
        for verdict in Verdict::ALL {
            let Advice { why, remedy } = verdict.advice();

            assert!(why.ends_with('.') && why.len() > 20, "{verdict}: {why}");
            assert!(!remedy.is_empty() && !remedy.contains('\n'), "{verdict}: {remedy}");
        }
    }
}
