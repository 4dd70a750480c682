//! Which targets a client gets by its TLS ClientHello.

use std::sync::Arc;
use std::time::Duration;

use crate::client_hello::{Choice, Hello};
use crate::plan::{Among, HelloRules};

/// The choices of a route by ClientHello. Each has the targets of its clients; `None` where such clients are rejected.
pub(crate) struct ByHello<T> {
    choice: Choice<Arc<T>>,
    /// For clients that match no entry of `choice`.
    others: Option<Arc<T>>,
    /// For clients that do not speak TLS, or send nothing in time.
    pub(crate) not_tls: Option<Arc<T>>,
    /// How long a client may take to send its hello.
    pub(crate) patience: Duration,
}

/// What a client and its target speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Tls,
    /// Anything else, which is passed on unchanged.
    Other,
}

impl<T> ByHello<T> {
    /// The choices of a route's rules; `of` gives some of its targets.
    pub(crate) fn new(rules: &HelloRules, of: impl Fn(&Among, Speaks) -> Arc<T>) -> ByHello<T> {
        ByHello {
            choice: rules.choice.map(|among| of(among, Speaks::Tls)),
            others: rules.others.as_ref().map(|among| of(among, Speaks::Tls)),
            not_tls: rules.not_tls.as_ref().map(|among| of(among, Speaks::Other)),
            patience: rules.timeout,
        }
    }

    /// The choice for a hello; `None` where such a client is rejected.
    pub(crate) fn of(&self, hello: &Hello<'_>) -> Option<&Arc<T>> {
        self.choice.of(hello).or(self.others.as_ref())
    }
}
