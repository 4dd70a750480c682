//! What shared the machine: figures mean nothing without it.

use std::fs;
use std::thread;

use serde::Serialize;

/// The machine that a bench ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Machine {
    /// Processors that this process may use.
    pub(super) processors: Option<usize>,
    /// The kernel's release.
    pub(super) kernel: String,
    /// net.ipv4.tcp_congestion_control, which decides more about streams than anything else.
    pub(super) congestion_control: Option<String>,
}

impl Machine {
    pub(super) fn read() -> Machine {
        let congestion = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").ok();
        Machine {
            processors: thread::available_parallelism().ok().map(usize::from),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            congestion_control: congestion.map(|name| name.trim().to_owned()),
        }
    }
}
