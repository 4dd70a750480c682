//! OPEN: the beginning of a session on a carrier. What is Loopgate's own stands before a PROXY header of version 2, which is
//! the visitor's alone: a visitor's own proxy may send any TLV, so none of ours could be told from it.
//!
//! ```text
//! id:10   kind:u8 (1 name, 2 address)   length:u8 text   protocol:u8 (0 tcp, 1 udp)   time:u64 (ms since 1970)   header
//! ```

use std::time::SystemTime;

use crate::address::{Protocol, There};
use crate::outcome::SessionId;
use crate::proxy_protocol::Header;

/// What an end asks of the other for one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The session's number at the opener.
    pub id: SessionId,
    /// What is to be reached.
    pub to: There,
    /// What is carried.
    pub protocol: Protocol,
    /// When the visitor connected, by the opener's clock.
    pub came: SystemTime,
    /// The visitor's ends, and what its own proxy said of it.
    pub header: Header,
}
