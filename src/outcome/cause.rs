//! Why the system refused a dial, in Loopgate's words, each with its remedy.

use std::fmt;
use std::io;

/// Why a target could not be reached. One bare word in records (`cause=refused`) and in state lines.
///
/// The errno values are those of connect(2) and tcp(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// ECONNREFUSED: nothing listens there, or a firewall answers with a reset.
    Refused,
    /// No answer within `connect_timeout`, or ETIMEDOUT from the kernel.
    TimedOut,
    /// EHOSTUNREACH, ENETUNREACH: no route there, or a firewall answers so.
    Unreachable,
    /// ECONNRESET while connecting.
    Reset,
    /// EAGAIN of a Unix socket: its accept queue is full, and its owner does not accept.
    QueueFull,
    /// ENOENT, ENOTDIR: there is no such Unix socket.
    NoSocket,
    /// EPROTOTYPE: the Unix socket is not a stream socket.
    WrongSocket,
    /// EACCES of a Unix socket: its file, or a directory on its path, is closed to this user. A local problem.
    NoPermission,
    /// ENODEV: the interface to dial from, or that of the address, does not exist. A local problem.
    NoInterface,
    /// It accepted the health check's connection and did not answer as `expect` requires.
    BadAnswer,
    /// The target's name has no address, or the lookup failed.
    NoAddress,
    /// EADDRNOTAVAIL of connect(2): every source port towards this target is in use. A local problem.
    NoSourcePort,
    /// EADDRNOTAVAIL otherwise: no address of this machine can be dialled from. A local problem.
    NoSourceAddress,
    /// EMFILE, ENFILE: no descriptor left. A local problem.
    NoDescriptor,
    /// ENOBUFS, ENOMEM: no memory left in the kernel. A local problem.
    NoMemory,
    /// No thread could be started to look the target's name up. A local problem.
    NoThread,
    /// EACCES, EPERM: a local policy forbids it. A local problem.
    Denied,
    /// The target answered, but not in TLS.
    NoTls,
    /// The target's certificate does not prove the expected identity.
    TlsUntrusted,
    /// The TLS handshake with the target failed otherwise, or took too long.
    TlsRefused,
    /// The tunnel to the target is down.
    TunnelDown,
    /// No connection of the tunnel was free in time.
    TunnelBusy,
    /// The other end of the tunnel does not offer the target to us.
    TunnelRefused,
    /// Any other errno.
    Other(i32),
}

impl Cause {
    /// One of each code, in the order of the reference. (The errno of the last stands for any.)
    pub const ALL: [Cause; 24] = [
        Cause::Refused,
        Cause::TimedOut,
        Cause::Unreachable,
        Cause::Reset,
        Cause::QueueFull,
        Cause::NoSocket,
        Cause::WrongSocket,
        Cause::BadAnswer,
        Cause::NoPermission,
        Cause::NoInterface,
        Cause::NoAddress,
        Cause::NoSourcePort,
        Cause::NoSourceAddress,
        Cause::NoDescriptor,
        Cause::NoMemory,
        Cause::NoThread,
        Cause::Denied,
        Cause::NoTls,
        Cause::TlsUntrusted,
        Cause::TlsRefused,
        Cause::TunnelDown,
        Cause::TunnelBusy,
        Cause::TunnelRefused,
        Cause::Other(0),
    ];

    /// The cause of a failed dial.
    pub fn of_dial(error: &io::Error) -> Cause {
        let Some(code) = error.raw_os_error() else {
            return match error.kind() {
                io::ErrorKind::TimedOut => Cause::TimedOut,
                io::ErrorKind::NotFound => Cause::NoAddress,
                io::ErrorKind::QuotaExceeded => Cause::NoThread,
                io::ErrorKind::AddrNotAvailable => Cause::NoSourceAddress,
                _ => Cause::Other(0),
            };
        };
        match code {
            libc::ECONNREFUSED => Cause::Refused,
            libc::ETIMEDOUT => Cause::TimedOut,
            libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN => Cause::Unreachable,
            libc::ECONNRESET | libc::ECONNABORTED => Cause::Reset,
            libc::EADDRNOTAVAIL => Cause::NoSourcePort,
            libc::EMFILE | libc::ENFILE => Cause::NoDescriptor,
            libc::ENOBUFS | libc::ENOMEM => Cause::NoMemory,
            libc::EACCES | libc::EPERM => Cause::Denied,
            libc::ENODEV => Cause::NoInterface,
            other => Cause::Other(other),
        }
    }

