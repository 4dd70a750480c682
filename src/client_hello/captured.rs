//! Hellos as OpenSSL 3.0 and curl 7.88 sent them, byte for byte, cut everywhere.

use super::samples::records;
use super::tests::{asks, read, trickled};

/// The header of a record precedes the message.
const RECORD_HEADER: usize = 5;

const HELLOS: [(&[u8], Option<&str>, &[&str]); 4] = [
    (include_bytes!("../../tests/vectors/hellos/openssl_tls13.bin"), Some("a.example"), &["h2", "http/1.1"]),
    (include_bytes!("../../tests/vectors/hellos/openssl_tls12.bin"), Some("a.example"), &[]),
    (include_bytes!("../../tests/vectors/hellos/openssl_no_name.bin"), None, &[]),
    (include_bytes!("../../tests/vectors/hellos/curl.bin"), Some("a.example"), &["h2", "http/1.1"]),
];

#[test]
fn hellos_of_real_clients_are_understood_however_many_of_their_bytes_come_at_once() {
    for (wire, name, protocols) in HELLOS {
        assert_eq!(read(wire), asks(name, protocols));
        assert_eq!(trickled(wire), asks(name, protocols));
    }
}

#[test]
fn hellos_of_real_clients_are_understood_over_two_records_cut_anywhere() {
    for (wire, name, protocols) in HELLOS {
        let message = &wire[RECORD_HEADER..];
        for cut in 1..message.len() {
            let wire = records(message, &[cut, message.len() - cut]);

            assert_eq!(trickled(&wire), asks(name, protocols), "cut at {cut}");
        }
        assert_eq!(trickled(&records(message, &[1])), asks(name, protocols));
    }
}
