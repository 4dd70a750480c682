//! What is shown of given numbers, at 40 and at 120 columns.

use std::time::Duration;

use super::*;
use crate::bench::machine::Machine;
use crate::bench::report::Cut;
use crate::bench::rounds::{Began, Event, Kind, Reading};
use crate::bench::schedule::Schedule;
use crate::bench::setup::Setup;

fn reading(rate: f64, p50: Option<f64>, cpu: Option<f64>) -> Reading {
    Reading {
        rate,
        p50_us: p50,
        p99_us: p50.map(|us| us * 2.0),
        p999_us: p50.map(|us| us * 40.0),
        cpu,
        failed: None,
    }
}

/// Three rounds of a stream and of requests, with the route half as fast.
fn report() -> Report {
    let setup = Setup {
        target: Target::BuiltIn,
        through: None,
        loads: vec![Load::Take(1), Load::Requests(1)],
        schedule: Schedule::of(Duration::from_secs(10), 10),
    };
    let mut report = Report::new(&setup);
    report.machine =
        Machine { processors: Some(2), kernel: "6.1.0".into(), congestion_control: Some("bbr".into()) };
    let began = Began { who: "started for this, pid 7".into(), cpu: true, ..Began::default() };
    report.hear(Event(Kind::Began(began)));
    for round in 0..3 {
        let faster = 1.0 + f64::from(round) / 10.0;
        let mut hear =
            |load, way, reading| report.hear(Event(Kind::Read { load, way, round, read: Ok(reading) }));
        hear(0, Way::Direct, reading(4e9, None, None));
        hear(0, Way::Through, reading(2e9 * faster, None, Some(0.2e-9)));
        hear(1, Way::Direct, reading(30_000.0, Some(30.0), None));
        hear(1, Way::Through, reading(15_000.0, Some(60.0 + f64::from(round)), Some(7e-6)));
    }
    report.ended(Duration::from_millis(10_200), None);
    report
}

#[test]
fn a_narrow_terminal_shows_everything_within_its_width() {
    let text = report().text(Look { columns: 40, colour: false });

    let want = "\
target   built in: one process sends,
         one echoes
through  a route on 127.0.0.1: started
         for this, pid 7
machine  2 processors, shared by load,
         target and forwarder; Linux
         6.1.0;
         net.ipv4.tcp_congestion_control=bbr
load     3 rounds in 10 s, directly and
         through the route in turn;
         medians (lowest to highest)

1 stream from the target
  direct   ██████████████████  4.00 GB/s
  through  █████████▉          2.20 GB/s
  detour   -45.0 % (-50.0 to -40.0), CPU
           0.200 s/GB

request of 64 B, answer, 1 connection
  direct   ███████████████████  30,000/s
    p50 30.0  p99 60.0  p99.9 1,200 µs
  through  █████████▌           15,000/s
    p50 61.0  p99 122  p99.9 2,440 µs
  detour   +31.0 µs (+30.0 to +32.0),
           -50.0 %, CPU 7.00 µs each

The detour: -45.0 % with 1 stream from
the target, +31.0 µs a request.
";
    assert_eq!(text, want);
    // A word that is longer than the rest of a line stands there alone.
    assert!(text.lines().all(|line| line.chars().count() <= 40 || line.contains("congestion")));
}

#[test]
fn a_wide_terminal_shows_latencies_beside_the_bars() {
    let text = report().text(Look { columns: 120, colour: false });

    assert!(text.contains("  30,000/s  p50   30.0  p99    60.0  p99.9   1,200 µs\n"), "{text}");
    assert!(text.contains("  detour   +31.0 µs (+30.0 to +32.0), -50.0 %, CPU 7.00 µs each\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn escape_codes_are_for_terminals_with_colour_alone() {
    let look = |colour| report().text(Look { columns: 80, colour });

    assert!(!look(false).contains('\x1b') && look(true).contains("\x1b[1m1 stream from the target\x1b[0m"));
}

#[test]
fn what_was_not_measured_says_why() {
    let mut report = report();
    for (load, way) in [(0, Way::Through), (1, Way::Through)] {
        report.sheets[load] = crate::bench::report::Sheet::of(report.sheets[load].load);
        report.hear(Event(Kind::Read { load, way, round: 0, read: Err("Connection refused".into()) }));
    }
    report.ended(Duration::from_secs(1), Some(Cut::Signal));

    let text = report.text(Look { columns: 80, colour: false });

    assert!(
        text.contains(
            "  direct   not measured: the bench ended before\n  through  not measured: Connection refused\n"
        ),
        "{text}"
    );
    assert!(text.ends_with("Stopped before its end: these are the figures so far.\n"), "{text}");
    assert!(!report.is_whole() && !report.has_figures());
}

#[test]
fn the_same_as_json() {
    let json = report().json();

    assert_eq!((&json["schema"], &json["complete"]), (&"loopgate.bench/1".into(), &true.into()));
    assert_eq!(json["machine"]["congestion_control"], "bbr");
    let requests = &json["measurements"][1];
    assert_eq!((&requests["load"], &requests["at_once"]), (&"requests".into(), &1.into()));
    assert_eq!(requests["direct"]["rate"]["median"], 30_000.0);
    assert_eq!(requests["through"]["cpu_seconds"]["median"], 7e-6);
    assert_eq!(requests["detour"]["p50_us"]["high"], 32.0);
    assert_eq!(requests["detour"]["rate_percent"]["median"], -50.0);
}
