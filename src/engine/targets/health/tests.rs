use super::*;
use crate::units::seeded::Random;

const SECOND: Duration = Duration::from_secs(1);

impl Random {
    fn event(&mut self) -> Event {
        match self.below(13) {
            0 => Event::Reached,
            1 => Event::Failed(Cause::Refused),
            2 => Event::Failed(Cause::TimedOut),
            3 => Event::Listens,
            4 => Event::Absent,
            5 => Event::Stuck,
            6 => Event::Accepts,
            7 => Event::Missing,
            8 => Event::Hidden,
            9 => Event::Passed,
            10 => Event::Told(None),
            11 => Event::Told(Some(Cause::TunnelDown)),
            _ => Event::Failed(
                [Cause::NoDescriptor, Cause::NoSourcePort, Cause::Denied][self.below(3) as usize],
            ),
        }
    }

    /// Mostly short, sometimes longer than any window.
    fn pause(&mut self) -> Duration {
        let most = [10, 500, 5_000, 45_000][self.below(4) as usize];
        Duration::from_millis(self.below(most))
    }
}

/// What a run reported, and when.
fn run(seed: u64) -> (Health, Vec<(Instant, News)>, Instant) {
    let (mut random, mut now) = (Random(seed), Instant::now());
    let mut health = Health::new(&HealthRules::default(), now);
    let mut reported = Vec::new();
    for _ in 0..400 {
        let event = random.event();
        let before = health.stage();
        reported.extend(health.on(event, now).map(|news| (now, news)));
        check_step(before, event, &health, seed);
        let mut pause = random.pause();
        while pause >= SECOND {
            (now, pause) = (now + SECOND, pause - SECOND);
            reported.extend(health.tick(now).map(|news| (now, news)));
        }
        now += pause;
    }
    (health, reported, now)
}

fn check_step(before: Stage, event: Event, health: &Health, seed: u64) {
    let after = health.stage();
    match event {
        Event::Failed(cause) if !cause.blames_target() => {
            assert_eq!(after, before, "seed {seed}: a local error was counted against the target")
        }
        Event::Absent => assert_eq!(after, Stage::Down(Cause::Refused), "seed {seed}: no process listens"),
        Event::Missing => {
            assert_eq!(after, Stage::Down(Cause::NoSocket), "seed {seed}: the socket does not exist")
        }
        Event::Hidden => assert_eq!(after, before, "seed {seed}: a hidden socket is no evidence"),
        Event::Passed if before == Stage::Stalled => assert_eq!(after, Stage::Stalled, "seed {seed}"),
        Event::Passed => assert_eq!(after, Stage::Up, "seed {seed}"),
        Event::Reached if before != Stage::Stalled => assert_eq!(after, Stage::Up, "seed {seed}"),
        Event::Reached => {
            assert_eq!(after, Stage::Stalled, "seed {seed}: the kernel answered, not the program")
        }
        Event::Told(None) => assert_eq!(after, Stage::Up, "seed {seed}: it was told to be up"),
        Event::Told(Some(cause)) => assert_eq!(after, Stage::Down(cause), "seed {seed}: it was told"),
        Event::Failed(_) => assert!(!matches!(after, Stage::Up | Stage::Unknown), "seed {seed}"),
        Event::Stuck => assert!(!matches!(after, Stage::Up | Stage::Unknown), "seed {seed}"),
        Event::Accepts => assert_ne!(after, Stage::Stalled, "seed {seed}"),
        Event::Listens => assert_ne!(after, Stage::Unknown, "seed {seed}"),
    }
    assert!(health.changes.len() <= FLAPPING_CHANGES, "seed {seed}: the history has no bound");
}

fn stage_reported(news: News) -> Option<Stage> {
    match news {
        News::Became { stage, .. } | News::Settled { stage, .. } => Some(stage),
        News::Flaps { .. } => None,
    }
}

#[test]
fn a_line_is_never_repeated_and_never_contradicts_the_state() {
    for seed in 0..3_000 {
        let (mut health, mut reported, end) = run(seed);
        // Left alone, it finally reports its stage.
        for second in 1..=40 {
            let now = end + second * SECOND;
            reported.extend(health.tick(now).map(|news| (now, news)));
        }

        let stages: Vec<Stage> = reported.iter().filter_map(|(_, news)| stage_reported(*news)).collect();
        assert!(!health.flaps(), "seed {seed}");
        assert!(stages.last().is_none_or(|last| *last == health.stage()), "seed {seed}");
        for pair in reported.windows(2) {
            if let [(_, News::Became { stage, .. }), (_, News::Became { stage: next, was, .. })] = pair {
                assert!(next != stage && was == stage, "seed {seed}: {stage:?} then {was:?} -> {next:?}");
            }
        }
    }
}

