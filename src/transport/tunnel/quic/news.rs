//! What the two ends say of flows ⇄ bytes, on the one bidirectional stream of a connection.
//!
//! ```text
//! item = length:u16, kind:u8, body      big-endian; the length is that of kind and body
//!        1 FLOW     flow:varint, OPEN (see `open`)                      a flow begins
//!        2 FLOW_END flow:varint, JSON (see `message::FlowEnd`)          it has ended, or is not carried
//!        3 PING                                                         answered with PONG
//!        4 PONG
//! ```

use std::fmt;

use crate::transport::tunnel::datagram::{MAX_NUMBER, put_number, read_number};
use crate::transport::tunnel::flows::{FlowEnded, FlowNumber};
use crate::transport::tunnel::frame::MAX_CONTENT;
use crate::transport::tunnel::message::{self, FlowEnd};
use crate::transport::tunnel::open::{self, Open};

/// The longest item without its length, in bytes.
pub const MAX_ITEM: usize = 1 + MAX_NUMBER + MAX_CONTENT;

/// The bytes of a length.
pub const HEAD: usize = 2;

const FLOW: u8 = 1;
const FLOW_END: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A flow begins.
    Flow(FlowNumber, Box<Open>),
    /// A flow has ended, or is not carried.
    End(FlowNumber, FlowEnded),
    /// Whether the other end answers.
    Ping,
    /// It does.
    Pong,
}

/// Bytes that are no item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A length of none or of more than [`MAX_ITEM`].
    Length(usize),
    /// A kind that this version does not know.
    Kind(u8),
    /// A number that is cut, or a content where none has a place.
    Body,
    /// FLOW with an OPEN that is wrong.
    Open(open::Malformed),
    /// FLOW_END with JSON that is wrong.
    End(message::Malformed),
}

impl News {
    /// Its bytes with their length, at most [`HEAD`] and [`MAX_ITEM`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        match self {
            News::Flow(flow, open) => {
                bytes.push(FLOW);
                put_number(*flow, &mut bytes);
                bytes.extend(open.encode());
            }
            News::End(flow, why) => {
                bytes.push(FLOW_END);
                put_number(*flow, &mut bytes);
                bytes.extend(FlowEnd::of(why).encode());
            }
            News::Ping => bytes.push(PING),
            News::Pong => bytes.push(PONG),
        }
        let length = u16::try_from(bytes.len() - HEAD).unwrap_or(u16::MAX);
        bytes[..HEAD].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// The length of the item that follows these bytes.
    ///
    /// # Errors
    /// [`Malformed::Length`].
    pub fn length(head: [u8; HEAD]) -> Result<usize, Malformed> {
        let length = usize::from(u16::from_be_bytes(head));
        if (1..=MAX_ITEM).contains(&length) { Ok(length) } else { Err(Malformed::Length(length)) }
    }

    /// Reads an item without its length, from all of these bytes.
    ///
    /// # Errors
    /// What is wrong with them: the other end has broken the rules, and the connection is to be closed.
    pub fn decode(bytes: &[u8]) -> Result<News, Malformed> {
        let (&kind, body) = bytes.split_first().ok_or(Malformed::Length(0))?;
        match kind {
            FLOW => {
                let (flow, content) = of_flow(body)?;
                let open = Open::decode(content).map_err(Malformed::Open)?;
                Ok(News::Flow(flow, Box::new(open)))
            }
            FLOW_END => {
                let (flow, content) = of_flow(body)?;
                let end = FlowEnd::decode(content).map_err(Malformed::End)?;
                Ok(News::End(flow, end.ended()))
            }
            PING if body.is_empty() => Ok(News::Ping),
            PONG if body.is_empty() => Ok(News::Pong),
            PING | PONG => Err(Malformed::Body),
            other => Err(Malformed::Kind(other)),
        }
    }
}

fn of_flow(body: &[u8]) -> Result<(FlowNumber, &[u8]), Malformed> {
    let (flow, length) = read_number(body).ok_or(Malformed::Body)?;
    Ok((flow, &body[length..]))
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Length(length) => write!(f, "an item of {length} bytes"),
            Malformed::Kind(kind) => write!(f, "an item of kind {kind}"),
            Malformed::Body => f.write_str("an item whose content has no place"),
            Malformed::Open(why) => why.fmt(f),
            Malformed::End(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::address::{Protocol, There};
    use crate::outcome::{Cause, SessionId};
    use crate::proxy_protocol::{Ends, Header, Tlvs};
    use crate::transport::tunnel::frame::Reason;

    const LAST: FlowNumber = FlowNumber((1 << 62) - 1);

    fn open(name: &str) -> Box<Open> {
        Box::new(Open {
            id: SessionId(*b"0123456789"),
            to: There::service(name).unwrap(),
            protocol: Protocol::Udp,
            came: UNIX_EPOCH + Duration::from_millis(77),
            header: Header { ends: Ends::Unnamed, tlvs: Tlvs::default() },
        })
    }

    fn back(news: &News) -> Result<News, Malformed> {
        let bytes = news.encode();
        let (head, item) = bytes.split_first_chunk().unwrap();
        assert_eq!(News::length(*head), Ok(item.len()));
        News::decode(item)
    }

    #[test]
    fn each_item_is_read_back() {
        let refused = FlowEnded::Refused(Cause::TimedOut, Some("a firewall".into()));
        let all = [
            News::Flow(LAST, open("game")),
            News::End(FlowNumber(3), FlowEnded::Ended(Reason::Idle)),
            News::End(LAST, refused),
            News::End(FlowNumber(2), FlowEnded::Refused(Cause::TunnelRefused, None)),
            News::Ping,
            News::Pong,
        ];
        for news in all {
            assert_eq!(back(&news), Ok(news));
        }
    }

    #[test]
    fn bytes_that_are_no_item_are_told_apart() {
        assert_eq!(News::length([0, 0]), Err(Malformed::Length(0)));
        assert_eq!(News::length((MAX_ITEM as u16).to_be_bytes()), Ok(MAX_ITEM));
        assert_eq!(News::length((MAX_ITEM as u16 + 1).to_be_bytes()), Err(Malformed::Length(MAX_ITEM + 1)));
        let wrong: [(&[u8], Malformed); 6] = [
            (&[], Malformed::Length(0)),
            (&[0], Malformed::Kind(0)),
            (&[5, 0], Malformed::Kind(5)),
            (&[FLOW_END], Malformed::Body),
            (&[FLOW_END, 0x40], Malformed::Body),
            (&[PING, 0], Malformed::Body),
        ];
        for (bytes, why) in wrong {
            assert_eq!(News::decode(bytes), Err(why));
        }
        assert_eq!(News::decode(&[FLOW, 1]), Err(Malformed::Open(open::Malformed::Short)));
        assert!(matches!(News::decode(&[FLOW_END, 1, b'{']), Err(Malformed::End(_))));
    }

    #[test]
    fn what_the_other_end_says_of_a_refusal_cannot_write_on_a_terminal() {
        let mut bytes = vec![FLOW_END, 1];
        bytes.extend(br#"{"cause":"of_the_future","words":"\u001b[2J"}"#);

        let Ok(News::End(_, FlowEnded::Refused(cause, Some(words)))) = News::decode(&bytes) else { panic!() };
        assert_eq!(cause, Cause::Other(0));
        assert!(!words.contains('\u{1b}'), "{words}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_read_is_written_and_read_again(bytes: Vec<u8>) {
            if let Ok(news) = News::decode(&bytes) {
                prop_assert_eq!(back(&news), Ok(news));
            }
        }
    }
}
