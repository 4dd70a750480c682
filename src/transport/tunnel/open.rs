//! OPEN: the beginning of a session on a carrier. What is Loopgate's own stands before a PROXY header of version 2, which is
//! the visitor's alone: a visitor's own proxy may send any TLV, so none of ours could be told from it.
//!
//! ```text
//! id:10   kind:u8 (1 name, 2 address)   length:u8 text   protocol:u8 (0 tcp, 1 udp)   time:u64 (ms since 1970)   header
//! ```
//!
//! The header is read strictly ([`proxy_protocol::read_carried`]): it is the visitor's, never LOCAL.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::address::{Protocol, Run, TargetAddress, There};
use crate::outcome::SessionId;
use crate::proxy_protocol::{self, Header};

/// What an end asks of the other for one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The session's number at the opener.
    pub id: SessionId,
    /// What is to be reached.
    pub to: There,
    /// What is carried.
    pub protocol: Protocol,
    /// When the visitor connected, by the opener's clock; milliseconds are kept.
    pub came: SystemTime,
    /// The visitor's ends, and what its own proxy said of it.
    pub header: Header,
}

/// The content of an OPEN that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends before its header.
    Short,
    /// Neither a name nor an address.
    Kind(u8),
    /// Not the name of a route.
    Name,
    /// Not an address that can be dialled, or not as it is printed.
    Address,
    /// A protocol that does not exist.
    Protocol(u8),
    /// A time beyond what a clock can show.
    Time,
    /// The header of the visitor.
    Header(proxy_protocol::Malformed),
}

const NAME: u8 = 1;
const ADDRESS: u8 = 2;
const TCP: u8 = 0;
const UDP: u8 = 1;

impl Open {
    /// Its bytes, at most [`super::frame::MAX_CONTENT`]. A time before 1970 is written as 1970; a text of more than 255
    /// bytes, which no address that was read has, as none, which is refused.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, text) = match &self.to {
            There::Service(name) => (NAME, name.to_string()),
            There::Address(address) => (ADDRESS, address.to_string()),
        };
        let (length, text) = u8::try_from(text.len()).map_or((0, ""), |length| (length, &*text));
        let protocol = match self.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        };
        let came = self.came.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let came = u64::try_from(came).unwrap_or(u64::MAX);

        let mut bytes = self.id.0.to_vec();
        bytes.extend([kind, length]);
        bytes.extend(text.as_bytes());
        bytes.push(protocol);
        bytes.extend(came.to_be_bytes());
        bytes.extend(proxy_protocol::announce_carried(&self.header, self.protocol));
        bytes
    }

    /// Reads all of these bytes.
    ///
    /// # Errors
    /// What is wrong with them. The opener has broken the rules, and its connection is to be closed.
    pub fn decode(bytes: &[u8]) -> Result<Open, Malformed> {
        let (id, rest) = bytes.split_first_chunk().ok_or(Malformed::Short)?;
        let (&[kind, length], rest) = rest.split_first_chunk().ok_or(Malformed::Short)?;
        let (text, rest) = rest.split_at_checked(length.into()).ok_or(Malformed::Short)?;
        let to = match kind {
            NAME => service(text).ok_or(Malformed::Name)?,
            ADDRESS => address(text).ok_or(Malformed::Address)?,
            other => return Err(Malformed::Kind(other)),
        };
        let (&[protocol], rest) = rest.split_first_chunk().ok_or(Malformed::Short)?;
        let protocol = match protocol {
            TCP => Protocol::Tcp,
            UDP => Protocol::Udp,
            other => return Err(Malformed::Protocol(other)),
        };
        let (came, header) = rest.split_first_chunk().ok_or(Malformed::Short)?;
        let came = UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_be_bytes(*came)));
        let came = came.ok_or(Malformed::Time)?;
        let header = proxy_protocol::read_carried(header, protocol).map_err(Malformed::Header)?;
        Ok(Open { id: SessionId(*id), to, protocol, came, header })
    }
}

