//! `[routes.NAME.health]` over `[defaults.health]`, key by key; and whether the resulting keys fit together.

use super::draft::Draft;
use super::merge::{pick, time};
use crate::balance::{Check, HealthRules, Talk};
use crate::config::{Problem, Settings, Written, WrittenHealth};

/// The rules for a route's targets. Adds a problem for each text to send or expect that no check uses.
pub(super) fn rules(draft: &Draft, defaults: &Settings, problems: &mut Vec<Problem>) -> HealthRules {
    let (own, defaults) = (&draft.settings.health, &defaults.health);
    let built_in = HealthRules::default();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let check = pick(&own.check, &defaults.check).unwrap_or_default();
    for problem in [unchecked(draft, defaults), idle_talk(draft, check)].into_iter().flatten() {
        // A problem of the defaults is reported once, however many routes inherit it.
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    // Every answer contains the empty text: a connection is enough.
    let expect = pick(&own.expect, &defaults.expect).filter(|expect| !expect.is_empty());
    let talk = expect.map(|expect| Talk {
        send: pick(&own.send, &defaults.send).unwrap_or_default().into(),
        expect: expect.into(),
    });
    HealthRules {
        check,
        talk: talk.filter(|_| check == Check::Connect),
        interval: time(&own.interval, &defaults.interval, built_in.interval),
        timeout: time(&own.timeout, &defaults.timeout, built_in.timeout),
        rise: pick(&own.rise, &defaults.rise).map_or(built_in.rise, count),
        fall: pick(&own.fall, &defaults.fall).map_or(built_in.fall, count),
        slow_start: time(&own.slow_start, &defaults.slow_start, built_in.slow_start),
    }
}

/// A problem if a text is sent and its answer not checked, or if a text is too long.
fn unchecked(draft: &Draft, defaults: &WrittenHealth) -> Option<Problem> {
    let own = &draft.settings.health;
    let (send, send_key) = written(draft, &own.send, &defaults.send, "send");
    let (expect, expect_key) = written(draft, &own.expect, &defaults.expect, "expect");
    for (text, key) in [(send, &send_key), (expect, &expect_key)] {
        let Some(Written { value, place }) = text else { continue };
        if value.len() > Talk::MOST {
            let message = format!("{} bytes are too long", value.len());
            let problem = Problem::new(place.clone(), key.as_str(), message);
            return Some(problem.help(format!("write at most {}", Talk::MOST)));
        }
    }
    match (send, expect) {
        // The defaults' `send` does not apply to a route that expects nothing.
        (Some(Written { place, .. }), _)
            if is_nothing(expect) && (own.send.is_some() || own.expect.is_none()) =>
        {
            let problem = Problem::new(place.clone(), send_key, "the answer to it is not checked");
            Some(problem.help("add expect = \"…\", a part of the answer of a healthy service"))
        }
        _ => None,
    }
}

/// A problem if the route itself has texts for a check that exchanges none. (In the defaults they are allowed: they
/// apply to the routes that they fit.)
fn idle_talk(draft: &Draft, check: Check) -> Option<Problem> {
    let own = &draft.settings.health;
    let (key, written) = match (&own.expect, &own.send) {
        (Some(expect), _) if !expect.value.is_empty() => ("health.expect", expect),
        (_, Some(send)) => ("health.send", send),
        (_, None) => return None,
    };
    let message = "only a check that connects can exchange text with the service";
    let problem = Problem::new(written.place.clone(), draft.key(key), message);
    (check != Check::Connect).then(|| problem.help("add check = \"connect\""))
}

fn is_nothing(expect: Option<&Written<String>>) -> bool {
    expect.is_none_or(|expect| expect.value.is_empty())
}

/// The value in the route, or else in the defaults, and the path of its key.
fn written<'w, T>(
    draft: &Draft,
    own: &'w Option<Written<T>>,
    default: &'w Option<Written<T>>,
    key: &str,
) -> (Option<&'w Written<T>>, String) {
    match own {
        Some(own) => (Some(own), draft.key(&format!("health.{key}"))),
        None => (default.as_ref(), format!("defaults.health.{key}")),
    }
}
