//! What the first bytes of a client are if they are not TLS, for the hint of the record.

/// The name of the protocol, if the bytes show it. Bytes that might only be the beginning of it do not count.
pub fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    let starts = |prefixes: &[&[u8]]| prefixes.iter().any(|word| bytes.starts_with(word));
    Some(match bytes {
        _ if starts(&[b"PRI * HTTP/2"]) => "HTTP/2 in plain text",
        _ if starts(&[
            b"GET ",
            b"POST ",
            b"HEAD ",
            b"PUT ",
            b"DELETE ",
            b"OPTIONS ",
            b"PATCH ",
            b"TRACE ",
        ]) =>
        {
            "HTTP in plain text"
        }
        _ if starts(&[b"CONNECT "]) => "a request for an HTTP proxy",
        _ if starts(&[b"SSH-"]) => "SSH",
        _ if starts(&[b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"]) => "a PROXY header",
        _ if starts(&[b"EHLO ", b"HELO ", b"LHLO "]) => "SMTP",
        // SSLRequest and GSSENCRequest: it speaks TLS only after an answer (PostgreSQL manual, 55.2).
        [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f | 0x30, ..] => "PostgreSQL, whose clients ask before they speak TLS",
        // RFC 6101, appendix E: a length with its highest bit set, CLIENT-HELLO, a version.
        [0x80..=0xff, _, 1, 0 | 2 | 3, ..] => "the hello of SSL 2.0",
        // The other kinds of records: change_cipher_spec, alert, application_data.
        [20 | 21 | 23, 3, ..] => "TLS that has begun elsewhere",
        // TPKT, version 3, around a connection request (RFC 905, CR).
        [3, 0, _, _, _, 0xe0, ..] => "RDP, whose clients ask before they speak TLS",
        // RFC 1928: the version, some methods; SOCKS 4: the version, CONNECT.
        [5, 1..=4, ..] | [4, 1, ..] => "SOCKS",
        [0x10, _, _, _, b'M', b'Q', ..] => "MQTT in plain text",
        _ if starts(&[b"*1\r\n$", b"*2\r\n$", b"*3\r\n$", b"PING\r\n"]) => "Redis in plain text",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_clients_are_known_by_their_first_bytes() {
        for (bytes, name) in [
            (&b"GET / HTTP/1.1\r\n"[..], Some("HTTP in plain text")),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Some("SSH")),
            (b"PROXY TCP4 1.2.3.4", Some("a PROXY header")),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Some("PostgreSQL, whose clients ask before they speak TLS")),
            (b"\x80\x2e\x01\x03\x01\0\x15", Some("the hello of SSL 2.0")),
            (b"\x15\x03\x01\0\x02\x02\x28", Some("TLS that has begun elsewhere")),
            (b"\x05\x01\0", Some("SOCKS")),
            (b"\x03\0\0\x13\x0e\xe0", Some("RDP, whose clients ask before they speak TLS")),
            (b"GE", None),
            (b"\0\0", None),
            (b"", None),
        ] {
            assert_eq!(looks_like(bytes), name, "{bytes:?}");
        }
    }
}
