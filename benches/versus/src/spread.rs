//! How sure a median is.
//!
//! The spread is the interval that holds the true median in some 93 of 100 runs or more, whatever the noise looks like, relative
//! to the median that was found. It is read off the sorted readings: of five, from the lowest to the highest; of fifteen,
//! from the fourth to the twelfth. So it narrows as rounds are added, which the distance of the extremes never does, and
//! that of the quartiles only by chance.

/// Of sorted readings; of fewer than five it is that of all. None of a single one, or around zero.
pub(crate) fn spread(sorted: &[f64], median: f64) -> Option<f64> {
    let outside = outside(sorted.len());
    let (low, high) = (sorted.get(outside)?, sorted.get(sorted.len().checked_sub(outside + 1)?)?);
    (sorted.len() > 1 && median > 0.0).then_some((high - low) / median)
}

/// How many of `count` readings lie beyond the interval at each end.
fn outside(count: usize) -> usize {
    const UNSURE: f64 = 0.075;
    // The true median lies below the (k + 1)th reading as often as a coin shows at most k heads in `count` throws.
    let mut throws = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let (mut beyond, mut outside) = (throws, 0);
    for heads in 1..=count / 2 {
        throws *= (count + 1 - heads) as f64 / heads as f64;
        beyond += throws;
        if 2.0 * beyond > UNSURE {
            break;
        }
        outside = heads;
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_beyond_the_interval_are_those_of_the_sign_test() {
        let expected = [(1, 0), (3, 0), (5, 0), (7, 0), (8, 1), (10, 1), (11, 2), (15, 3), (30, 9)];
        for (count, expected) in expected {
            assert_eq!(outside(count), expected, "of {count}");
        }
    }

    #[test]
    fn a_spread_is_relative_to_the_median_and_leaves_outliers_out_once_there_are_enough_readings() {
        assert_eq!(spread(&[9.0, 10.0, 12.0], 10.0), Some(0.3));
        let many = [1.0, 9.5, 10.0, 10.0, 10.0, 10.0, 10.5, 99.0];
        assert_eq!(spread(&many, 10.0), Some(0.1));
    }

    #[test]
    fn one_reading_and_a_median_of_nothing_have_no_spread() {
        assert_eq!(spread(&[], 0.0), None);
        assert_eq!(spread(&[10.0], 10.0), None);
        assert_eq!(spread(&[0.0, 0.0], 0.0), None);
    }
}
