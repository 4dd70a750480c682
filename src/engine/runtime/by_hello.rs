//! Which targets a client goes to by what its TLS hello says.

use std::sync::Arc;
use std::time::Duration;

use crate::client_hello::{Choice, Hello};
use crate::plan::{Among, HelloRules};

/// Whom a route serves by what hellos say. Each has the targets it goes to; `None` where such clients are turned away.
pub(crate) struct ByHello<T> {
    choice: Choice<Arc<T>>,
    /// Whom nobody of `choice` is for.
    others: Option<Arc<T>>,
    /// Who does not speak TLS, or says nothing in time.
    pub(crate) not_tls: Option<Arc<T>>,
    /// How long a client may take for its hello.
    pub(crate) patience: Duration,
}

/// What a client and its target speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Tls,
    /// Something else, which is left as it is.
    Other,
}

impl<T> ByHello<T> {
    /// What the rules of a route choose; `of` gives some of its targets.
    pub(crate) fn new(rules: &HelloRules, of: impl Fn(&Among, Speaks) -> Arc<T>) -> ByHello<T> {
        ByHello {
            choice: rules.choice.map(|among| of(among, Speaks::Tls)),
            others: rules.others.as_ref().map(|among| of(among, Speaks::Tls)),
            not_tls: rules.not_tls.as_ref().map(|among| of(among, Speaks::Other)),
            patience: rules.timeout,
        }
    }

    /// Whom it chooses; `None` where nobody is for such a client.
    pub(crate) fn of(&self, hello: &Hello<'_>) -> Option<&Arc<T>> {
        self.choice.of(hello).or(self.others.as_ref())
    }
}
