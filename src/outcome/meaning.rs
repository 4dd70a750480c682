//! What the ends of sessions mean, how they happen and what to do: the long text behind `end=` in a record.

use super::{DropReason, End};

impl End {
    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            End::Done => {
                "Both sides closed in order (FIN), or one is gone and had everything; all that was read was delivered. Or a UDP \
                flow had all its `requests` and `answers`."
            }
            End::ClientReset => {
                "The client reset the connection (RST); the reset was passed on to the target."
            }
            End::TargetReset => {
                "The target reset the connection (RST); the reset was passed on to the client."
            }
            End::ClientLost => "The kernel gave the client's connection up.",
            End::TargetLost => "The kernel gave the target's connection up.",
            End::NoTarget(_) => "The target could not be reached; the client was reset.",
            End::Denied(_) => {
                "The client's address, or its user on a Unix socket, may not connect to the route; it was reset."
            }
            End::Limited(_) => {
                "A limit of the route or of its targets kept the client out for now; it was reset."
            }
            End::ClientGone => "The client went away before the target answered.",
            End::BadHeader => {
                "A proxy that `accept_proxy` lists did not begin with a PROXY header; it was reset."
            }
            End::TlsFailed => {
                "TLS with the client failed, in the handshake or later; it was sent an alert, then reset."
            }
            End::NoName => {
                "A TLS client asked for a name that the route has no target for; it was sent an alert, then reset."
            }
            End::Drained => {
                "The session was still open when the time for a stop was over; both sides were reset."
            }
            End::SlowClient => {
                "The client did not send what the route waits for within its `client_timeout` or `hello_timeout`, and was \
                reset; the target was not dialled."
            }
            End::Idle => {
                "Nothing had moved in either direction for the route's `idle_timeout`; both sides of a connection were reset."
            }
            End::Expired => {
                "The session or UDP flow was as old as the route's `max_session_age` allows; both sides of a connection were \
                reset."
            }
            End::Evicted => {
                "A session or a UDP flow was ended to make room for a new client's: it had been idle longest."
            }
            End::TunnelLost => {
                "The tunnel's connection that carried the session broke; both sides were reset."
            }
            End::Revoked => {
                "The key or the permission that the session rested on was withdrawn by a reload; both sides were reset."
            }
            End::Killed => "The session was ended by hand; both sides of a connection were reset.",
            End::Internal => "A bug of Loopgate ended the session; both sides were reset.",
        }
    }

    /// How it happens.
    pub fn why(self) -> &'static str {
        match self {
            End::Done => "Nothing went wrong.",
            End::ClientReset => {
                "The client gave up, was killed, or closed with unread bytes before it. Browsers do it to \
                 connections they no longer need."
            }
            End::TargetReset => {
                "The service crashed, was restarted, refused what it read, or closed with unread bytes before it. If it \
                happened at once, before any byte: its accept queue may have overflowed (net.ipv4.tcp_abort_on_overflow)."
            }
            End::ClientLost | End::TargetLost => {
                "It acknowledged nothing for the route's `user_timeout` (below 30s: or read nothing), or answered no probe of \
                 `keepalive`: a machine or a link went away."
            }
            End::NoTarget(_) => "`cause` in the record says why, and `hint` what was found out about it.",
            End::Denied(_) => {
                "Its address, user or group is in `deny`, or the route has an `allow` or an `accept_proxy` and it is not in it."
            }
            End::Limited(_) => {
                "The route, each of its targets or this client has as many sessions as it may, or new ones come too fast. `hint` begins with \
                the key of the limit."
            }
            End::ClientGone => {
                "The client's own time limit was shorter than the target, or a place for it, needed."
            }
            End::BadHeader => {
                "It is not a proxy, does not send the header (HAProxy: `send-proxy-v2`; nginx: `proxy_protocol on`), \
                connected only to test the port, or took longer than `accept_proxy_timeout`."
            }
            End::TlsFailed => {
                "The client spoke something else, does not trust our certificate, shares no version with us, showed no \
                 certificate that may connect, or was slower than `handshake_timeout`. `hint` in the record says which."
            }
            End::NoName => {
                "`name` in the record is the name it asked for; if that is missing, it asked for none, as clients that connect \
                to an address do. The route has neither the name, nor one with `*` that covers it, nor a `target` for all others."
            }
            End::Drained => "`limits.drain_timeout` was over, or a second signal came.",
            End::SlowClient => {
                "It is slow, only tests whether the port is open, keeps spare connections, or tries to exhaust them. Or in \
                its protocol the service speaks first, as in SSH, SMTP, FTP and MySQL."
            }
            End::Idle => {
                "A UDP flow is never closed: silence is the only sign of its end. A connection ends this way only if the \
                route has an `idle_timeout`."
            }
            End::Expired => {
                "The route has a `max_session_age`, which ends busy sessions as well as silent ones, so that clients connect \
                anew: to a target of today, under the rules of today."
            }
            End::Evicted => "The route has as many as its limit allows, and its policy is to evict.",
            End::TunnelLost => {
                "The other Loopgate ended or was killed, its machine or the link went away, or something between closes connections."
            }
            End::Revoked => "`public_key` of its tunnel has changed, or `may_dial` lacks the target.",
            End::Killed => "This one session was ordered to end, through the interface for embedders.",
            End::Internal => "The line before the record says what broke.",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            End::Done => "Nothing.",
            End::ClientReset => {
                "Look at the client, if this was not intended. `up` and `down` show how far it got."
            }
            End::TargetReset => "Look at the service's log at that time.",
            End::ClientLost | End::TargetLost => {
                "See whether the machine and the link are up. If outages last longer, raise `user_timeout`."
            }
            End::NoTarget(_) => "Run `loopgate explain` with the target's address.",
            End::Denied(_) => "If it should be admitted, add it to `allow` or remove it from `deny`.",
            End::Limited(_) => {
                "Raise the limit, if the service can carry more; `when_full = \"queue\"` lets clients wait."
            }
            End::ClientGone => "See why the target is slow: `connect` and `first_byte` in the record.",
            End::BadHeader => {
                "`hint` in the record quotes what it sent. Make it send the header, or remove it from `accept_proxy`."
            }
            End::TlsFailed => {
                "Read `hint`. `openssl s_client -connect ADDRESS -servername NAME` shows the same from the client's side."
            }
            End::NoName => {
                "Add the name to the route's `names`, or set its `target` for all others. `openssl s_client -connect \
                 ADDRESS -servername NAME` asks for a name."
            }
            End::Drained => "Raise `limits.drain_timeout`, if such sessions matter.",
            End::SlowClient => {
                "If the service speaks first, leave `client_timeout` out, or name the service in `not_tls`; otherwise nothing."
            }
            End::Idle => "Nothing; if clients are silent for longer, raise `idle_timeout`.",
            End::Expired => {
                "Nothing: the client may connect again. If it comes too early for a client, raise `max_session_age`."
            }
            End::Evicted => "Raise the limit (`max_connections`, `max_flows`), or lower `idle_timeout`.",
            End::TunnelLost => "See the lines about the tunnel at that time, on both machines.",
            End::Revoked => "Nothing, if it was intended; otherwise restore the key or the permission.",
            End::Killed => "Nothing; the client may connect again. To keep it out, name it in `deny`.",
            End::Internal => "Please report it, with that line.",
        }
    }
}

