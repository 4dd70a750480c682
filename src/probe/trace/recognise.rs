//! Recognises a service by its first bytes. Pure; the bytes are untrusted.

use serde::Serialize;

use super::protocol::Protocol;
use super::request::Request;
use super::tls;
use crate::units::shown;

/// A recognised service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recognised {
    /// The protocol.
    pub protocol: Protocol,
    /// The decisive part, escaped for a terminal: a status line, a greeting, a certificate.
    pub text: String,
    /// The status of an HTTP answer.
    pub status: Option<u16>,
    /// Host names in the body of an HTTP answer.
    pub names: Vec<String>,
}

impl Recognised {
    fn new(protocol: Protocol, text: impl Into<String>) -> Recognised {
        Recognised { protocol, text: text.into(), status: None, names: Vec::new() }
    }

    /// Whether an HTTP service answered with a status that a wrong Host header causes: 400, 403, 404 or 421.
    pub fn turns_host_away(&self) -> bool {
        self.protocol == Protocol::Http && matches!(self.status, Some(400 | 403 | 421))
    }
}

const MAX_TEXT: usize = 80;
const MAX_NAMES: usize = 4;

/// The protocol of an answer to `sent`, or of a greeting if nothing was sent; `None` if it is unknown.
pub fn recognise(sent: Option<&Request>, received: &[u8]) -> Option<Recognised> {
    if received.is_empty() {
        return None;
    }
    let request = sent.map(|sent| sent.protocol);
    if let Some(sent) = sent
        && (received == sent.bytes || received.len() >= 8 && sent.bytes.starts_with(received))
    {
        return Some(Recognised::new(Protocol::Echo, "returns what was sent"));
    }
    http(received)
        .or_else(|| tls(received))
        .or_else(|| greeting(received))
        .or_else(|| binary(received))
        .or_else(|| answer(request, received))
}

/// `HTTP/1.1 200 OK`
fn http(received: &[u8]) -> Option<Recognised> {
    if !received.starts_with(b"HTTP/1.") {
        return None;
    }
    let text = String::from_utf8_lossy(received);
    let status = text.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok());
    let lower = text.to_ascii_lowercase();
    // nginx, Apache, Go and others answer plain HTTP on a TLS port with an error in plain text.
    let tls_port = ["to https port", "to an https server", "ssl-enabled server port", "to a tls port"];
    if status == Some(400) && tls_port.iter().any(|words| lower.contains(words)) {
        return Some(Recognised::new(Protocol::Tls, "answers plain HTTP with a request for HTTPS"));
    }
    let mut first = line(received);
    let server = text.lines().find(|line| line.to_ascii_lowercase().starts_with("server:"));
    if let Some((_, server)) = server.and_then(|line| line.split_once(':')) {
        first = format!("{first}, {}", shown(server.trim(), 40));
    }
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some(Recognised { status, names: names(body), ..Recognised::new(Protocol::Http, first) })
}

/// Words of a text that look like host names: letters, digits and dots, the last part of letters.
fn names(body: &str) -> Vec<String> {
    let words = body.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
    let mut names: Vec<String> = Vec::new();
    for word in words.map(|word| word.trim_matches(['.', '-'])) {
        let last = word.rsplit('.').next().unwrap_or_default();
        let is_name = word.contains('.') && (2..=24).contains(&last.len()) && word.len() <= 253;
        let file =
            ["js", "css", "html", "htm", "json", "config", "ts", "py", "php", "txt", "png", "ico", "svg"];
        if is_name
            && last.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !file.contains(&last)
            && !names.iter().any(|name| name == word)
        {
            names.push(word.to_owned());
        }
        if names.len() == MAX_NAMES {
            break;
        }
    }
    names
}

fn tls(received: &[u8]) -> Option<Recognised> {
    let answer = tls::read_answer(received)?;
    Some(Recognised::new(Protocol::Tls, answer.to_string()))
}

