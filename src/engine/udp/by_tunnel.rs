//! A target of UDP routes at the other end of a tunnel. Its tunnel and the other end say whether it is up; of an address
//! there, its flows do.

use std::sync::{Arc, OnceLock};

use tokio::task::AbortHandle;

use crate::address::TargetThere;
use crate::transport::tunnel::line::{Fault, Line, Lines};

/// The tunnel of a target.
pub(super) struct ByTunnel {
    pub(super) there: Arc<TargetThere>,
    pub(super) line: Arc<Line>,
    /// The task that follows what is said of the target, until this is dropped.
    pub(super) follows: OnceLock<AbortHandle>,
}

impl ByTunnel {
    pub(super) fn new(there: &Arc<TargetThere>, lines: &Lines) -> ByTunnel {
        let (line, follows) = (lines.get(&there.tunnel), Default::default());
        ByTunnel { there: there.clone(), line, follows }
    }

    /// Why the target is down, as the tunnel or the other end says now.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.line.fault(&self.there.to)
    }
}

impl Drop for ByTunnel {
    fn drop(&mut self) {
        self.follows.get().into_iter().for_each(AbortHandle::abort);
    }
}
