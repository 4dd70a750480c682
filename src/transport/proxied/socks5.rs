//! SOCKS5 as its client speaks it (RFC 1928; the password, RFC 1929): bytes ⇄ messages, without a socket.
//!
//! Each reader takes the bytes that have arrived so far, and returns its message and the message's length, or `None` for
//! more bytes. It uses no byte behind the message: what follows comes from the target.

use std::io::ErrorKind;
use std::net::IpAddr;

use super::refusal::{Answered, Refusal};

/// The longest message of a server: a reply with a name of 255 bytes.
pub const LONGEST: usize = 262;

/// The longest name and password.
pub const LONGEST_LOGIN: usize = 255;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTED: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What a message is read as.
pub type Read<T> = Option<Result<(T, usize), Refusal>>;

/// The first message: the ways to log in that we have.
pub fn hello(has_login: bool) -> Vec<u8> {
    if has_login { vec![VERSION, 2, NO_LOGIN, PASSWORD] } else { vec![VERSION, 1, NO_LOGIN] }
}

/// The answer to [`hello`]: whether to send the password.
pub fn read_method(bytes: &[u8]) -> Read<bool> {
    if *bytes.first()? != VERSION {
        return Some(Err(no_socks()));
    }
    Some(match *bytes.get(1)? {
        NO_LOGIN => Ok((false, 2)),
        PASSWORD => Ok((true, 2)),
        NONE_ACCEPTED => Err(Refusal::new(
            ErrorKind::PermissionDenied,
            "accepts no way to log in that is known here: write user:password@ in proxy_url",
        )),
        other => Err(Refusal::new(
            ErrorKind::InvalidData,
            format!("wants a way to log in ({other}) that it was not offered"),
        )),
    })
}

/// The name and the password, each of at most [`LONGEST_LOGIN`] bytes.
pub fn login(user: &[u8], password: &[u8]) -> Vec<u8> {
    [&[1, user.len() as u8][..], user, &[password.len() as u8], password].concat()
}

/// The answer to [`login`].
pub fn read_login(bytes: &[u8]) -> Read<()> {
    bytes.first()?;
    // Some servers answer with the version of SOCKS in place of the negotiation's; only the second byte counts.
    Some(match *bytes.get(1)? {
        0 => Ok(((), 2)),
        _ => Err(Refusal::new(
            ErrorKind::PermissionDenied,
            "does not accept the user and password in proxy_url",
        )),
    })
}

/// Asks for a connection to an address.
pub fn request_ip(ip: IpAddr, port: u16) -> Vec<u8> {
    let (kind, address) = match ip {
        IpAddr::V4(ip) => (IPV4, ip.octets().to_vec()),
        IpAddr::V6(ip) => (IPV6, ip.octets().to_vec()),
    };
    [&[VERSION, CONNECT, 0, kind][..], &address, &port.to_be_bytes()].concat()
}

/// Asks for a connection to a name, which the server looks up; `None` if it is longer than 255 bytes.
pub fn request_name(name: &str, port: u16) -> Option<Vec<u8>> {
    let length = u8::try_from(name.len()).ok()?;
    Some([&[VERSION, CONNECT, 0, NAME, length][..], name.as_bytes(), &port.to_be_bytes()].concat())
}

/// The answer to a request.
pub fn read_reply(bytes: &[u8]) -> Read<()> {
    if *bytes.first()? != VERSION {
        return Some(Err(no_socks()));
    }
    let code = *bytes.get(1)?;
    if code != 0 {
        return Some(Err(refused(code)));
    }
    // The address from which it connected means nothing here.
    let address = match *bytes.get(3)? {
        IPV4 => 4,
        IPV6 => 16,
        NAME => 1 + usize::from(*bytes.get(4)?),
        _ => return Some(Err(no_socks())),
    };
    let length = 4 + address + 2;
    (bytes.len() >= length).then_some(Ok(((), length)))
}

fn no_socks() -> Refusal {
    Refusal::new(
        ErrorKind::InvalidData,
        "does not speak SOCKS5: is it http:// that proxy_url should begin with?",
    )
}

/// The meaning of a reply's code (RFC 1928, section 6).
fn refused(code: u8) -> Refusal {
    let (kind, what) = match code {
        1 => (ErrorKind::HostUnreachable, "reports a failure"),
        2 => (ErrorKind::PermissionDenied, "does not allow this connection"),
        3 => (ErrorKind::NetworkUnreachable, "finds no network to the target"),
        4 => (ErrorKind::HostUnreachable, "does not find the target, or no address for its name"),
        5 => (ErrorKind::ConnectionRefused, "was refused by the target"),
        6 => (ErrorKind::TimedOut, "had no answer from the target"),
        7 => (ErrorKind::Unsupported, "connects nobody"),
        8 => (ErrorKind::Unsupported, "does not know this kind of address"),
        _ => (ErrorKind::HostUnreachable, "refuses"),
    };
    Refusal::new(kind, format!("{what} (SOCKS reply {code})")).by(Answered::Reply(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_rfcs() {
        assert_eq!((hello(false), hello(true)), (vec![5, 1, 0], vec![5, 2, 0, 2]));
        assert_eq!(login(b"me", b"key"), b"\x01\x02me\x03key");
        assert_eq!(request_ip([127, 0, 0, 1].into(), 80), [5, 1, 0, 1, 127, 0, 0, 1, 0, 80]);
        assert_eq!(request_name("db", 5432).unwrap(), b"\x05\x01\x00\x03\x02db\x15\x38");
        assert_eq!(request_name(&"x".repeat(256), 1), None);
    }

    #[test]
    fn nothing_behind_a_message_is_used() {
        for (reply, length) in [
            (&b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50SSH-2.0"[..], 10),
            (b"\x05\x00\x00\x03\x02db\x00\x50SSH-2.0", 9),
        ] {
            assert_eq!(read_reply(reply), Some(Ok(((), length))));
            for end in 0..length {
                assert_eq!(read_reply(&reply[..end]), None, "{end}");
            }
        }
        assert_eq!(read_method(b"\x05\x02rest"), Some(Ok((true, 2))));
        assert_eq!(read_login(b"\x01\x00rest"), Some(Ok(((), 2))));
    }

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let words = |read: Read<()>| read.unwrap().unwrap_err();
        let refused = words(read_reply(b"\x05\x05"));
        assert_eq!(
            (refused.kind, refused.answered),
            (ErrorKind::ConnectionRefused, Some(Answered::Reply(5)))
        );
        assert!(words(read_reply(b"\x05\x09")).words.contains("SOCKS reply 9"));
        assert!(words(read_reply(b"HTTP/1.1 400")).words.contains("does not speak SOCKS5"));
        assert!(words(read_login(b"\x01\x01")).words.contains("user and password"));
        assert!(read_method(b"\x05\xff").unwrap().unwrap_err().words.contains("user:password@"));
    }
}
