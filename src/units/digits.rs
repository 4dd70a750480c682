//! Numbers and addresses as text, without the formatting machinery of the standard library.
//!
//! A record has a dozen of them, and is written once per session: through `write!` each costs a hundred instructions and
//! more, for padding and precision that a record never has.

use std::fmt;
use std::net::SocketAddr;

/// The digits of the largest number.
const MOST: usize = 20;

/// Writes a number in decimal.
///
/// # Errors
/// As of the writer.
pub(crate) fn write_number(out: &mut impl fmt::Write, number: u64) -> fmt::Result {
    write_padded(out, number, 1)
}

/// The same, with at least so many digits.
///
/// # Errors
/// As of the writer.
pub(crate) fn write_padded(out: &mut impl fmt::Write, mut number: u64, least: usize) -> fmt::Result {
    let mut digits = [b'0'; MOST];
    let mut first = MOST;
    while number > 0 || MOST - first < least {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.write_str(std::str::from_utf8(&digits[first..]).unwrap_or_default())
}

/// Writes a socket's address as its `Display` does.
///
/// # Errors
/// As of the writer.
pub(crate) fn write_address(out: &mut impl fmt::Write, address: &SocketAddr) -> fmt::Result {
    let SocketAddr::V4(address) = address else { return write!(out, "{address}") };
    for (n, part) in address.ip().octets().into_iter().enumerate() {
        if n > 0 {
            out.write_char('.')?;
        }
        write_number(out, part.into())?;
    }
    out.write_char(':')?;
    write_number(out, address.port().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_standard_library_writes_it() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, 1 << 40, u64::MAX] {
            let mut text = String::new();
            write_number(&mut text, number).unwrap();
            assert_eq!(text, number.to_string());
        }
        let mut text = String::new();
        write_padded(&mut text, 7, 2).unwrap();
        assert_eq!(text, "07");
    }

    #[test]
    fn an_address_is_written_as_the_standard_library_writes_it() {
        for address in ["0.0.0.0:0", "127.0.0.1:62893", "255.10.9.100:65535", "[::1]:80", "[fe80::1%2]:1"] {
            let (address, mut text) = (address.parse::<SocketAddr>().unwrap(), String::new());
            write_address(&mut text, &address).unwrap();
            assert_eq!(text, address.to_string());
        }
    }
}
