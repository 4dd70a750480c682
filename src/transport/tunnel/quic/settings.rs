//! How QUIC connections behave, and what a stranger can make us keep.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::BbrConfig;
use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt};

/// The connections that an endpoint keeps before it is asked whether to take them, and the bytes that each may have sent.
const MAX_INCOMING: usize = 64;
const INCOMING_BUFFER: u64 = 16 << 10;

/// The datagrams that may be on their way in each direction on streams of their own, as no packet has room for them.
pub(crate) const MAX_LARGE: u32 = 64;

/// The bytes of datagrams that were received and not taken yet; beyond it, the oldest are dropped.
const RECEIVED: usize = 1 << 20;

/// The bytes of datagrams that were handed over to QUIC and are not sent yet. It is short: those that wait do so in a queue of
/// ours, which knows whose they are when it drops some.
const HANDED_OVER: usize = 64 << 10;

/// The bytes of one stream that are received ahead, and of all of a connection's: the longest datagram fits, and all that may be
/// on their way.
const STREAM_WINDOW: u32 = 128 << 10;
const WINDOW: u32 = 5 << 20;

/// A way on which nothing moves is kept open, through a NAT as well, and is given up without any answer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);

/// The version of RFC 9000.
const VERSION: u32 = 1;

/// The settings of one connection, whose other end may open so many bidirectional streams.
///
/// BBR: with CUBIC a way that loses 3 % of the packets throttles datagrams until they are three times as late (p99 of 159 ms
/// where the way takes 50, and 55 by BBR). The search for the largest packet is on by default.
pub(super) fn transport(bidirectional: u32) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(bidirectional.into())
        .max_concurrent_uni_streams(MAX_LARGE.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .datagram_receive_buffer_size(Some(RECEIVED))
        .datagram_send_buffer_size(HANDED_OVER)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE.as_millis() as u32))))
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    Arc::new(config)
}

/// What those cost that nobody knows yet. No token for a later connection: its address is asked for again. An address that
/// changes later is followed, after a look whether the other end is there.
pub(super) fn bound(config: &mut ServerConfig) {
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0);
    config
        .migration(true)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER * MAX_INCOMING as u64)
        .validation_token_config(tokens);
}

/// The settings of an endpoint.
pub(crate) fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![VERSION]);
    config
}
