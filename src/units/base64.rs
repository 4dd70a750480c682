//! Base64 with padding (RFC 4648, section 4): the keys and passwords that other protocols write so.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, n| number << 8 | usize::from(*group.get(n).unwrap_or(&0)));
        for n in 0..4 {
            // A byte fills one letter and begins another.
            let is_filled = n <= group.len();
            text.push(if is_filled { char::from(LETTERS[number >> (18 - 6 * n) & 63]) } else { '=' });
        }
    }
    text
}

/// The bytes of a text; `None` if it is none of [`encode`].
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let letters = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(letters.len() * 3 / 4);
    let (mut number, mut bits) = (0u32, 0);
    for letter in letters.bytes() {
        let value = LETTERS.iter().position(|it| *it == letter)?;
        number = (number << 6 | value as u32) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((number >> bits) as u8);
        }
    }
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc_are_met_both_ways() {
        let vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (n, text) in vectors.iter().enumerate() {
            assert_eq!(encode(&b"foobar"[..n]), *text);
            assert_eq!(decode(text).as_deref(), Some(&b"foobar"[..n]));
        }
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn what_is_no_text_of_it_is_refused() {
        for wrong in ["Zg", "Zg=", "Zh==", "Zm9v=", "Zm 9v", "Zm-_", "=", "====", "é"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
