//! The limits of a route's sessions, from its own keys and the defaults.

use std::time::Duration;

use super::merge::{off_or, pick};
use crate::config::Settings;
use crate::limits::SessionLimits;
use crate::transport::Upkeep;
use crate::units::{OrOff, TimeSpan};

/// The route's own keys first, then the defaults.
pub(super) fn session(own: &Settings, defaults: &Settings) -> SessionLimits {
    SessionLimits {
        bandwidth: off_or(&own.bandwidth, &defaults.bandwidth),
        bandwidth_per_connection: off_or(&own.bandwidth_per_connection, &defaults.bandwidth_per_connection),
        idle: off_or(&own.idle_timeout, &defaults.idle_timeout).map(|time| time.0),
        age: age(own, defaults),
        first_byte: off_or(&own.client_timeout, &defaults.client_timeout).map(|time| time.0),
    }
}

/// How old a session or flow may become.
pub(super) fn age(own: &Settings, defaults: &Settings) -> Option<Duration> {
    off_or(&own.max_session_age, &defaults.max_session_age).map(|time| time.0)
}

/// When the kernel gives up a connection. A written value applies to loopback and to other peers; the built-in values
/// differ between the two.
pub(super) fn upkeep(own: &Settings, defaults: &Settings) -> Upkeep {
    let mut upkeep = Upkeep::default();
    for watch in [&mut upkeep.beyond, &mut upkeep.loopback] {
        let OrOff(keepalive) =
            pick(&own.keepalive, &defaults.keepalive).unwrap_or(OrOff(watch.keepalive.map(TimeSpan)));
        let OrOff(timeout) = pick(&own.user_timeout, &defaults.user_timeout)
            .unwrap_or(OrOff(watch.user_timeout.map(TimeSpan)));
        (watch.keepalive, watch.user_timeout) = (keepalive.map(|time| time.0), timeout.map(|time| time.0));
    }
    upkeep
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::plan::{Carries, parse};

    #[test]
    fn a_route_can_switch_off_what_the_defaults_switch_on() {
        let text = "defaults.idle_timeout = '30s'\n[routes.a]\nlisten = '1'\ntarget = '2'\n\
                    [routes.b]\nlisten = '3'\ntarget = '4'\nidle_timeout = 'off'\n\
                    [routes.c]\nlisten = '5'\ntarget = '6'\nprotocol = 'udp'\n";
        let plan = parse("f.toml", text, &[]).unwrap();

        let idle = plan.routes.values().map(|route| match &route.carries {
            Carries::Tcp(limits) => limits.idle,
            Carries::Udp(limits) => Some(limits.idle),
        });

        let half = Some(Duration::from_secs(30));
        assert_eq!(idle.collect::<Vec<_>>(), [half, None, half]);
    }
}