fn service(text: &[u8]) -> Option<There> {
    str::from_utf8(text).ok().and_then(There::service)
}

/// One address, in the very letters it is printed with: else two texts would mean one address, and a permission or a record
/// might know but one of them. Nothing within another tunnel.
fn address(text: &[u8]) -> Option<There> {
    let text = str::from_utf8(text).ok()?;
    let run: Run<TargetAddress> = text.parse().ok()?;
    let address = run.first();
    let is_plain = run.count() == 1 && address.there().is_none() && address.to_string() == text;
    is_plain.then(|| There::Address(Box::new(address.clone())))
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Short => f.write_str("an OPEN that is too short"),
            Malformed::Kind(kind) => write!(f, "an OPEN of kind {kind}"),
            Malformed::Name => f.write_str("an OPEN with a name that no route has"),
            Malformed::Address => f.write_str("an OPEN with an address that is none"),
            Malformed::Protocol(protocol) => write!(f, "an OPEN with protocol {protocol}"),
            Malformed::Time => f.write_str("an OPEN with a time that is none"),
            Malformed::Header(why) => write!(f, "an OPEN whose PROXY header is wrong: {why}"),
        }
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::proxy_protocol::{Ends, LONGEST, Tlvs};
    use crate::transport::tunnel::frame::MAX_CONTENT;

    fn open(to: There) -> Open {
        Open {
            id: SessionId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            to,
            protocol: Protocol::Tcp,
            came: UNIX_EPOCH + Duration::from_millis(0x0102_0304),
            header: Header { ends: Ends::Unnamed, tlvs: Tlvs::default() },
        }
    }

    fn dialled(text: &str) -> There {
        let run: Run<TargetAddress> = text.parse().unwrap();
        There::Address(Box::new(run.first().clone()))
    }

    /// The bytes of an OPEN of this kind with this text.
    fn asking(kind: u8, text: &[u8]) -> Vec<u8> {
        let bytes = open(There::service("x").unwrap()).encode();
        [&bytes[..10], &[kind, text.len() as u8], text, &bytes[13..]].concat()
    }

    #[test]
    fn its_bytes_are_those_that_are_described() {
        let bytes = open(There::service("shop").unwrap()).encode();

        let own = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 4, b's', b'h', b'o', b'p', 0, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(bytes[..own.len()], own);
        assert_eq!(bytes[own.len()..], *b"\r\n\r\n\0\r\nQUIT\n\x21\x00\0\0");
        assert_eq!(asking(2, b"10.0.0.5:5432"), open(dialled("10.0.0.5:5432")).encode());
    }

    #[test]
    fn a_name_is_one_that_a_route_can_have() {
        let named = |text: &str| Open::decode(&asking(1, text.as_bytes())).map(|open| open.to.to_string());

        for name in ["shop", "8080", "a-b_c.d", &"x".repeat(64)] {
            assert_eq!(named(name), Ok(name.to_owned()));
        }
        for name in ["", "web@home", "a b", "a/b", "\u{1b}[2J", "a:1", "caf\u{e9}\u{202e}", &"x".repeat(65)] {
            assert_eq!(named(name), Err(Malformed::Name), "{name:?}");
        }
        assert_eq!(Open::decode(&asking(1, b"\xff")), Err(Malformed::Name));
    }

    #[test]
    fn an_address_is_one_and_as_it_is_printed() {
        let address = |text: &str| Open::decode(&asking(2, text.as_bytes())).map(|open| open.to.to_string());

        for text in ["10.0.0.5:5432", "[::1]:80", "db.internal:5432", "unix:/run/x.sock", "unix:@x"] {
            assert_eq!(address(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "5432",
            ":5432",
            "10.0.0.5:05432",
            "10.0.0.5:5432-5433",
            "10.0.0.5:0",
            "0.0.0.0:80",
            "[0:0::1]:80",
            "tunnel:vps/db",
            "tunnel:vps/10.0.0.5:5432",
            "10.0.0.5",
            "a b:1",
        ] {
            assert_eq!(address(text), Err(Malformed::Address), "{text:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_goes_on_or_does_not_exist_is_refused() {
        let bytes = open(There::service("shop").unwrap()).encode();
        for length in 0..bytes.len() {
            assert!(Open::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert_eq!(Open::decode(&bytes[..24]), Err(Malformed::Short));
        let wrong = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            Open::decode(&bytes).unwrap_err()
        };
        assert_eq!(wrong(10, 0), Malformed::Kind(0));
        assert_eq!(wrong(10, 3), Malformed::Kind(3));
        assert_eq!(wrong(16, 2), Malformed::Protocol(2));
        let partial = Malformed::Header(proxy_protocol::Malformed::Partial);
        assert_eq!(Open::decode(&[&bytes[..], b"x"].concat()), Err(partial));
        // LOCAL, which says nothing of the visitor.
        assert_eq!(wrong(25 + 12, 0x20), Malformed::Header(proxy_protocol::Malformed::Local));
    }

    #[test]
    fn the_longest_fits_a_frame() {
        let name = format!("{}:65535", "x.".repeat(124) + "x");
        let tlvs = b"\xe0\x0f\xa0".iter().copied().chain([0; 4000]).collect::<Vec<u8>>();
        let header = [b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x0f\xa3", &tlvs[..]].concat();
        let header = proxy_protocol::read_carried(&header, Protocol::Tcp).unwrap();
        let longest = Open { header, ..open(dialled(&name)) };

        let bytes = longest.encode();

        assert!(bytes.len() > 4200 && bytes.len() <= MAX_CONTENT, "{}", bytes.len());
        const { assert!(10 + 2 + 255 + 1 + 8 + LONGEST <= MAX_CONTENT) };
        assert_eq!(Open::decode(&bytes), Ok(longest));
    }

    #[test]
    fn an_address_that_does_not_fit_is_refused_where_it_is_written() {
        let read = |name: usize| {
            format!("tunnel:vps/{}x:65535", "x.".repeat(name / 2)).parse::<Run<TargetAddress>>()
        };

        assert!(read(248).is_ok());
        let refused = read(252).unwrap_err().to_string();
        assert!(refused.contains("too long for a tunnel"), "{refused}");
    }

    #[test]
    fn a_clock_before_1970_is_no_reason_to_fail() {
        let early = Open { came: UNIX_EPOCH - Duration::from_secs(1), ..open(There::service("x").unwrap()) };
        assert_eq!(Open::decode(&early.encode()).unwrap().came, UNIX_EPOCH);
    }

    fn to() -> impl Strategy<Value = There> {
        let name = "[a-zA-Z0-9_.-]{1,64}".prop_map(|name| There::service(&name).unwrap());
        let address = any::<SocketAddr>().prop_filter_map("dialled", |it| {
            let text = TargetAddress::from(it).to_string();
            address(text.as_bytes())
        });
        prop_oneof![name, address, Just(dialled("unix:/run/x.sock")), Just(dialled("db.internal:5432"))]
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_read_back(
            id: [u8; 10],
            to in to(),
            udp: bool,
            came: u32,
            client in proptest::option::of((any::<[u8; 4]>(), any::<u16>())),
        ) {
            let ends = client.map_or(Ends::Unnamed, |client| {
                Ends::Net { client: client.into(), destination: ([192, 0, 2, 1], 443).into() }
            });
            let asked = Open {
                id: SessionId(id),
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                came: UNIX_EPOCH + Duration::from_millis(came.into()),
                header: Header { ends, tlvs: Tlvs::default() },
                to,
            };

            prop_assert_eq!(Open::decode(&asked.encode()), Ok(asked));
        }

        #[test]
        fn no_bytes_panic_and_what_is_read_has_one_form(
            mut bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                to().prop_map(|to| open(to).encode()),
            ],
            slips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            for (at, byte) in slips.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Ok(open) = Open::decode(&bytes) {
                prop_assert_eq!(Open::decode(&open.encode()), Ok(open));
            }
        }
    }
}
