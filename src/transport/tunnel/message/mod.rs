//! The JSON messages of a tunnel. Each is the body of one frame, and has its kind as `type`.
//!
//! | from | message | answer |
//! |---|---|---|
//! | dialling | HELLO, the first: what the connection is for | WELCOME, or BYE and the end |
//! | both | ROUTES: the whole set that the sender wants at the other end, after WELCOME and on each change | ROUTES_ARE |
//! | both | CARRY: how many idle carriers the sender wants | – |
//! | both | STATE: whether the target behind a route is up, on change | – |
//! | accepting | DIALS_ARE: what would become of the sessions that a probe asks about | – |
//! | accepting | SAME_KEY: another connection has the dialling end's key | – |
//! | dialling | ASK_DATAGRAMS: a token for another QUIC connection, once a second at most | DATAGRAMS |
//! | both | BYE: the end | – |
//!
//! On a carrier only HELLO and its answer are messages; what follows are frames ([`super::exchange`]). Keys and kinds of
//! messages that a version does not know are ignored; a key that stands twice, a name that no route can have and a message
//! beyond its limits break the rules.

mod codec;
#[cfg(test)]
mod datagrams_tests;
mod fields;
mod flow_end;
mod kinds;
mod parts;
mod probe;
mod token;

pub(crate) use codec::read_strictly;
pub use codec::{MAX_DEPTH, Malformed, decode, encode};
pub use fields::{MAX_LISTEN, MAX_WORDS};
pub use flow_end::FlowEnd;
pub use kinds::{
    Bye, ByeCode, Datagrams, End, Failed, Fate, Hello, MAX_LONG, MAX_MESSAGE, Message, RefusedCode, RouteIs,
    Routes, RoutesAre, State, WantedRoute, Welcome,
};
pub use parts::{BadSet, Gathered, MAX_ADDRESSES, MAX_ROUTES, routes, routes_are};
pub use probe::{DialIs, DialTo, DialsAre, MAX_DIALS, SameKey, WantedDial};
pub use token::Token;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
