//! The one request a connection may send: the most harmless thing each protocol has.
//!
//! None of them names a user, changes anything or asks for more than a greeting.

use serde::{Serialize, Serializer};

use super::protocol::Protocol;
use super::tls;

/// Bytes to send, and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The protocol it is made in.
    pub protocol: Protocol,
    /// The host it names, of an HTTP request.
    pub host: Option<String>,
    /// What is sent.
    pub bytes: Vec<u8>,
}

impl Request {
    /// What a report calls it.
    pub fn name(&self) -> String {
        match (self.protocol, &self.host) {
            (Protocol::Http, Some(host)) => format!("GET / (Host: {host})"),
            (Protocol::Tls, _) => "a TLS ClientHello".to_owned(),
            (Protocol::Postgres, _) => "a PostgreSQL SSLRequest".to_owned(),
            (Protocol::Redis, _) => "PING".to_owned(),
            (Protocol::Memcached, _) => "version".to_owned(),
            (protocol, _) => protocol.name().to_owned(),
        }
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

/// The request for a service that probably speaks `protocol`. Where the server greets, and where there is nothing
/// harmless to say, it is HTTP's: the one every kind of server has met before.
pub fn of(protocol: Protocol, host: &str) -> Request {
    let bytes = match protocol {
        Protocol::Tls => tls::client_hello(host),
        // Length 8 and the code of an SSLRequest (protocol-message-formats of PostgreSQL): answered with S or N.
        Protocol::Postgres => vec![0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f],
        Protocol::Redis => b"PING\r\n".to_vec(),
        Protocol::Memcached => b"version\r\n".to_vec(),
        _ => return http(host),
    };
    Request { protocol, host: None, bytes }
}

/// `GET /`, which changes nothing (RFC 9110, section 9.2.1).
pub fn http(host: &str) -> Request {
    let host: String = host.chars().filter(|c| c.is_ascii_graphic()).collect();
    let text = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: loopgate-explain\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    Request { protocol: Protocol::Http, host: Some(host), bytes: text.into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_smuggle_a_second_line() {
        let request = http("a\r\nX-Evil: 1");

        assert_eq!(String::from_utf8(request.bytes).unwrap().matches("\r\n").count(), 6);
    }
}
