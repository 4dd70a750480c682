//! A listener that cannot receive: the error is logged once, and the listener is tried again after a pause. Events are
//! level-triggered, so without the pause the loop would spin.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use super::loop_state::EventLoop;

/// The pause after an error.
const PAUSE: Duration = Duration::from_millis(100);

impl EventLoop {
    /// Takes a listener out of the poller for [`PAUSE`]. An unconnected socket meets no error of the network: this one is
    /// about this machine, memory or a policy.
    pub(super) fn pause(&mut self, number: u32, error: &io::Error, now: Instant) {
        let Some(listener) = self.listeners.get_mut(&number) else { return };
        let Some(socket) = listener.door.socket() else { return };
        if !listener.is_failing {
            listener.is_failing = true;
            let what = match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
                    "; allow recvmsg and recvmmsg in the seccomp filter or security policy"
                }
                _ => "",
            };
            tracing::warn!(
                "route {}: cannot receive on {}/udp: {error}; trying again every {PAUSE:?}, and clients get no \
                 answer{what}",
                listener.runtime.name,
                listener.door
            );
        }
        if epoll::delete(&self.control.poller, socket).is_ok() {
            listener.paused = Some(now + PAUSE);
            self.next_retry = Some(self.next_retry.map_or(now + PAUSE, |next| next.min(now + PAUSE)));
        }
    }

    /// Has the poller watch the listeners again whose pause is over.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.next_retry.is_none_or(|next| next > now) {
            return;
        }
        for (number, listener) in &mut self.listeners {
            if let Some(socket) = listener.door.socket()
                && listener.paused.is_some_and(|until| until <= now)
            {
                let watched = self.control.watch_listener(socket, *number);
                listener.paused = watched.is_err().then_some(now + PAUSE);
            }
        }
        self.next_retry = self.listeners.values().filter_map(|listener| listener.paused).min();
    }
}
