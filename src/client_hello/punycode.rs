//! A name in the letters of its language → the name DNS and TLS carry (RFC 3492), to propose it to who wrote the first.
//!
//! Only a proposal: letters are made lower case and not normalised any further, as all of IDNA would have it.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const FIRST_BIAS: u32 = 72;
const FIRST_CODE: u32 = 0x80;

/// The longest label that is looked at, in characters; none longer fits into DNS.
const LONGEST_LABEL: usize = 63;

/// Each label in its `xn--` form, where it needs one.
pub(super) fn to_ascii(name: &str) -> Option<String> {
    let labels = name.split('.').map(|label| match label.is_ascii() {
        true => Some(label.to_owned()),
        false => encode(&label.to_lowercase()).map(|encoded| format!("xn--{encoded}")),
    });
    Some(labels.collect::<Option<Vec<_>>>()?.join("."))
}

/// RFC 3492, section 6.3.
fn encode(label: &str) -> Option<String> {
    let codes: Vec<u32> = label.chars().map(u32::from).collect();
    if codes.len() > LONGEST_LABEL {
        return None;
    }
    let mut encoded: String = label.chars().filter(char::is_ascii).collect();
    let plain = encoded.len() as u32;
    if plain > 0 {
        encoded.push('-');
    }
    let (mut next, mut delta, mut bias, mut done) = (FIRST_CODE, 0_u32, FIRST_BIAS, plain);
    while (done as usize) < codes.len() {
        let code = codes.iter().copied().filter(|code| *code >= next).min()?;
        delta = delta.checked_add((code - next).checked_mul(done + 1)?)?;
        for &other in &codes {
            if other < code {
                delta = delta.checked_add(1)?;
            }
            if other == code {
                push_number(&mut encoded, delta, bias);
                bias = adapted(delta, done + 1, done == plain);
                (delta, done) = (0, done + 1);
            }
        }
        (delta, next) = (delta.checked_add(1)?, code + 1);
    }
    Some(encoded)
}

/// A number of digits whose worth depends on the bias.
fn push_number(encoded: &mut String, mut number: u32, bias: u32) {
    for step in (BASE..).step_by(BASE as usize) {
        let threshold = step.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if number < threshold {
            break;
        }
        encoded.push(digit(threshold + (number - threshold) % (BASE - threshold)));
        number = (number - threshold) / (BASE - threshold);
    }
    encoded.push(digit(number));
}

fn digit(value: u32) -> char {
    char::from_digit((value + 10) % BASE, BASE).unwrap_or('0')
}

/// RFC 3492, section 6.1.
fn adapted(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / count;
    let mut steps = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        steps += BASE;
    }
    steps + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_languages_are_told_as_dns_carries_them() {
        for (name, ascii) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
            ("ليهمابتكلموشعربي؟", "xn--egbpdaj6bu4bxfgehfvwxn"),
            ("a.example", "a.example"),
        ] {
            assert_eq!(to_ascii(name).as_deref(), Some(ascii), "{name}");
        }
        assert_eq!(to_ascii(&"ü".repeat(64)), None);
    }
}