#[test]
fn however_wildly_a_target_flaps_few_lines_are_logged() {
    for seed in 0..3_000 {
        let (_, reported, _) = run(seed);

        for (n, (at, _)) in reported.iter().enumerate() {
            let lines = reported[n..].iter().take_while(|(then, _)| *then < *at + SUMMARY).count();
            // It settled, two more changes, it flaps again.
            assert!(lines <= FLAPPING_CHANGES + 1, "seed {seed}: {lines} lines within 10 s from {at:?}");
        }
    }
}

#[test]
fn a_target_that_was_never_looked_at_comes_up_without_a_word() {
    let now = Instant::now();
    for event in [Event::Reached, Event::Listens] {
        let mut health = Health::new(&HealthRules::default(), now);

        assert_eq!(health.on(event, now), None);
        assert_eq!(health.stage(), Stage::Up);
    }
}

#[test]
fn the_way_down_and_back_is_two_lines_with_their_times() {
    let start = Instant::now();
    let mut health = Health::new(&HealthRules::default(), start);
    health.on(Event::Reached, start);

    let down = health.on(Event::Absent, start + 60 * SECOND);
    health.on(Event::Failed(Cause::Refused), start + 61 * SECOND);
    let up = health.on(Event::Listens, start + 63 * SECOND);

    let refused = Stage::Down(Cause::Refused);
    assert_eq!(down, Some(News::Became { stage: refused, was: Stage::Up, after: 60 * SECOND, failures: 0 }));
    assert_eq!(up, Some(News::Became { stage: Stage::Up, was: refused, after: 3 * SECOND, failures: 1 }));
}

#[test]
fn a_unix_socket_that_was_missing_is_seen_back_unless_it_hides() {
    let now = Instant::now();
    for (event, back) in
        [(Event::Missing, true), (Event::Failed(Cause::NoSocket), true), (Event::Hidden, false)]
    {
        let mut health = Health::new(&HealthRules::default(), now);
        health.on(Event::Missing, now);
        health.on(event, now);

        health.on(Event::Listens, now);

        assert_eq!(health.stage() == Stage::Up, back, "{event:?}");
    }
}

#[test]
fn a_listener_behind_a_firewall_is_not_taken_for_a_return() {
    let now = Instant::now();
    let mut health = Health::new(&HealthRules::default(), now);

    health.on(Event::Failed(Cause::Refused), now);
    health.on(Event::Listens, now);

    assert_eq!(health.stage(), Stage::Down(Cause::Refused));
    assert!(health.on(Event::Reached, now).is_some());
}

#[test]
fn the_third_change_within_half_a_minute_is_logged_as_flapping_then_every_ten_seconds() {
    let start = Instant::now();
    let mut health = Health::new(&HealthRules::default(), start);
    health.on(Event::Reached, start);
    let mut reported = Vec::new();

    for second in 1..=24 {
        let now = start + second * SECOND;
        let event = if second % 2 == 1 { Event::Absent } else { Event::Listens };
        reported.extend(health.on(event, now).map(|news| (second, news)));
        reported.extend(health.tick(now).map(|news| (second, news)));
    }

    let flaps = |changes, seconds: u32| News::Flaps { changes, within: seconds * SECOND };
    let summaries: Vec<_> = reported.split_off(2);
    assert_eq!(summaries, [(3, flaps(3, 2)), (13, flaps(13, 12)), (23, flaps(23, 22))]);
}

#[test]
fn the_end_of_a_crash_loop_is_logged_once_the_target_is_stable() {
    let start = Instant::now();
    let mut health = Health::new(&HealthRules::default(), start);
    for event in [Event::Reached, Event::Absent, Event::Listens, Event::Absent, Event::Listens] {
        health.on(event, start);
    }

    assert_eq!(health.tick(start + 29 * SECOND).and_then(stage_reported), None);
    assert_eq!(health.tick(start + 30 * SECOND).and_then(stage_reported), Some(Stage::Up));
    assert!(matches!(health.on(Event::Absent, start + 31 * SECOND), Some(News::Became { .. })));
}

#[test]
fn a_full_queue_of_a_stalled_target_is_the_same_trouble() {
    let now = Instant::now();
    let mut health = Health::new(&HealthRules::default(), now);
    health.on(Event::Stuck, now);

    assert_eq!(health.on(Event::Failed(Cause::TimedOut), now), None);
    assert_eq!(health.stage(), Stage::Stalled);
    assert!(health.on(Event::Accepts, now).is_some());
}

