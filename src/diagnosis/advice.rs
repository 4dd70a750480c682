//! What lies behind each verdict and what to do about it, in general: the long text of `loopgate explain CODE`.
//!
//! A diagnosis says what is the case here and now; this says what the word means at all.

use super::verdict::Verdict;

/// The long text of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// How it comes about.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// One entry per verdict, and the compiler misses none: why, then what to do.
macro_rules! advice {
    ($($name:ident: $why:literal, $remedy:literal;)*) => {
        impl Verdict {
            /// How it comes about, and what to do.
            pub fn advice(self) -> Advice {
                match self { $(Verdict::$name => Advice { why: $why, remedy: $remedy },)* }
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
         them drew yours before you came.",
        "Wait until that connection ends, or end it. For good, choose a port outside of that range or reserve \
         yours with net.ipv4.ip_local_reserved_ports.";
    PortInTimeWait:
        "The side that closes a connection first remembers it for a minute (TIME_WAIT). A socket that is \
         bound without SO_REUSEADDR must wait for that.",
        "Set SO_REUSEADDR, as loopgate does and nearly every server; or wait for the time that is named.";
    PortHeldByOldConnections:
        "A server ended, but a worker of it still serves a connection that it accepted, and the old socket \
         had no SO_REUSEADDR.",
        "End the worker that is named, or wait until it has finished.";
    PortHeldByGroup:
        "A master and its workers share one listening socket; ending one of them leaves it with the others.",
        "Stop the master or the whole service, not one of its processes.";
    PortHeldByLeftoverChild:
        "A server opened its socket without close-on-exec, started a program, and ended. The program still \
         has the socket, knows nothing of it and never accepts.",
        "End that program. In the server, open sockets close-on-exec (SOCK_CLOEXEC, close_fds).";
    PortHeldHidden:
        "The kernel tells everybody that a socket is there and which user made it, but only that user and \
         root may see which process has it.",
        "Run the same command as root, or ask that user.";
    PortHeldBySuspended:
        "The process was stopped by Ctrl-Z, SIGSTOP or a debugger. It keeps its sockets and answers nothing.",
        "Resume it (`fg` in its terminal, kill -CONT), or end it with kill and kill -CONT.";
    AlreadyRunning:
        "A process of the same program file listens there: loopgate was started twice.",
        "Nothing, if it does what you want. Edit its file to change it; stop it with the command that is named.";
    ReuseportOtherUser:
        "SO_REUSEPORT lets several sockets share a port, but only of one user, so that nobody can steal \
         connections.",
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
        "A listener can only have an address of an interface of this machine, in this network namespace. A \
         VPN may be down, an address may have changed, a container has its own.",
        "Choose one of the addresses that are listed, 0.0.0.0 for all of them, or bring the interface up.";
    AddressTentative:
        "A new IPv6 address is checked for a double for a second or two (duplicate address detection), and \
         cannot be used before.",
        "Wait and try again (`bind = \"retry\"` does). If it has a double, change one of the two.";
    Ipv6Disabled:
        "IPv6 is switched off by net.ipv6.conf.*.disable_ipv6 or a kernel parameter, so no IPv6 address exists.",
        "Use 127.0.0.1, or switch IPv6 on.";
    MissingScope:
        "Every link has the network fe80::/10, so an address in it says nothing without its link.",
        "Write the interface behind it, as [fe80::1%eth0]:8080.";
    OwnFdLimit:
        "Each session takes two descriptors, and the limit of this process (RLIMIT_NOFILE) leaves room for \
         few or none.",
        "Raise the hard limit: `ulimit -n`, LimitNOFILE= in a systemd unit, --ulimit nofile= for a container.";
    SystemFileLimit:
        "The machine's table of open files (fs.file-max) is full. Some program has very many open.",
        "Find it with `lsof | awk '{print $1}' | sort | uniq -c | sort -n`, or raise fs.file-max.";
    BindDeniedBySandbox:
        "The port needs no privilege, and still bind(2) is denied: by Landlock, SELinux, AppArmor, a seccomp \
         filter or a BPF program of the control group.",
        "Allow the port in that policy: `semanage port -a`, the unit's SocketBindAllow= or \
         RestrictAddressFamilies=, the sandbox's own options.";
    UnixSocketStale:
        "A socket file stays when its program ends without removing it, and a bind to its path fails though \
         nobody listens.",
        "Remove the file.";
    TargetNotRunning:
        "The service was not started, ended, or listens somewhere that cannot be seen from here.",
        "Start it, and look at its log for why it ended. Compare its port with `target`.";
    TargetOnOtherPort:
        "Development servers take the next port when theirs is taken, and a digit is easily swapped.",
        "Change `target` to the port that is named, or the service to the one that was meant.";
    TargetOnOtherAddress:
        "The service listens on one address of this machine, and another one was dialled.",
        "Dial the address that is named, or let the service listen on 127.0.0.1 or 0.0.0.0.";
    TargetOnOtherFamily:
        "`localhost` may mean ::1 or 127.0.0.1, and the service took the one that was not dialled.",
        "Write `target = \"localhost:PORT\"`, which tries both, or the address that is named.";
    TargetIsUdp:
        "The service uses UDP on that port, as DNS, QUIC and WireGuard do; TCP and UDP ports are apart.",
        "Reach it over UDP.";
    TargetIsUnixSocket:
        "The service is set to a Unix socket alone, as PostgreSQL with an empty listen_addresses.",
        "Dial the socket, as `unix:/run/…`, or switch on its TCP listener.";
    TargetInOtherNetns:
        "A container or a sandboxed service has a loopback interface of its own: its 127.0.0.1 is not yours.",
        "Publish the port (`docker run -p 127.0.0.1:PORT:PORT`, `kubectl port-forward`), or dial the \
         container's address.";
    TargetFlapping:
        "Something starts the service again each time it ends, and it ends at once.",
        "Look at its log: `journalctl -u UNIT`, `docker logs NAME`.";
    TargetKilledOom:
        "Memory ran out, in the machine or within the limit of its control group, and the kernel ended the \
         service.",
        "Raise the limit (MemoryMax=, --memory) or find what needs the memory.";
    FirewallReject:
        "A rule answers in place of the service, with a reset or an ICMP message. Both look like a service \
         that is not there.",
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
        "Bring the interface up that leads there, or add the route.";
    RouteForbids:
        "A route of the kind unreachable, prohibit or blackhole covers the address, or a routing rule does.",
        "Remove it: `ip route show type prohibit`, `ip rule show` list such.";
    LinkDown:
        "The route leads over an interface that is not up, or whose cable or other end is gone.",
        "ip link set INTERFACE up, or mend its other end.";
    NeighbourSilent:
        "The address is on the same network, and no machine there answers the question who has it (ARP, NDP).",
        "See whether that machine is on and has this address.";
    TcpMemoryFull:
        "Many connections with full buffers have used up what net.ipv4.tcp_mem allows, and the kernel drops data.",
        "Find who has them (`ss -tm`), or raise net.ipv4.tcp_mem.";
    ConntrackFull:
        "The firewall remembers each connection, and its table (nf_conntrack_max) is full.",
        "Raise net.netfilter.nf_conntrack_max, or shorten its timeouts.";
    LoopbackDown:
        "Connections within the machine go through the interface lo, and that is not up. A fresh network \
         namespace begins so.",
        "ip link set lo up";
    LoopbackRouteLost:
        "lo is up, but the address or its route in the local table was removed.",
        "ip address add 127.0.0.1/8 dev lo (or ::1/128), or restart the network.";
    MartianLoopbackDnat:
        "A rule sends packets from outside to 127.0.0.1, and the kernel drops such packets unless it is told \
         otherwise.",
        "sysctl -w net.ipv4.conf.INTERFACE.route_localnet=1, or redirect to an address of the machine instead.";
    AcceptQueueFull:
        "The kernel accepts connections into a queue, the program takes them out. The program is too slow or \
         hangs, and the queue is full.",
        "See why the program does not accept. A longer queue (its backlog, net.core.somaxconn) helps only \
         against bursts.";
    ListenerIgnoresSyn:
        "Routers sign their segments (TCP-MD5, TCP-AO), and a listener that demands it ignores everybody else.",
        "Dial with the signature it wants, or take the option off the listener.";
    TargetNotAccepting:
        "connect(2) succeeds as soon as the kernel has queued the connection; the program has not called \
         accept(2).",
        "See what it waits for; restart it.";
    TargetSuspended:
        "Ctrl-Z or SIGSTOP stopped the process, or its control group is frozen. The kernel still accepts for \
         it.",
        "`fg` in its terminal, or kill -CONT PID.";
    TargetInDebugger:
        "A debugger or tracer holds the process.",
        "Let it go on there, or end the debugger.";
    TargetHung:
        "The program took the connection, and its threads wait: for a lock, a full pool, another service.",
        "Take its stacks (gdb -p, py-spy dump, jstack), then restart it.";
    TargetBusyLoop:
        "A thread that should accept computes instead, in an endless loop or over a huge request.",
        "See where (perf top -p PID, py-spy dump), then restart it.";
    TargetUninterruptible:
        "The process waits in the kernel for a disk, a network mount or a device, and no signal reaches it.",
        "Mend what it waits for; kill does not help.";
    TargetOutOfFds:
        "Each connection takes a descriptor, and the service has used up its limit.",
        "Raise its limit (LimitNOFILE=), and see whether it leaks.";
    TargetCannotFork:
        "The service makes a process for each connection, and its user or control group may have no more.",
        "Raise RLIMIT_NPROC or TasksMax=, or end processes that are left over.";
    TargetSlow:
        "The service works and needs longer than it was given.",
        "Give it longer (--timeout, its clients' limits), or see what it waits for.";
    TargetResets:
        "The service itself resets: a list of allowed clients, a worker that crashes, a limit.",
        "Look at its log.";
    TargetClosesEmpty:
        "The service accepts and closes: it wants another protocol, an allowed client, or it fails at once.",
        "Look at its log, and what it expects first.";
    TargetWaitsForClient:
        "With TCP_DEFER_ACCEPT the service learns of a connection only with the first byte of the client. A \
         client that waits for a greeting waits for ever.",
        "Take the option off the service where its clients wait for a greeting.";
    TlsExpected:
        "The service wants TLS, and plain text was sent.",
        "Use https, or a client that speaks TLS.";
    PlainExpected:
        "The service speaks plain text, and TLS was begun.",
        "Use http, or switch TLS on in the service.";
    HttpHostRejected:
        "The service answers only for host names that it knows, and through a forward the name differs.",
        "Add the name to its list (allowedHosts, ALLOWED_HOSTS, server_name), or send the name it knows.";
    UnexpectedProtocol:
        "Another service has the port than was expected.",
        "Compare the port with the service's configuration.";
    EphemeralPortsExhausted:
        "Each connection to one address and port needs a source port of its own, and all of \
         net.ipv4.ip_local_port_range are in use or in TIME_WAIT.",
        "Keep connections open and use them again, add addresses to `source`, or widen the range.";
    LocalhostRemapped:
        "The hosts file gives `localhost` another address than 127.0.0.1 and ::1.",
        "Mend the line in /etc/hosts, or write the address.";
    LocalhostUnresolvable:
        "The hosts file has no line for `localhost`, and no name server answers for it.",
        "Add `127.0.0.1 localhost` to /etc/hosts, or write the address.";
    ForwardLoop:
        "A forward dials its own listener, or two dial each other: one connection makes more without end.",
        "Change the target of one of them.";
    UdpTargetNotRunning:
        "No socket receives on that UDP port, and the kernel answers with ICMP port unreachable.",
        "Start the service, or correct the port.";
    UnixSocketDenied:
        "Who connects needs to write to the socket file and to pass every folder above it.",
        "Join the group that owns it, or change the mode of the part that is named.";
    ProxyEnvCapturesLoopback:
        "http_proxy is set and no_proxy does not name loopback, so clients ask the proxy for local addresses.",
        "export no_proxy=localhost,127.0.0.1,::1";
    TargetRunsOldBinary:
        "The program file was replaced by a new build, and the process runs the old one until it is started \
         again.",
        "Restart the service.";
    TargetStalledWindow:
        "The service no longer reads: its buffer is full, its window closed, and ours fills.",
        "See what it waits for; restart it.";
    TargetLeaksCloseWait:
        "Clients have closed, and the service never closes its side. Each such connection keeps a descriptor.",
        "Mend the service: close what has ended. A restart frees them.";
    PeerVanished:
        "The other machine or its link went away without FIN or RST, so packets are sent again and again.",
        "See whether the link and the machine are up; a new connection shows it.";
    IdleStateExpired:
        "A firewall forgets connections that are silent for long, and then drops their packets.",
        "Send keepalives more often than that, or raise the firewall's timeout.";
    TargetDiedMidstream:
        "The process that served the connection ended: killed, crashed or restarted.",
        "Look at its log and at the kernel's (dmesg).";
    UdpReceiverDrops:
        "Datagrams come faster than the service reads, and the kernel drops what its buffer does not hold.",
        "Let it read faster, or raise its buffer (SO_RCVBUF, net.core.rmem_max).";
    LargePacketsLost:
        "A link on the way takes smaller packets than the path promises, and the message that says so is lost \
         (a VPN, a firewall without ICMP).",
        "Lower the MTU of the interface, or let ICMP pass.";
    LinkShaped:
        "A queueing discipline (tc) limits the rate or adds delay, often left over from a test.",
        "Look at it with `tc qdisc show`, and remove it with `tc qdisc del dev DEV root`.";
    PortInEphemeralRange:
        "Outgoing connections draw their source ports from net.ipv4.ip_local_port_range, so one of them may \
         have yours when you start.",
        "Choose a port outside of the range, reserve it (net.ipv4.ip_local_reserved_ports), or start before \
         the others.";
    Exposed:
        "A listener on 0.0.0.0, [::] or an address of the network can be reached by other machines.",
        "Listen on 127.0.0.1, or say in the route who may connect, with `allow`.";
    Healthy:
        "Everything that was looked at is as it should be.",
        "Nothing.";
    Unknown:
        "The evidence fits none of the others, or what would show it could not be read. The report names it.",
        "Run it again as root, and look at the evidence (--json).";
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