    /// The cause of a failed dial to a Unix socket, for which some errnos have another meaning (unix(7), connect(2)).
    pub fn of_unix_dial(error: &io::Error) -> Cause {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Cause::QueueFull,
            Some(libc::ENOENT | libc::ENOTDIR) => Cause::NoSocket,
            Some(libc::EPROTOTYPE) => Cause::WrongSocket,
            Some(libc::EACCES) => Cause::NoPermission,
            _ => Cause::of_dial(error),
        }
    }

    /// The cause of an error of a way of reaching a target other than a socket: by its errno if it has one, else by its kind. Any other
    /// error counts as unreachable.
    pub fn of_reach(error: &io::Error) -> Cause {
        match error.kind() {
            _ if error.raw_os_error().is_some() => Cause::of_dial(error),
            io::ErrorKind::ConnectionRefused => Cause::Refused,
            io::ErrorKind::TimedOut => Cause::TimedOut,
            io::ErrorKind::NotFound => Cause::NoAddress,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Cause::Reset,
            _ => Cause::Unreachable,
        }
    }

    /// Whether this is evidence about the target. Local problems are never counted against the target.
    pub fn blames_target(self) -> bool {
        matches!(
            self,
            Cause::Refused
                | Cause::TimedOut
                | Cause::Unreachable
                | Cause::Reset
                | Cause::QueueFull
                | Cause::NoSocket
                | Cause::WrongSocket
                | Cause::BadAnswer
                | Cause::NoAddress
                | Cause::NoTls
                | Cause::TlsUntrusted
                | Cause::TlsRefused
                | Cause::TunnelDown
                | Cause::TunnelRefused
        )
    }

    /// The bare word of records and state lines. It never changes meaning.
    pub fn code(self) -> &'static str {
        match self {
            Cause::Refused => "refused",
            Cause::TimedOut => "timed_out",
            Cause::Unreachable => "unreachable",
            Cause::Reset => "reset",
            Cause::QueueFull => "queue_full",
            Cause::NoSocket => "no_socket",
            Cause::WrongSocket => "wrong_socket",
            Cause::BadAnswer => "bad_answer",
            Cause::NoPermission => "no_permission",
            Cause::NoInterface => "no_interface",
            Cause::NoAddress => "no_address",
            Cause::NoSourcePort => "no_source_port",
            Cause::NoSourceAddress => "no_source_address",
            Cause::NoDescriptor => "no_descriptor",
            Cause::NoMemory => "no_memory",
            Cause::NoThread => "no_thread",
            Cause::Denied => "denied",
            Cause::NoTls => "no_tls",
            Cause::TlsUntrusted => "tls_untrusted",
            Cause::TlsRefused => "tls_refused",
            Cause::TunnelDown => "tunnel_down",
            Cause::TunnelBusy => "tunnel_busy",
            Cause::TunnelRefused => "tunnel_refused",
            Cause::Other(_) => "other",
        }
    }

    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Cause::Refused => "The target's machine answered the connection with a refusal (ECONNREFUSED).",
            Cause::TimedOut => "The target, or a name server, did not answer within `connect_timeout`.",
            Cause::Unreachable => "There is no way to the target (EHOSTUNREACH, ENETUNREACH).",
            Cause::Reset => "The connection was reset before it was made (ECONNRESET).",
            Cause::QueueFull => "The Unix socket's queue of connections is full (EAGAIN).",
            Cause::NoSocket => "There is no such Unix socket (ENOENT, ENOTDIR).",
            Cause::WrongSocket => "The Unix socket is not a stream socket (EPROTOTYPE).",
            Cause::BadAnswer => {
                "The service accepted the health check's connection and did not answer as expected."
            }
            Cause::NoPermission => {
                "The Unix socket's file, or a directory before it, is closed to us (EACCES)."
            }
            Cause::NoInterface => {
                "The interface to dial through, or that of the address, does not exist (ENODEV)."
            }
            Cause::NoAddress => "The target's name has no address, or the look-up failed.",
            Cause::NoSourcePort => "Every source port towards the target is taken (EADDRNOTAVAIL).",
            Cause::NoSourceAddress => {
                "No address of this machine can be dialled from (EADDRNOTAVAIL, EINVAL)."
            }
            Cause::NoDescriptor => "This process, or the machine, has no descriptor left (EMFILE, ENFILE).",
            Cause::NoMemory => "The kernel has no memory left for a socket (ENOBUFS, ENOMEM).",
            Cause::NoThread => "No thread could be started to look the target's name up (EAGAIN).",
            Cause::Denied => "The connection is forbidden on this machine (EACCES, EPERM).",
            Cause::NoTls => "The target was reached and answered in something other than TLS.",
            Cause::TlsUntrusted => {
                "The target was reached, but its certificate does not prove that it is the intended service."
            }
            Cause::TlsRefused => {
                "The target was reached, and the TLS handshake with it failed or took too long."
            }
            Cause::TunnelDown => "The tunnel to the target is down.",
            Cause::TunnelBusy => "No connection of the tunnel was free within `connect_timeout`.",
            Cause::TunnelRefused => "The other end of the tunnel does not offer this target to us.",
            Cause::Other(_) => "connect(2) failed with an errno that has no code here.",
        }
    }

    /// How it happens.
    pub fn why(self) -> &'static str {
        match self {
            Cause::Refused => {
                "Nothing listens on that address and port, or a firewall answers in the service's place."
            }
            Cause::TimedOut => {
                "A firewall drops the packets, the service's queue is full, or the machine is off. On loopback it \
                 is never the network."
            }
            Cause::Unreachable => "A route or an interface is missing, or a firewall answers for them.",
            Cause::Reset => "The service's queue of connections ran over, or a firewall resets.",
            Cause::QueueFull => {
                "The service accepts more slowly than clients connect, or not at all. The kernel then refuses at once."
            }
            Cause::NoSocket => {
                "The service was not started or has ended, or it puts its socket somewhere else."
            }
            Cause::WrongSocket => {
                "A service may have several sockets, as one for its log beside the one for clients."
            }
            Cause::BadAnswer => {
                "It is starting up, overloaded or broken; or `expect` is a text that it never sends. Only a health check \
                finds this, so it is in lines about a target and not in records."
            }
            Cause::NoPermission => {
                "Connecting needs the right to write to the file and to pass each directory."
            }
            Cause::NoInterface => "It has another name here, or comes up later, as a tunnel's does.",
            Cause::NoAddress => {
                "The name is misspelt, /etc/hosts has no line for it, or its name server fails."
            }
            Cause::NoSourcePort => {
                "Each connection to one address and port needs a source port of its own; ended ones keep theirs \
                 for a minute."
            }
            Cause::NoSourceAddress => {
                "`source` names an address that no interface has, or of loopback for a target beyond it; or IPv6 is off."
            }
            Cause::NoDescriptor => "Each session takes two descriptors, and the limit is used up.",
            Cause::NoMemory => "Sockets have used up what net.ipv4.tcp_mem allows.",
            Cause::NoThread => "This user, the systemd unit or the container may have no more threads.",
            Cause::Denied => {
                "A firewall rule, a route of the kind `prohibit`, a sandbox or a security policy forbids it."
            }
            Cause::NoTls => {
                "The route has `target_tls`, and the port speaks plain text; the service's TLS port is often another."
            }
            Cause::TlsUntrusted => {
                "It has expired, is for another name than `target_tls.name`, or is not signed by any authority in `target_tls.ca`."
            }
            Cause::TlsRefused => {
                "The target asks for a client certificate, shares no version, cipher or protocol with us, or closed during \
                the handshake. `hint` in the record says which."
            }
            Cause::TunnelDown => "Its machine, Loopgate or link is down; lines with `tunnel=` say which.",
            Cause::TunnelBusy => "More clients come than connections open, or something caps them.",
            Cause::TunnelRefused => "No route there is offered by that name, or `may_dial` lacks it.",
            Cause::Other(_) => "The errno is in the JSON record.",
        }
    }

    /// What to do about it, in one sentence that follows the target's name.
    pub fn remedy(self) -> &'static str {
        match self {
            Cause::Refused => "nothing accepts there: start the service, or correct `target`",
            Cause::TimedOut => "no answer: the service hangs or a firewall drops; see `connect_timeout`",
            Cause::Unreachable => "no route there: check the interface, the route and the firewall",
            Cause::Reset => {
                "reset while connecting: the service's accept queue overflows, or a firewall resets"
            }
            Cause::QueueFull => "its accept queue is full: see whether the service hangs",
            Cause::NoSocket => "no such socket: start the service, or correct the path in `target`",
            Cause::WrongSocket => "the socket there is not a stream socket: correct the path in `target`",
            Cause::BadAnswer => {
                "it does not answer as it should: see the service's own log, or correct `expect`"
            }
            Cause::NoPermission => {
                "its file or a directory before it is closed to this user: see `namei -l` and the socket's mode"
            }
            Cause::NoInterface => "no such interface here: correct `interface` or the part after %",
            Cause::NoAddress => "the name has no address: check /etc/hosts and DNS, or write an address",
            Cause::NoSourcePort => {
                "all source ports towards it are in use: add addresses to `source`, or widen ip_local_port_range"
            }
            Cause::NoSourceAddress => {
                "no address here to dial it from: correct `source`, or bring the interface or IPv6 up"
            }
            Cause::NoDescriptor => "no descriptor left: raise `ulimit -n`, or lower `limits.connections`",
            Cause::NoMemory => "the kernel has no socket memory left: see net.ipv4.tcp_mem",
            Cause::NoThread => {
                "no thread left to look its name up: raise `ulimit -u`, TasksMax= or --pids-limit, or write an address"
            }
            Cause::Denied => {
                "a local policy forbids the connection: check firewall rules, `ip route get` and sandboxing"
            }
            Cause::NoTls => "it does not speak TLS: leave `target_tls` out, or name its TLS port",
            Cause::TlsUntrusted => {
                "its certificate does not prove who it is: see `target_tls.name`, `target_tls.ca` and its dates"
            }
            Cause::TlsRefused => {
                "the TLS handshake with it failed: see its log, `certificate` and `min_version`"
            }
            Cause::TunnelDown => "its tunnel is down: see the lines with `tunnel=` in the log",
            Cause::TunnelBusy => "no connection of its tunnel is free: raise the tunnel's `pool`",
            Cause::TunnelRefused => "the other end does not offer it: see its routes and its `may_dial`",
            Cause::Other(_) => "an unexpected error of connect(2)",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_troubles_are_never_booked_as_the_targets() {
        for errno in
            [libc::EADDRNOTAVAIL, libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EPERM]
        {
            assert!(!Cause::of_dial(&io::Error::from_raw_os_error(errno)).blames_target(), "errno {errno}");
        }
    }

    #[test]
    fn a_refusal_a_timeout_and_a_missing_way_are_distinguished() {
        let cause = |errno| Cause::of_dial(&io::Error::from_raw_os_error(errno)).code();
        assert_eq!(
            [cause(libc::ECONNREFUSED), cause(libc::ETIMEDOUT), cause(libc::ENETUNREACH)],
            ["refused", "timed_out", "unreachable"]
        );
    }
}
