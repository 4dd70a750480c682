//! Numbers for people: three digits that count, and a unit.

use crate::bench::load::Unit;

/// `12,345`, `123`, `12.3`, `1.23`, `0.123`
pub(super) fn three(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => thousands(value),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2.31 GB/s`, `31.5 MB/s`, `31,200/s`, `4.98/s`
pub(super) fn rate(unit: Unit, value: f64) -> String {
    match unit {
        // Of a route with a bandwidth, and of a service that is slow.
        Unit::Bytes if value < 1e5 => format!("{} kB/s", three(value / 1e3)),
        Unit::Bytes if value < 1e8 => format!("{} MB/s", three(value / 1e6)),
        Unit::Bytes => format!("{} GB/s", three(value / 1e9)),
        Unit::Requests | Unit::Connections => format!("{}/s", three(value)),
    }
}

/// `0.213 s/GB`, `7.10 µs each`
pub(super) fn cpu(unit: Unit, seconds: f64) -> String {
    match unit {
        Unit::Bytes => format!("{} s/GB", three(seconds * 1e9)),
        Unit::Requests | Unit::Connections => format!("{} µs each", three(seconds * 1e6)),
    }
}

/// `+31.4 µs`
pub(super) fn signed_time(us: f64) -> String {
    format!("{}{} µs", plus(us), three(us))
}

/// `10`, `0.4`: a short time has a digit more.
pub(super) fn seconds(time: std::time::Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.95 { format!("{seconds:.1}") } else { format!("{seconds:.0}") }
}

/// `-51.6 %`
pub(super) fn percent(value: f64) -> String {
    format!("{} %", signed(value))
}

/// `-51.6`
pub(super) fn signed(value: f64) -> String {
    format!("{}{value:.1}", plus(value))
}

/// `+31.4`
pub(super) fn signed_three(value: f64) -> String {
    format!("{}{}", plus(value), three(value))
}

fn plus(value: f64) -> &'static str {
    if value >= 0.0 { "+" } else { "" }
}

#[test]
fn three_digits_count() {
    let cases = [
        (12_345.6, "12,346"),
        (100.0, "100"),
        (99.94, "99.9"),
        (9.999, "10.0"),
        (1.0, "1.00"),
        (0.12345, "0.123"),
    ];
    for (value, want) in cases {
        assert_eq!(three(value), want);
    }
    let slow = [rate(Unit::Connections, 4.978), rate(Unit::Bytes, 640.0), rate(Unit::Bytes, 1.2e6)];
    assert_eq!(slow, ["4.98/s", "0.640 kB/s", "1.20 MB/s"]);
    assert_eq!((thousands(1_234_567.0), thousands(-1234.0)), ("1,234,567".into(), "-1,234".into()));
    assert_eq!((signed_time(31.4), percent(-51.64)), ("+31.4 µs".into(), "-51.6 %".into()));
}
