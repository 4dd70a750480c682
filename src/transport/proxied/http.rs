//! HTTP CONNECT as its client speaks it (RFC 9110, section 9.3.6): bytes ⇄ messages, without a socket.

use std::io::ErrorKind;

use super::refusal::{Answered, QUOTES, Refusal};
use super::socks5::Read;
use crate::units::base64;
use crate::units::shown;

/// The longest head of an answer that is read, in bytes, as most servers have it.
pub const LONGEST: usize = 8 << 10;

/// How many characters of a status line are quoted.
const MAX_QUOTED: usize = 60;

/// Asks for a connection to `authority`, as `db.example:5432`, with a name and a password if there are some (RFC 7617).
pub fn request(authority: &str, login: Option<(&[u8], &[u8])>) -> Vec<u8> {
    let mut text = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some((user, password)) = login {
        let words = base64::encode(&[user, b":", password].concat());
        text += &format!("Proxy-Authorization: Basic {words}\r\n");
    }
    (text + "\r\n").into_bytes()
}

/// The answer: with it ends what the proxy says, and everything behind it comes from the target, whatever its fields say
/// about a length. `None` if more bytes are needed.
pub fn read_answer(bytes: &[u8]) -> Read<()> {
    let begins = b"HTTP/1.";
    if bytes.iter().zip(begins).any(|(a, b)| a != b) {
        let words = "does not speak HTTP: is it socks5:// that proxy_url should begin with?";
        return Some(Err(Refusal::new(ErrorKind::InvalidData, words)));
    }
    let line_end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = bytes[..line_end].strip_suffix(b"\r").unwrap_or(&bytes[..line_end]);
    let status = match line.get(begins.len()..) {
        Some([_, b' ', digits @ ..])
            if digits.len() >= 3 && digits.get(3).is_none_or(|byte| *byte == b' ') =>
        {
            str::from_utf8(&digits[..3]).ok().and_then(|digits| digits.parse().ok())
        }
        _ => None,
    };
    match status {
        Some(200..=299) => {
            // A line that is empty ends it; lines may end without CR (RFC 9112, section 2.2).
            let ends = (line_end..bytes.len()).filter(|at| bytes[*at] == b'\n');
            let end = ends.map(|at| (at + 1, &bytes[at + 1..])).find_map(|(at, rest)| match rest {
                [b'\n', ..] => Some(at + 1),
                [b'\r', b'\n', ..] => Some(at + 2),
                _ => None,
            });
            end.map(|length| Ok(((), length)))
        }
        status => Some(Err(refused(status, &String::from_utf8_lossy(line)))),
    }
}

/// The meaning of a status that is no success.
fn refused(status: Option<u16>, line: &str) -> Refusal {
    let (kind, what) = match status {
        Some(407) => (
            ErrorKind::PermissionDenied,
            "wants another user and password: write user:password@ in proxy_url",
        ),
        Some(403 | 405) => (ErrorKind::PermissionDenied, "does not allow this connection"),
        Some(502 | 503) => (ErrorKind::HostUnreachable, "does not reach the target"),
        Some(504) => (ErrorKind::TimedOut, "had no answer from the target"),
        _ => (ErrorKind::HostUnreachable, "makes no connection"),
    };
    let refusal = Refusal::new(kind, format!("{what}{QUOTES}{}')", shown(line, MAX_QUOTED)));
    match status {
        Some(status) => refusal.by(Answered::Status(status)),
        None => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_target_twice_and_the_user_once() {
        let plain = request("db.example:5432", None);
        assert_eq!(plain, b"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n");
        let text = String::from_utf8(request("[::1]:1", Some((b"Aladdin", b"open sesame")))).unwrap();
        assert!(
            text.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"),
            "{text}"
        );
    }

    #[test]
    fn nothing_behind_the_head_is_used() {
        for head in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200\r\nContent-Length: 5\r\nVia: x\r\n\r\n",
            "HTTP/1.1 204 \n\n",
        ] {
            let whole = format!("{head}SSH-2.0\r\n\r\n");
            assert_eq!(read_answer(whole.as_bytes()), Some(Ok(((), head.len()))), "{head}");
            for end in 0..head.len() {
                assert_eq!(read_answer(&whole.as_bytes()[..end]), None, "{head} {end}");
            }
        }
    }

    #[test]
    fn a_refusal_quotes_the_status_line() {
        let refusal = |text: &str| read_answer(text.as_bytes()).unwrap().unwrap_err();
        assert!(refusal("HTTP/1.1 407 Proxy Authentication Required\r\n").words.contains("user:password@"));
        let late = refusal("HTTP/1.1 504 Gateway Timeout\r\n");
        assert_eq!((late.kind, late.answered), (ErrorKind::TimedOut, Some(Answered::Status(504))));
        assert_eq!(refusal("SSH-2.0-x\r\n").answered, None);
        assert!(
            refusal("HTTP/1.1 404 \x1b[2JNo\r\n")
                .words
                .ends_with("(it answered 'HTTP/1.1 404 \\u{1b}[2JNo')")
        );
        assert!(refusal("SSH-2.0-x\r\n").words.contains("does not speak HTTP"));
        for odd in ["HTTP/1.1 2000 x\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1\r\n", "HTTP/1.1 +20 x\r\n"] {
            assert!(refusal(odd).words.contains("makes no connection"), "{odd}");
        }
    }
}
