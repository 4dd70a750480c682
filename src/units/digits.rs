//! Numbers and addresses as text, without the formatting machinery of the standard library.
//!
//! A record has a dozen of them, and is written once per session: through `write!` each costs a hundred instructions and
//! more, for padding and precision that a record never has.

use std::fmt;
use std::net::SocketAddr;

/// Writes a number in decimal.
///
/// # Errors
/// As of the writer.
pub(crate) fn write_number(out: &mut impl fmt::Write, number: u64) -> fmt::Result {
    out.write_str(itoa::Buffer::new().format(number))
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
