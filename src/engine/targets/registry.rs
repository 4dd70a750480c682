//! The targets at run time: one state per target, shared by the routes that dial it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::by_tunnel::{self, ByTunnel};
use super::greeting::Greeting;
use super::local_errors::LocalErrors;
use super::state::TargetState;
use super::target::{Monitor, Target};
use crate::balance::HealthRules;
use crate::engine::names::Names;
use crate::transport::Destination;
use crate::transport::tunnel::line::Lines;

/// Every target that a route dials. Routes with equal health rules and greeting share its state, and
/// all routes the count of its sessions.
pub(crate) struct Targets {
    known: Mutex<HashMap<Key, Weak<Target>>>,
    local_errors: Arc<LocalErrors>,
    names: Arc<Names>,
    lines: Arc<Lines>,
    monitor: Arc<dyn Monitor>,
}

/// What routes must agree on to share the state of a target.
type Key = (Destination, HealthRules, Greeting);

impl Targets {
    pub(crate) fn new(names: Arc<Names>, lines: Arc<Lines>, monitor: Arc<dyn Monitor>) -> Targets {
        Targets { known: Mutex::default(), local_errors: Arc::default(), names, lines, monitor }
    }

    /// The state of a target; created for this route if none dials it yet.
    pub(crate) fn get(
        &self,
        to: &Destination,
        rules: &HealthRules,
        greeting: &Greeting,
        route: &Arc<str>,
    ) -> Arc<Target> {
        let key = (to.clone(), rules.clone(), greeting.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut earlier = None;
        known.retain(|(known, ..), target| {
            if known == to {
                earlier = target.upgrade().or(earlier.take());
            }
            target.strong_count() > 0
        });
        if let Some(target) = known.get(&key).and_then(Weak::upgrade) {
            return target;
        }
        // Whoever counts there still holds it, or a target that shares it.
        let crowd = earlier.as_ref().map(|target| target.crowd.clone()).unwrap_or_default();
        let earlier = earlier.map(|target| target.health());
        let by_name = self.names.of_target(to, route);
        let by_tunnel = to.there().map(|there| Box::new(ByTunnel::new(there, &self.lines)));
        let rules = &if by_tunnel.is_some() { by_tunnel::rules(rules) } else { rules.clone() };
        let target = Arc::new(Target {
            to: to.clone(),
            name: to.to_string().into(),
            rules: rules.clone(),
            greeting: greeting.clone(),
            moves: by_name.as_ref().map_or(0, |(name, _)| name.moves()).into(),
            by_name,
            by_tunnel,
            front: Mutex::default(),
            local_errors: self.local_errors.clone(),
            state: TargetState::new(rules, earlier.as_ref()),
            crowd,
            monitor: self.monitor.clone(),
        });
        known.insert(key, Arc::downgrade(&target));
        // So that its state is known before the first client connects.
        self.monitor.wake();
        target
    }

    /// The target with this written address.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Target>> {
        self.all().into_iter().find(|target| **target.name() == *name)
    }

    /// The tunnels that targets are in.
    pub(crate) fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    /// All targets.
    pub(crate) fn all(&self) -> Vec<Arc<Target>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(Weak::upgrade).collect()
    }

    /// Logs the local errors that have ended.
    pub(crate) fn settle_local_errors(&self, now: Instant) {
        self.local_errors.settle(now);
    }
}
