//! Properties of every rule, whatever the targets.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const RULES: [Balance; 5] =
    [Balance::RoundRobin, Balance::LeastConnections, Balance::Random, Balance::SourceHash, Balance::First];

const WELL: Fitness = Fitness::Well { back: None };

fn keys(count: usize) -> Vec<Key> {
    (0..count).map(|n| Key::of(format!("10.0.0.{n}:80").as_bytes())).collect()
}

fn client(n: u32) -> Key {
    Key::of_ip(std::net::Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn well(weight: u32) -> Facts {
    Facts { part: Part { weight, ..Part::default() }, fitness: WELL, is_tried: false, load: 0 }
}

fn seen(facts: &[Facts]) -> Vec<Candidate> {
    let mut seen = Vec::new();
    candidates(facts, Duration::ZERO, &mut seen);
    seen
}

/// How many of `clients` go to each target.
fn counts(rule: Balance, weights: &[u32], clients: u32) -> Vec<u32> {
    let seen = seen(&weights.iter().map(|weight| well(*weight)).collect::<Vec<_>>());
    let mut rule = rule.rule(&keys(weights.len()));
    let mut counts = vec![0; weights.len()];
    for n in 0..clients {
        counts[rule.pick(&seen, client(n), n.into()).unwrap()] += 1;
    }
    counts
}

fn facts() -> impl Strategy<Value = Facts> {
    let role = prop_oneof![Just(Role::Primary), Just(Role::Backup), Just(Role::Drained)];
    let fitness = prop_oneof![
        Just(WELL),
        Just(Fitness::Ill),
        (0..20_u64).prop_map(|s| Fitness::Well { back: Some(Duration::from_secs(s)) })
    ];
    let limit = prop_oneof![Just(None), (1..100_usize).prop_map(Some)];
    (1..=Part::MAX_WEIGHT, role, fitness, any::<bool>(), 0..100_usize, limit).prop_map(
        |(weight, role, fitness, is_tried, load, most)| Facts {
            part: Part { weight, role, most },
            fitness,
            is_tried,
            load,
        },
    )
}

proptest! {
    #[test]
    fn the_chosen_target_is_among_the_best_that_are_left(
        rounds in proptest::collection::vec(proptest::collection::vec(facts(), 5), 1..20),
        rule in 0..RULES.len(),
    ) {
        let mut rule = RULES[rule].rule(&keys(5));
        let mut seen = Vec::new();
        for (n, facts) in rounds.iter().enumerate() {
            let room = candidates(facts, Duration::from_secs(10), &mut seen);
            let chosen = rule.pick(&seen, client(n as u32), n as u64);

            let may = |it: &&Facts| !it.is_tried && it.part.role != Role::Drained;
            let is_well = |it: &Facts| it.fitness != Fitness::Ill;
            let is_full = |it: &Facts| it.part.most.is_some_and(|most| it.load >= most);
            let is_worth_a_wait = |it: &Facts| is_full(it) && is_well(it);
            let has_room = facts.iter().filter(may).any(|it| !is_full(it));
            prop_assert_eq!(room == Room::None, !facts.iter().any(|it| may(&it)));
            prop_assert_eq!(chosen.is_some(), room == Room::Open, "one is chosen, if any is open");
            let Some(chosen) = chosen.map(|place| &facts[place]) else {
                let waits = !has_room || facts.iter().filter(may).any(is_worth_a_wait);
                prop_assert!(room == Room::None || waits, "nobody waits without a reason");
                continue;
            };
            prop_assert!(!is_full(chosen));
            prop_assert!(may(&chosen), "never a draining one or one that has failed this client");
            let better = |it: &&Facts| match chosen.part.role {
                Role::Backup if is_well(chosen) => is_well(it) && it.part.role == Role::Primary,
                Role::Primary if is_well(chosen) => false,
                _ => is_well(it),
            };
            let has_better = facts.iter().filter(may).any(|it| better(&it) && !is_full(it));
            prop_assert!(!has_better, "a backup or an ill target comes last");
            prop_assert!(is_well(chosen) || !facts.iter().filter(may).any(is_worth_a_wait), "rather a wait than an ill one");
        }
    }

    #[test]
    fn in_turn_each_gets_exactly_its_weight_in_every_cycle(weights in proptest::collection::vec(1..20_u32, 1..8)) {
        prop_assert_eq!(counts(Balance::RoundRobin, &weights, weights.iter().sum()), weights);
    }

    #[test]
    fn no_target_has_more_than_one_session_above_its_share(
        weights in proptest::collection::vec(1..20_u32, 1..8),
        sessions in 1..300_usize,
    ) {
        let mut facts: Vec<Facts> = weights.iter().map(|weight| well(*weight)).collect();
        let mut rule = Balance::LeastConnections.rule(&keys(weights.len()));
        for n in 0..sessions {
            let chosen = rule.pick(&seen(&facts), client(0), n as u64).unwrap();
            facts[chosen].load += 1;
        }

        for (a, b) in facts.iter().flat_map(|a| facts.iter().map(move |b| (a, b))) {
            let (a_weight, b_weight) = (a.part.weight as usize, b.part.weight as usize);
            prop_assert!(a.load.saturating_sub(1) * b_weight <= b.load * a_weight, "{facts:?}");
        }
    }

    #[test]
    fn when_a_target_is_added_only_the_clients_it_wins_move(weights in proptest::collection::vec(1..20_u32, 2..8)) {
        let (before, after) = (&weights[..weights.len() - 1], &weights[..]);
        let candidates = |weights: &[u32]| seen(&weights.iter().map(|weight| well(*weight)).collect::<Vec<_>>());
        let (before, after) = (candidates(before), candidates(after));
        let mut few = Balance::SourceHash.rule(&keys(before.len()));
        let mut more = Balance::SourceHash.rule(&keys(after.len()));
        let clients = 2_000;

        let chosen = (0..clients).map(|n| (few.pick(&before, client(n), 0), more.pick(&after, client(n), 1)));
        let moved: Vec<_> = chosen.filter(|(before, after)| before != after).collect();

        prop_assert!(moved.iter().all(|(_, after)| *after == Some(before.len())), "only to the new target");
        let fair = f64::from(clients) * f64::from(weights[weights.len() - 1]) / f64::from(weights.iter().sum::<u32>());
        prop_assert!((moved.len() as f64 - fair).abs() < 5.0 * fair.sqrt() + 5.0, "{} and not {fair}", moved.len());
    }
}

#[test]
fn the_turns_of_a_heavy_target_are_spread_out() {
    let seen = seen(&[well(5), well(1), well(1)]);
    let mut rule = Balance::RoundRobin.rule(&keys(3));

    let turns: Vec<_> = (0..7).map(|n| rule.pick(&seen, client(0), n).unwrap()).collect();

    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn by_chance_and_by_address_each_gets_about_its_weight() {
    for rule in [Balance::Random, Balance::SourceHash] {
        let counts = counts(rule, &[1, 2, 3, 4], 100_000);
        for (count, weight) in counts.iter().zip([1.0, 2.0, 3.0, 4.0]) {
            let fair = weight * 10_000.0;
            assert!((f64::from(*count) / fair - 1.0).abs() < 0.03, "{rule:?} {counts:?}");
        }
    }
}

#[test]
fn of_two_drawn_the_one_with_fewer_sessions_is_chosen() {
    let mut facts = [well(1), well(1)];
    facts[0].load = 1;
    let mut rule = Balance::Random.rule(&keys(2));

    assert!((0..100).all(|seed| rule.pick(&seen(&facts), client(0), seed) == Some(1)));
}

#[test]
fn every_port_of_a_client_and_both_spellings_of_its_address_are_one_client() {
    let v4 = Key::of_ip("127.0.0.1".parse().unwrap());

    assert_eq!(v4, Key::of_ip("::ffff:127.0.0.1".parse().unwrap()));
    assert_ne!(v4, Key::of_ip("127.0.0.2".parse().unwrap()));
}

#[test]
fn the_choice_by_address_is_the_same_in_every_release() {
    assert_eq!(counts(Balance::SourceHash, &[1, 1, 1], 20), [12, 6, 2]);
}

#[test]
fn a_returned_target_starts_small_and_grows_to_its_full_share() {
    let share = |seconds: u64| {
        let back = Fitness::Well { back: Some(Duration::from_secs(seconds)) };
        let mut seen = Vec::new();
        candidates(&[Facts { fitness: back, ..well(2) }], Duration::from_secs(10), &mut seen);
        seen[0].share
    };

    assert_eq!([0, 5, 10, 100].map(share), [1, 100, 200, 200]);
}
