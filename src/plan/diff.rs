//! What a new plan changes, route by route; and the keys that it must not change.
//!
//! It only compares: no socket, no clock, no order in which changes are applied.

use super::{Plan, RouteName, Routes};

/// The routes that are added, replaced and removed, each list sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Only in the new set.
    pub added: Vec<RouteName>,
    /// In both sets, with different settings.
    pub replaced: Vec<RouteName>,
    /// Only in the old set.
    pub removed: Vec<RouteName>,
}

impl Change {
    /// Whether nothing is added, replaced or removed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.replaced.is_empty() && self.removed.is_empty()
    }
}

/// The difference between two sets of routes. A route is identified by its name alone.
pub fn diff(old: &Routes, new: &Routes) -> Change {
    let names = |from: &Routes, wanted: &dyn Fn(&RouteName) -> bool| -> Vec<RouteName> {
        from.keys().filter(|name| wanted(name)).cloned().collect()
    };
    Change {
        added: names(new, &|name| !old.contains_key(name)),
        replaced: names(new, &|name| old.get(name).is_some_and(|route| Some(route) != new.get(name))),
        removed: names(old, &|name| !new.contains_key(name)),
    }
}

/// The new routes, but each that equals an old one is that old one: state that a route holds beside its settings, such
/// as the keys by which its TLS sessions are resumed, is kept.
pub fn keep_equal(old: &Routes, new: Routes) -> Routes {
    let kept = |name: &RouteName, route| match old.get(name) {
        Some(old) if *old == route => old.clone(),
        _ => route,
    };
    new.into_iter().map(|(name, route)| (name.clone(), kept(&name, route))).collect()
}

/// The keys that are declared as needing a restart, and whether they differ.
fn kept_until_restart(old: &Plan, new: &Plan) -> [(&'static str, bool); 4] {
    [
        ("limits.connections", old.limits.connections != new.limits.connections),
        ("limits.flows", old.limits.flows != new.limits.flows),
        ("log.format", old.log.format != new.log.format),
        ("log.level", old.log.level != new.log.level),
    ]
}

/// A message for each key that differs and cannot change while running; empty if there are none.
pub fn unchangeable(old: &Plan, new: &Plan) -> Vec<String> {
    let changed = kept_until_restart(old, new).into_iter().filter(|(_, changed)| *changed);
    changed
        .map(|(key, _)| {
            format!("{key}: this key cannot change while running; restart to change it, or put it back")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::kept_until_restart as kept_until_restart_keys;
    use crate::plan::parse;

    fn plan(text: &str) -> Plan {
        parse("f", text, &[]).unwrap()
    }

    #[test]
    fn routes_are_compared_by_name() {
        let old = plan(
            "routes.a = {listen='1', target='2'}\nroutes.b = {listen='3', target='4'}\nroutes.d = {listen='5', target='6'}",
        );
        let new = plan(
            "routes.b = {listen='3', target='9'}\nroutes.c = {listen='1', target='2'}\nroutes.d = {listen=':5', target='6'}",
        );

        let change = diff(&old.routes, &new.routes);

        let joined =
            |names: &[RouteName]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            (joined(&change.added), joined(&change.replaced), joined(&change.removed)),
            ("c".into(), "b".into(), "a".into())
        );
        assert!(diff(&new.routes, &new.routes).is_empty());
    }

    #[test]
    fn a_changed_default_replaces_the_routes_it_reaches() {
        let routes =
            "[routes.a]\nlisten='1'\ntarget='2'\n[routes.b]\nlisten='3'\ntarget='4'\nreset_linger='1s'\n";
        let old = plan(routes);
        let new = plan(&format!("defaults.reset_linger='9s'\n{routes}"));

        assert_eq!(diff(&old.routes, &new.routes).replaced, [RouteName("a".into())]);
    }

    #[test]
    fn the_keys_that_a_reload_refuses_are_those_declared_so() {
        let plan = plan("routes.a = {listen='1', target='2'}\n");

        assert_eq!(kept_until_restart(&plan, &plan).map(|(key, _)| key).to_vec(), kept_until_restart_keys());
    }

    #[test]
    fn the_log_stays_as_it_is_while_running() {
        let routes = "routes.a = {listen='1', target='2'}\n";
        let (old, new) = (plan(routes), plan(&format!("log.level='debug'\n{routes}")));

        assert_eq!(unchangeable(&old, &old), Vec::<String>::new());
        assert!(unchangeable(&old, &new)[0].starts_with("log.level: "));
    }
}
