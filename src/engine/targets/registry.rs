//! The targets at run time: one state per target, shared by the routes that dial it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::greeting::Greeting;
use super::local_errors::LocalErrors;
use super::state::TargetState;
use super::target::{Monitor, Target};
use crate::balance::HealthRules;
use crate::transport::Destination;

/// Every target that a route dials. Routes share the state of one where they look after it alike.
pub(crate) struct Targets {
    known: Mutex<HashMap<Key, Weak<Target>>>,
    troubles: Arc<LocalErrors>,
    monitor: Arc<dyn Monitor>,
}

/// What routes that share the state of a target agree in.
type Key = (Destination, HealthRules, Greeting);

impl Targets {
    pub(crate) fn new(monitor: Arc<dyn Monitor>) -> Targets {
        Targets { known: Mutex::default(), troubles: Arc::default(), monitor }
    }

    /// The state of a target; a new one where no route dials it yet.
    pub(crate) fn get(&self, to: &Destination, rules: &HealthRules, greeting: &Greeting) -> Arc<Target> {
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
        let earlier = earlier.map(|target| target.health());
        let target = Arc::new(Target {
            to: to.clone(),
            name: to.to_string().into(),
            rules: rules.clone(),
            greeting: greeting.clone(),
            resolved: Mutex::default(),
            troubles: self.troubles.clone(),
            state: TargetState::new(rules, earlier.as_ref()),
            monitor: self.monitor.clone(),
        });
        known.insert(key, Arc::downgrade(&target));
        // So that whether it is there is known before the first client comes.
        self.monitor.wake();
        target
    }

    /// The target that is written so.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Target>> {
        self.all().into_iter().find(|target| **target.name() == *name)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Target>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(Weak::upgrade).collect()
    }

    /// Tells which of our own troubles are over.
    pub(crate) fn settle_local_errors(&self, now: Instant) {
        self.troubles.settle(now);
    }
}