/// Protocols whose server speaks first, in text.
fn greeting(received: &[u8]) -> Option<Recognised> {
    let starts = |prefix: &[u8]| received.starts_with(prefix);
    let contains = |word: &str| String::from_utf8_lossy(received).to_ascii_lowercase().contains(word);
    let protocol = match received {
        _ if starts(b"SSH-") => Protocol::Ssh,
        _ if starts(b"220 ") || starts(b"220-") => {
            if contains("ftp") {
                Protocol::Ftp
            } else {
                Protocol::Smtp
            }
        }
        _ if starts(b"554 ") || starts(b"421 ") => Protocol::Smtp,
        _ if starts(b"+OK") => Protocol::Pop3,
        _ if starts(b"* OK") || starts(b"* PREAUTH") || starts(b"* BYE") => Protocol::Imap,
        _ if starts(b"RFB 00") => Protocol::Rfb,
        _ if starts(b"@RSYNCD:") => Protocol::Rsync,
        _ if starts(b"AMQP") => Protocol::Amqp,
        _ => return None,
    };
    Some(Recognised::new(protocol, line(received)))
}

fn binary(received: &[u8]) -> Option<Recognised> {
    mysql(received).or_else(|| http2(received))
}

/// The initial handshake packet: a length of three bytes, sequence 0, protocol version 10 and the server's version; or
/// an error packet (dev.mysql.com, "Connection Phase").
fn mysql(received: &[u8]) -> Option<Recognised> {
    let [a, b, c, 0, kind @ (0x0a | 0xff), rest @ ..] = received else { return None };
    let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
    let plausible = (4..=1024).contains(&length) && received.len() <= 4 + length + 64;
    let text = match kind {
        0x0a => rest.split(|byte| *byte == 0).next()?,
        _ => rest.get(2..)?,
    };
    let readable = !text.is_empty() && text.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte >= 0x80);
    (plausible && readable).then(|| Recognised::new(Protocol::Mysql, line(text)))
}

/// A SETTINGS or GOAWAY frame on stream 0 (RFC 9113, section 4.1).
fn http2(received: &[u8]) -> Option<Recognised> {
    let [_, _, _, kind @ (4 | 7), _, 0, 0, 0, 0, ..] = received else { return None };
    let length = u32::from_be_bytes([0, received[0], received[1], received[2]]);
    let fits = length <= 16_384 && (*kind == 7 && length >= 8 || *kind == 4 && length.is_multiple_of(6));
    fits.then(|| Recognised::new(Protocol::Http2, "an HTTP/2 frame"))
}

/// Recognises answers, some of which are meaningful only to a certain request.
fn answer(request: Option<Protocol>, received: &[u8]) -> Option<Recognised> {
    let starts = |prefix: &[u8]| received.starts_with(prefix);
    let redis_error = [
        &b"-ERR "[..],
        b"-NOAUTH",
        b"-DENIED",
        b"-LOADING",
        b"-MISCONF",
        b"-BUSY",
        b"-MASTERDOWN",
        b"-NOPERM",
    ];
    match request {
        Some(Protocol::Postgres) if matches!(received, [b'S' | b'N']) => {
            let encryption = if received == b"S" { "offers TLS" } else { "offers no TLS" };
            Some(Recognised::new(Protocol::Postgres, encryption))
        }
        // An error packet: its type, a length, and fields of text.
        Some(Protocol::Postgres) if starts(b"E\0\0") => {
            Some(Recognised::new(Protocol::Postgres, "an error packet"))
        }
        _ if starts(b"+PONG") || redis_error.iter().any(|error| starts(error)) => {
            Some(Recognised::new(Protocol::Redis, line(received)))
        }
        _ if starts(b"VERSION ") || starts(b"ERROR\r\n") || starts(b"CLIENT_ERROR") => {
            Some(Recognised::new(Protocol::Memcached, line(received)))
        }
        // HTTP/0.9: a page without headers.
        Some(Protocol::Http) if received.trim_ascii_start().starts_with(b"<") => {
            Some(Recognised::new(Protocol::Http, "a page without headers (HTTP/0.9)"))
        }
        _ => None,
    }
}

