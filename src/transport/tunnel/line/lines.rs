//! The tunnels by name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Line;
use crate::address::TunnelName;

/// The tunnels by name, whether configured or not: a route's target asks for the line of its tunnel, which is down until a
/// tunnel of this name stands.
#[derive(Default)]
pub struct Lines {
    lines: Mutex<HashMap<TunnelName, Arc<Line>>>,
    /// Told when the state of any of them changes.
    any: Arc<Notify>,
}

impl Lines {
    /// The line of the tunnel of this name: the same one for as long as anybody holds it, or the tunnel is up.
    pub fn get(&self, name: &TunnelName) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(name) {
            return line.clone();
        }
        // Names of tunnels that are gone from the configuration are not kept for ever.
        lines.retain(|_, line| line.is_up() || Arc::strong_count(line) > 1);
        let line = Arc::new(Line { any: self.any.clone(), ..Line::default() });
        lines.insert(name.clone(), line.clone());
        line
    }

    /// Resolves when a tunnel has come up or gone down, or a service at the other end of one, since the last call; several
    /// changes are told once. For one task alone. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.any.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_lives_for_as_long_as_anybody_holds_it() {
        let lines = Lines::default();
        let name = |text: &str| text.parse::<TunnelName>().unwrap();
        let held = lines.get(&name("home"));

        for n in 0..1000 {
            lines.get(&name(&format!("office{n}")));
        }

        assert!(Arc::ptr_eq(&held, &lines.get(&name("home"))));
        // The last one that nobody holds goes when the next one comes.
        assert_eq!(lines.lines.lock().unwrap().len(), 2);
    }
}
