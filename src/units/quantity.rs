//! What all quantities of a configuration share.

/// The value of a key that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrOff<T>(pub Option<T>);

/// `"1.5"` × 1,000,000 = 1,500,000, in integers so that nothing is rounded.
pub(super) fn scaled(number: &str, by: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let parts = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(by)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(by)?;
    fraction.is_multiple_of(parts).then(|| whole.checked_add(fraction / parts))?
}