impl DropReason {
    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            DropReason::TooBig => "The datagram was longer than the path to its receiver can carry.",
            DropReason::Truncated => "The kernel had cut the datagram before it was read.",
            DropReason::NoRoom => "Our send buffer was full.",
            DropReason::OverShare => "Its client sent more than its share while others waited behind it.",
            DropReason::OverRate => {
                "More came than `bandwidth` or `bandwidth_per_connection` allowed at that moment."
            }
            DropReason::Amplified => "It was an answer beyond the route's `max_amplification`.",
            DropReason::Stranger => "It was an answer from another address than the target's.",
            DropReason::Unsent => "The kernel refused to send it, for another reason than these.",
            DropReason::TunnelFull => "A tunnel did not take it, or dropped it on its way to the other end.",
        }
    }

    /// How it happens.
    pub fn why(self) -> &'static str {
        match self {
            DropReason::TooBig => {
                "A family or an interface carries less than the one it came by: 65,527 bytes of IPv6 are too many for IPv4."
            }
            DropReason::Truncated => "It was longer than any datagram that could be passed on.",
            DropReason::NoRoom => "Datagrams come faster than the kernel or the interface sends them.",
            DropReason::OverShare => "One client sends faster than the route's datagrams are passed on.",
            DropReason::OverRate => {
                "Datagrams cannot be slowed down, so those beyond the rate and its burst are dropped."
            }
            DropReason::Amplified => {
                "The source of a datagram can be forged: a client that has not continued after an answer is sent only so much."
            }
            DropReason::Stranger => {
                "The service answers from another address or port, or somebody guessed the port."
            }
            DropReason::Unsent => "The interface went away, a firewall rule forbids it, or memory was short.",
            DropReason::TunnelFull => {
                "Datagrams come faster than the tunnel carries them, and the oldest that wait are dropped; or it was longer than \
                 the tunnel carries."
            }
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            DropReason::TooBig => "Have the sender send less at once.",
            DropReason::Truncated => "Have the sender send less at once.",
            DropReason::NoRoom => {
                "Raise net.core.wmem_max and wmem_default, or have the sender send more slowly."
            }
            DropReason::OverShare => "Have that client send more slowly, or give it a route of its own.",
            DropReason::OverRate => {
                "Raise the rate or the `burst` of its table, if the network can carry more."
            }
            DropReason::Amplified => "Raise `max_amplification`, if the service's answers are that long.",
            DropReason::Stranger => "Have the service answer from the address that it is asked at.",
            DropReason::Unsent => {
                "See the system log, and `loopgate explain` with the target's address and `--udp`."
            }
            DropReason::TunnelFull => {
                "Have the sender send more slowly or less at once, or give the way between the two machines more bandwidth."
            }
        }
    }
}
