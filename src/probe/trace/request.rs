//! The one request that a connection may send: the most harmless one of each protocol.
//!
//! No request names a user, changes anything or requires more than a greeting in return.

use serde::{Serialize, Serializer};

use super::protocol::Protocol;
use super::tls;

/// The bytes to send, and their meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its protocol.
    pub protocol: Protocol,
    /// The host that an HTTP request names.
    pub host: Option<String>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Request {
    /// Its name in a report.
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

/// The request for a service that probably speaks `protocol`. If the server greets first, or the protocol has no
/// harmless request, it is the HTTP request, which every kind of server has received before.
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
