//! A bar of block characters, exact to an eighth of a column.

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar for `value` where `most` fills `width` columns. What is not zero is seen.
pub(super) fn bar(value: f64, most: f64, width: usize) -> String {
    if !(value > 0.0 && most > 0.0) {
        return String::new();
    }
    let eighths = (value / most * width as f64 * 8.0).round().clamp(1.0, width as f64 * 8.0) as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[test]
fn a_bar_is_as_long_as_its_share() {
    assert_eq!(bar(1.0, 1.0, 4), "████");
    assert_eq!(bar(0.5, 1.0, 3), "█▌");
    assert_eq!(bar(0.0001, 1.0, 4), "▏");
    assert_eq!(bar(0.0, 1.0, 4), "");
    assert_eq!(bar(f64::NAN, 1.0, 4), "");
}
