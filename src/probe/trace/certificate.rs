//! The name and the dates of an X.509 certificate, read out of its DER (RFC 5280, section 4.1). Nothing is verified.

use std::fmt;

use crate::probe::system::redact::printable;

/// What a person wants to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its subject; empty where it has none.
    pub name: String,
    /// The first day it is good for, as `2026-11-24`.
    pub from: String,
    /// The last day.
    pub until: String,
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CN={}, {} to {}", self.name, self.from, self.until)
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const MAX_NAME_CHARS: usize = 64;

/// Reads a certificate; `None` where it is not one.
pub fn read_certificate(der: &[u8]) -> Option<Certificate> {
    let mut outer = Der(Der(der).take(SEQUENCE)?);
    let mut fields = Der(outer.take(SEQUENCE)?);
    if fields.kind() == Some(VERSION) {
        fields.any()?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields.any()?;
    }
    let mut validity = Der(fields.take(SEQUENCE)?);
    let (from, until) = (day(validity.any()?)?, day(validity.any()?)?);
    let name = common_name(fields.take(SEQUENCE)?).unwrap_or_default();
    Some(Certificate { name, from, until })
}

/// A name is a sequence of sets of (type, value).
fn common_name(name: &[u8]) -> Option<String> {
    let mut sets = Der(name);
    while sets.kind() == Some(SET) {
        let mut pair = Der(Der(sets.take(SET)?).take(SEQUENCE)?);
        if pair.take(OBJECT_ID)? == COMMON_NAME {
            let (_, value) = pair.any()?;
            return Some(printable(&String::from_utf8_lossy(value), MAX_NAME_CHARS));
        }
    }
    None
}

/// `261124…Z` or `20261124…Z`
fn day((kind, text): (u8, &[u8])) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let text = &text[..digits];
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            // RFC 5280, section 4.1.2.5.1.
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    Some(format!("{year}-{}-{}", rest.get(..2)?, rest.get(2..4)?))
}

/// Elements of DER, one after another: a type, a length, a value.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn kind(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let [kind, length, rest @ ..] = self.0 else { return None };
        let (length, rest) = match length {
            short @ 0..=0x7f => (usize::from(*short), rest),
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*kind, value))
    }

    fn take(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (kind, value) = self.any()?;
        (kind == wanted).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn der(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind, value.len() as u8][..], value].concat()
    }

    fn sample(name: &[u8]) -> Vec<u8> {
        let pair = der(SEQUENCE, &[der(OBJECT_ID, &COMMON_NAME), der(0x0c, name)].concat());
        let subject = der(SEQUENCE, &der(SET, &pair));
        let dates = [der(UTC_TIME, b"261124080000Z"), der(GENERALIZED_TIME, b"20361126080000Z")].concat();
        let fields = [
            der(VERSION, &[2, 1, 2]),
            der(2, &[7]),
            der(SEQUENCE, &[]),
            der(SEQUENCE, &[]),
            der(SEQUENCE, &dates),
            subject,
        ];
        der(SEQUENCE, &der(SEQUENCE, &fields.concat()))
    }

    #[test]
    fn the_name_and_the_dates_are_read() {
        let read = read_certificate(&sample(b"localhost")).unwrap();

        assert_eq!(read.to_string(), "CN=localhost, 2026-11-24 to 2036-11-26");
    }

    #[test]
    fn a_name_cannot_garble_a_terminal() {
        let read = read_certificate(&sample(b"\x1b[2J\xff")).unwrap();

        assert!(!read.name.contains(char::is_control));
    }

    #[test]
    fn every_truncation_is_none_and_never_a_panic() {
        let whole = sample(b"localhost");
        for length in 0..whole.len() {
            assert_eq!(read_certificate(&whole[..length]), None, "cut at {length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, at in 0usize..70, byte: u8) {
            let _ = read_certificate(&bytes);
            let mut changed = sample(b"localhost");
            let at = at % changed.len();
            changed[at] = byte;
            let _ = read_certificate(&changed);
        }
    }
}
