//! The protocols that a trace recognises, and which one a port or a program's name suggests.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A protocol, recognised by a service's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // Their names are the documentation.
pub enum Protocol {
    Http,
    Http2,
    Tls,
    Ssh,
    Smtp,
    Ftp,
    Pop3,
    Imap,
    Mysql,
    Postgres,
    Redis,
    Memcached,
    Amqp,
    Rfb,
    Rsync,
    /// A service that returns what it receives.
    Echo,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Protocol; 16] = [
        Protocol::Http,
        Protocol::Http2,
        Protocol::Tls,
        Protocol::Ssh,
        Protocol::Smtp,
        Protocol::Ftp,
        Protocol::Pop3,
        Protocol::Imap,
        Protocol::Mysql,
        Protocol::Postgres,
        Protocol::Redis,
        Protocol::Memcached,
        Protocol::Amqp,
        Protocol::Rfb,
        Protocol::Rsync,
        Protocol::Echo,
    ];

    /// The value of `--expect` for this protocol.
    pub fn id(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Http2 => "http2",
            Protocol::Tls => "tls",
            Protocol::Ssh => "ssh",
            Protocol::Smtp => "smtp",
            Protocol::Ftp => "ftp",
            Protocol::Pop3 => "pop3",
            Protocol::Imap => "imap",
            Protocol::Mysql => "mysql",
            Protocol::Postgres => "postgres",
            Protocol::Redis => "redis",
            Protocol::Memcached => "memcached",
            Protocol::Amqp => "amqp",
            Protocol::Rfb => "vnc",
            Protocol::Rsync => "rsync",
            Protocol::Echo => "echo",
        }
    }

    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "HTTP",
            Protocol::Http2 => "HTTP/2",
            Protocol::Tls => "TLS",
            Protocol::Ssh => "SSH",
            Protocol::Smtp => "SMTP",
            Protocol::Ftp => "FTP",
            Protocol::Pop3 => "POP3",
            Protocol::Imap => "IMAP",
            Protocol::Mysql => "MySQL",
            Protocol::Postgres => "PostgreSQL",
            Protocol::Redis => "Redis",
            Protocol::Memcached => "memcached",
            Protocol::Amqp => "AMQP",
            Protocol::Rfb => "VNC (RFB)",
            Protocol::Rsync => "rsync",
            Protocol::Echo => "echo",
        }
    }

    /// Whether its server greets before the client has sent anything.
    pub fn server_speaks_first(self) -> bool {
        use Protocol::{Ftp, Imap, Mysql, Pop3, Rfb, Rsync, Smtp, Ssh};
        matches!(self, Ssh | Smtp | Ftp | Pop3 | Imap | Mysql | Rfb | Rsync)
    }

    /// Whether a service that speaks `found` meets the expectation of this protocol.
    pub fn is_met_by(self, found: Protocol) -> bool {
        let plain_greeting = |protocol| matches!(protocol, Protocol::Smtp | Protocol::Ftp);
        // "220 hello" does not distinguish these protocols.
        self == found || plain_greeting(self) && plain_greeting(found)
    }

    /// The protocol most likely spoken by a program of this name, or else by a service on this port; HTTP if neither is
    /// known.
    pub fn suggested(program: Option<&str>, port: u16) -> Protocol {
        program.and_then(by_program).or_else(|| by_port(port)).unwrap_or(Protocol::Http)
    }
}

fn by_program(name: &str) -> Option<Protocol> {
    Some(match name {
        name if name.starts_with("redis") || name.starts_with("valkey") || name.starts_with("keydb") => {
            Protocol::Redis
        }
        name if name.starts_with("postgres") || name.starts_with("postmaster") || name == "pgbouncer" => {
            Protocol::Postgres
        }
        name if name.starts_with("stunnel") => Protocol::Tls,
        "memcached" => Protocol::Memcached,
        _ => return None,
    })
}

fn by_port(port: u16) -> Option<Protocol> {
    Some(match port {
        443 | 465 | 636 | 853 | 990 | 993 | 995 | 5671 | 6443 | 8443 | 8883 | 9443 => Protocol::Tls,
        5432 | 5433 | 6432 => Protocol::Postgres,
        6379 | 6380 => Protocol::Redis,
        11211 => Protocol::Memcached,
        _ => return None,
    })
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        Protocol::ALL.into_iter().find(|protocol| protocol.id() == text).ok_or_else(|| {
            let known: Vec<&str> = Protocol::ALL.iter().map(|protocol| protocol.id()).collect();
            format!("write one of {}", known.join(", "))
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_is_read_back_from_its_word() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.id().parse(), Ok(protocol));
        }
        assert!("gopher".parse::<Protocol>().unwrap_err().contains("http"));
    }

    #[test]
    fn a_programs_name_counts_for_more_than_its_port() {
        assert_eq!(Protocol::suggested(Some("redis-server"), 443), Protocol::Redis);
        assert_eq!(Protocol::suggested(Some("node"), 443), Protocol::Tls);
        assert_eq!(Protocol::suggested(None, 62893), Protocol::Http);
    }
}
