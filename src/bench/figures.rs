//! What the readings say: medians, spreads, what the detour costs. Pure.

use serde::Serialize;

use super::rounds::Reading;

/// A median with the lowest and the highest of its rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Summary {
    /// `None` of nothing; between the middle two if the number is even.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Summary { median, low, high })
    }
}

/// The figures of one way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Units a second.
    pub(super) rate: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p50_us: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p99_us: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p999_us: Option<Summary>,
    /// Seconds of the forwarder's CPU for a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_seconds: Option<Summary>,
}

impl Figures {
    pub(super) fn of<'r>(readings: impl IntoIterator<Item = &'r Reading> + Clone) -> Option<Figures> {
        let all =
            |value: fn(&Reading) -> Option<f64>| Summary::of(readings.clone().into_iter().filter_map(value));
        Some(Figures {
            rate: all(|reading| Some(reading.rate))?,
            p50_us: all(|reading| reading.p50_us),
            p99_us: all(|reading| reading.p99_us),
            p999_us: all(|reading| reading.p999_us),
            cpu_seconds: all(|reading| reading.cpu),
        })
    }
}

/// What the way through the route costs, each round compared with itself: what else the machine did then, it did to both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Detour {
    /// The change of the rate.
    pub(super) rate_percent: Summary,
    /// How much more time a unit takes: the inverse of the rate.
    pub(super) time_us: Summary,
    /// How much later half of the answers come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p50_us: Option<Summary>,
}

impl Detour {
    /// `None` where no round has both.
    pub(super) fn of<'r>(
        pairs: impl IntoIterator<Item = (&'r Reading, &'r Reading)> + Clone,
    ) -> Option<Detour> {
        let later = pairs.clone().into_iter();
        let later = later.filter_map(|(direct, through)| Some(through.p50_us? - direct.p50_us?));
        let rates = pairs.into_iter().map(|(direct, through)| (direct.rate, through.rate));
        let rates: Vec<(f64, f64)> =
            rates.filter(|(direct, through)| *direct > 0.0 && *through > 0.0).collect();
        Some(Detour {
            rate_percent: Summary::of(
                rates.iter().map(|(direct, through)| (through / direct - 1.0) * 100.0),
            )?,
            p50_us: Summary::of(later),
            time_us: Summary::of(rates.iter().map(|(direct, through)| (1.0 / through - 1.0 / direct) * 1e6))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(rate: f64) -> Reading {
        Reading { rate, ..Reading::default() }
    }

    #[test]
    fn the_median_stands_between_the_extremes() {
        assert_eq!(Summary::of([3.0, 1.0, 2.0]), Some(Summary { median: 2.0, low: 1.0, high: 3.0 }));
        assert_eq!(Summary::of([4.0, 1.0]), Some(Summary { median: 2.5, low: 1.0, high: 4.0 }));
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn the_detour_is_the_difference_within_each_round() {
        // The machine was twice as fast in the second round; the detour is the same.
        let (direct, through) =
            ([reading(10_000.0), reading(20_000.0)], [reading(5_000.0), reading(10_000.0)]);

        let detour = Detour::of(direct.iter().zip(&through)).unwrap();

        assert_eq!(detour.rate_percent, Summary { median: -50.0, low: -50.0, high: -50.0 });
        assert!((detour.time_us.low - 50.0).abs() < 1e-9 && (detour.time_us.high - 100.0).abs() < 1e-9);
        assert_eq!(Detour::of([]), None);
    }
}