/// The first line, escaped for a terminal.
pub fn line(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    shown(&String::from_utf8_lossy(&bytes[..end]), MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::trace::request;

    fn found(received: &[u8]) -> Option<Protocol> {
        recognise(Some(&request::http("h")), received).map(|found| found.protocol)
    }

    #[test]
    fn the_first_bytes_of_common_services_name_them() {
        let cases: [(&[u8], Protocol); 16] = [
            (b"HTTP/1.0 200 OK\r\n\r\n", Protocol::Http),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Protocol::Ssh),
            (b"220 mail ESMTP Postfix\r\n", Protocol::Smtp),
            (b"220-Welcome to Pure-FTPd\r\n", Protocol::Ftp),
            (b"+OK Dovecot ready.\r\n", Protocol::Pop3),
            (b"* OK [CAPABILITY IMAP4rev1]\r\n", Protocol::Imap),
            (b"-ERR wrong number of arguments for 'get' command\r\n", Protocol::Redis),
            (b"-DENIED Redis is running in protected mode\r\n", Protocol::Redis),
            (b"ERROR\r\n", Protocol::Memcached),
            (b"AMQP\x00\x00\x09\x01", Protocol::Amqp),
            (b"RFB 003.008\n", Protocol::Rfb),
            (b"@RSYNCD: 31.0\n", Protocol::Rsync),
            (b"\x15\x03\x01\x00\x02\x02\x46", Protocol::Tls),
            (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x10\x00\x00", Protocol::Http2),
            (b"J\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00", Protocol::Mysql),
            (b"\x1e\x00\x00\x00\xff\x6a\x04Host 'x' is not allowed", Protocol::Mysql),
        ];
        for (bytes, protocol) in cases {
            assert_eq!(found(bytes), Some(protocol), "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(found(b"hello"), None);
        assert_eq!(found(&request::http("h").bytes), Some(Protocol::Echo));
    }

    #[test]
    fn an_answer_to_an_ssl_request_counts_only_after_one() {
        let ssl_request = request::of(Protocol::Postgres, "h");

        assert_eq!(recognise(Some(&ssl_request), b"N").unwrap().protocol, Protocol::Postgres);
        assert_eq!(recognise(None, b"N"), None);
    }

    #[test]
    fn a_page_that_asks_for_https_is_tls_and_one_that_names_its_host_names_it() {
        let https =
            b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\nThe plain HTTP request was sent to HTTPS port";
        let blocked = b"HTTP/1.1 403 Forbidden\r\n\r\nBlocked request. Add \"app.test\" to vite.config.js";

        assert_eq!(found(https), Some(Protocol::Tls));
        let blocked = recognise(None, blocked).unwrap();
        assert_eq!(blocked.names, ["app.test"]);
        assert!(blocked.turns_host_away());
    }

    proptest! {
        #[test]
        fn no_answer_panics_or_garbles_a_terminal(bytes: Vec<u8>) {
            for sent in [None, Some(request::http("h")), Some(request::of(Protocol::Postgres, "h"))] {
                if let Some(found) = recognise(sent.as_ref(), &bytes) {
                    prop_assert!(!found.text.contains(char::is_control));
                }
            }
        }

        #[test]
        fn a_hostile_head_is_shown_in_one_clean_line(tail in ".*") {
            let text = format!("HTTP/1.1 200 {tail}\r\nServer: {tail}\r\n\r\n{tail}");
            let found = recognise(None, text.as_bytes()).unwrap();
            prop_assert!(!found.text.contains(char::is_control) && found.text.chars().count() <= 600);
        }
    }
}