/// The stage after each of a series of events.
fn stages(rules: &HealthRules, events: &[Event]) -> Vec<Stage> {
    let now = Instant::now();
    let mut health = Health::new(rules, now);
    let after = |event: &Event| {
        health.on(*event, now);
        health.stage()
    };
    events.iter().map(after).collect()
}

#[test]
fn it_falls_and_rises_after_so_many_signs_in_a_row() {
    let rules = HealthRules { rise: 2, fall: 3, ..HealthRules::default() };
    let (up, down) = (Stage::Up, Stage::Down(Cause::Refused));
    let (bad, good) = (Event::Failed(Cause::Refused), Event::Reached);

    let reported = stages(&rules, &[good, bad, bad, good, bad, bad, bad, good, bad, good, good, bad]);

    assert_eq!(reported, [up, up, up, up, up, up, down, down, down, down, up, up]);
}

#[test]
fn the_first_event_sets_the_state() {
    let rules = HealthRules { rise: 5, fall: 5, ..HealthRules::default() };

    assert_eq!(stages(&rules, &[Event::Absent]), [Stage::Down(Cause::Refused)]);
    assert_eq!(stages(&rules, &[Event::Listens]), [Stage::Up]);
}

#[test]
fn a_client_that_gets_through_says_nothing_of_what_a_check_asks_for() {
    let rules = HealthRules { check: Check::Connect, fall: 2, ..HealthRules::default() };
    let bad = Event::Failed(Cause::BadAnswer);
    let (up, down) = (Stage::Up, Stage::Down(Cause::BadAnswer));

    let reported = stages(
        &rules,
        &[Event::Passed, bad, Event::Reached, bad, Event::Reached, Event::Listens, Event::Passed],
    );

    assert_eq!(reported, [up, up, up, down, down, down, up]);
}

#[test]
fn how_long_it_is_back_counts_from_its_return() {
    let start = Instant::now();
    let mut health = Health::new(&HealthRules::default(), start);
    let at = |seconds: u32| start + seconds * SECOND;

    health.on(Event::Reached, at(0));
    assert_eq!(health.back(at(1)), None, "it was never down");
    health.on(Event::Absent, at(2));
    health.on(Event::Listens, at(3));
    health.on(Event::Stuck, at(4));
    health.on(Event::Accepts, at(5));

    assert_eq!(health.back(at(10)), Some(7 * SECOND));
}

#[test]
fn a_target_that_was_logged_down_is_logged_up_under_changed_rules_too() {
    let start = Instant::now();
    let at = |seconds: u32| start + seconds * SECOND;
    let bad = Stage::Down(Cause::BadAnswer);
    let mut old = Health::new(&HealthRules::default(), start);
    old.on(Event::Failed(Cause::BadAnswer), at(1));

    let unseen = Health::new(&HealthRules::default(), at(5)).after(&old);
    let mut new = Health::new(&HealthRules::default(), at(6)).after(&unseen);
    let reported = new.on(Event::Passed, at(7));
    let later = Health::new(&HealthRules::default(), at(8)).after(&new).on(Event::Passed, at(9));

    assert_eq!(reported, Some(News::Became { stage: Stage::Up, was: bad, after: 6 * SECOND, failures: 0 }));
    assert_eq!(later, None, "it was up");
}

#[test]
fn what_is_told_of_a_target_in_a_tunnel_counts_at_once() {
    let (rules, now) = (HealthRules { rise: 3, fall: 3, ..HealthRules::default() }, Instant::now());
    let mut health = Health::new(&rules, now);
    health.on(Event::Told(None), now);
    health.on(Event::Failed(Cause::Refused), now);
    assert_eq!(health.stage(), Stage::Up);

    let down = health.on(Event::Told(Some(Cause::TunnelDown)), now + SECOND);
    assert!(matches!(down, Some(News::Became { stage: Stage::Down(Cause::TunnelDown), .. })));
    assert_eq!(health.on(Event::Told(Some(Cause::TunnelDown)), now + 2 * SECOND), None);

    health.on(Event::Told(None), now + 3 * SECOND);
    assert_eq!(health.stage(), Stage::Up);
    // The one failure of before is not one of three in a row now.
    health.on(Event::Failed(Cause::Refused), now + 4 * SECOND);
    health.on(Event::Failed(Cause::Refused), now + 5 * SECOND);
    assert_eq!(health.stage(), Stage::Up);
}
