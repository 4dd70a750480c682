//! Why a client was rejected: by an access list, or by a limit.

/// Why a client may not connect at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Its address is in `deny`.
    Listed,
    /// There is an `allow`, and its address is not in it.
    Unlisted,
    /// The user or a group of its process is in `deny`.
    UserListed,
    /// There is an `allow` for users, and neither the user nor a group of its process is in it.
    UserUnlisted,
    /// There is an `accept_proxy`, and its address is not in it.
    NoProxy,
}

impl Denial {
    /// An explanation: the hint of the record.
    pub fn hint(self) -> &'static str {
        match self {
            Denial::Listed => "its address is in deny",
            Denial::Unlisted => "its address is not in allow",
            Denial::UserListed => "the user or a group of its process is in deny",
            Denial::UserUnlisted => "neither the user nor a group of its process is in allow",
            Denial::NoProxy => {
                "it is not in accept_proxy, and the route takes connections of those proxies alone"
            }
        }
    }
}

/// A limit that rejects a client for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `max_connections`
    Connections,
    /// `max_connections_per_client`
    PerClient,
    /// `connection_rate`
    Rate,
    /// `connection_rate_per_client`
    RatePerClient,
    /// `max_connections` of every target that could be chosen.
    Target,
    /// `queue`
    Queue,
    /// `queue_timeout`
    QueueTimeout,
    /// `when_full = "evict_idle"`, and no session can be evicted.
    NobodyIdle,
    /// `limits.handshakes`
    Handshakes,
}

impl Limit {
    /// One of each.
    pub const ALL: [Limit; 9] = [
        Limit::Connections,
        Limit::PerClient,
        Limit::Rate,
        Limit::RatePerClient,
        Limit::Target,
        Limit::Queue,
        Limit::QueueTimeout,
        Limit::NobodyIdle,
        Limit::Handshakes,
    ];

    /// The key that sets it.
    pub fn key(self) -> &'static str {
        self.hint().split(':').next().unwrap_or_default()
    }

    /// The limit and an explanation: the hint of the record. It begins with the name of the key.
    pub fn hint(self) -> &'static str {
        match self {
            Limit::Connections => "max_connections: the route has as many sessions as it may",
            Limit::PerClient => "max_connections_per_client: this client has as many sessions as one may",
            Limit::Rate => "connection_rate: new connections come faster than the route takes them",
            Limit::RatePerClient => {
                "connection_rate_per_client: this client connects more often than one may"
            }
            Limit::Target => "max_connections: every target that is up has as many sessions as it may",
            Limit::Queue => "queue: the route or each of its targets is full, and so is the queue before it",
            Limit::QueueTimeout => "queue_timeout: no place became free in time",
            Limit::NobodyIdle => "max_connections: the route is full, and no session of it can be evicted",
            Limit::Handshakes => {
                "limits.handshakes: as many clients are in the TLS handshake as may be, and it took or waited too long"
            }
        }
    }
}
