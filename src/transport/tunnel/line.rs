//! What sessions ask a tunnel for: an idle carrier, and whether there is any use in waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::address::TunnelName;

/// The tunnels by name, whether configured or not: a route's target asks for the line of its tunnel.
#[derive(Default)]
pub struct Lines {
    lines: Mutex<HashMap<TunnelName, Arc<Line>>>,
}

/// One tunnel, as sessions see it.
#[derive(Default)]
pub struct Line {}

impl Lines {
    /// The line of the tunnel of this name; it is down until the tunnel says otherwise.
    pub fn get(&self, name: &TunnelName) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.entry(name.clone()).or_default().clone()
    }
}
