//! `[routes.NAME.health]` over `[defaults.health]`, key by key; and whether what comes of it fits together.

use super::draft::Draft;
use super::merge::{pick, time};
use crate::balance::{Check, HealthRules, Talk};
use crate::config::{Problem, Settings, Written, WrittenHealth};

/// The rules of a route's targets. A problem for what a check would say or hear and does not.
pub(super) fn rules(draft: &Draft, defaults: &Settings, problems: &mut Vec<Problem>) -> HealthRules {
    let (own, defaults) = (&draft.settings.health, &defaults.health);
    let built_in = HealthRules::default();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let check = pick(&own.check, &defaults.check).unwrap_or_default();
    for problem in [unheard(draft, defaults), idle_talk(draft, check)].into_iter().flatten() {
        // What the defaults say is wrong once, however many routes it reaches.
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    // An empty text is in every answer: to connect is enough.
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

/// What is sent and not listened to, and texts that are too short or too long.
fn unheard(draft: &Draft, defaults: &WrittenHealth) -> Option<Problem> {
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
        // What the defaults send is not meant for a route that expects nothing.
        (Some(Written { place, .. }), _)
            if is_nothing(expect) && (own.send.is_some() || own.expect.is_none()) =>
        {
            let problem = Problem::new(place.clone(), send_key, "nobody listens to the answer");
            Some(problem.help("add expect = \"…\", a part of the answer of a service that is well"))
        }
        _ => None,
    }
}

/// Words of the route for a check that does not talk. (In the defaults they may stand: they are for the routes they fit.)
fn idle_talk(draft: &Draft, check: Check) -> Option<Problem> {
    let own = &draft.settings.health;
    let (key, written) = match (&own.expect, &own.send) {
        (Some(expect), _) if !expect.value.is_empty() => ("health.expect", expect),
        (_, Some(send)) => ("health.send", send),
        (_, None) => return None,
    };
    let message = "only a check that connects can talk with the service";
    let problem = Problem::new(written.place.clone(), draft.key(key), message);
    (check != Check::Connect).then(|| problem.help("write check = \"connect\" beside it"))
}

fn is_nothing(expect: Option<&Written<String>>) -> bool {
    expect.is_none_or(|expect| expect.value.is_empty())
}

/// What is written, in the route or else in the defaults, and the key it is.
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
