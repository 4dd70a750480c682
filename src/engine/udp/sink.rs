//! Where a tunnel puts what it brings for one flow.

use std::sync::Arc;

use bytes::Bytes;

use super::control::ControlQueue;
use super::mark::Mark;
use crate::transport::tunnel::flows::{FlowEnded, FlowSink};

/// Takes what a tunnel brings for one flow to its loop.
pub(super) struct Sink {
    mark: Arc<Mark>,
    control: Arc<ControlQueue>,
}

impl Sink {
    pub(super) fn new(mark: Arc<Mark>, control: Arc<ControlQueue>) -> Sink {
        Sink { mark, control }
    }
}

impl FlowSink for Sink {
    fn arrived(&self, datagram: Bytes) {
        if !self.mark.is_over() && self.control.inbox.arrived(&self.mark, datagram) {
            self.control.wake_loop();
        }
    }

    fn dropped(&self, count: u64) {
        self.mark.dropped(count);
    }

    fn ended(&self, why: FlowEnded) {
        if self.mark.end() && self.control.inbox.ended(&self.mark, why) {
            self.control.wake_loop();
        }
    }
}
