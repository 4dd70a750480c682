//! What holds of any bytes that are read as a datagram of a flow, or as an item that is said of flows, on QUIC.

use bytes::Bytes;
use loopgate::transport::tunnel::datagram::MAX_DATAGRAM;
use loopgate::transport::tunnel::flows::FlowEnded;
use loopgate::transport::tunnel::quic::datagram;
use loopgate::transport::tunnel::quic::news::{HEAD, MAX_ITEM, News};

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    if let Some((flow, payload)) = datagram::decode(bytes.to_vec().into()) {
        assert!(payload.len() <= MAX_DATAGRAM);
        let again = datagram::encode(flow, &payload);
        assert!(again.len() <= bytes.len());
        assert_eq!(datagram::decode(again), Some((flow, Bytes::copy_from_slice(&payload))));
    }
    match News::decode(bytes) {
        // Its words may have been cut.
        Ok(News::End(_, FlowEnded::Refused(_, Some(words)))) => fits_a_terminal(&words),
        Ok(news) => {
            let again = news.encode();
            let (head, item) = again.split_at(HEAD);
            assert_eq!(News::length([head[0], head[1]]).ok(), (item.len() <= MAX_ITEM).then_some(item.len()));
            assert_eq!(News::decode(item), Ok(news));
        }
        Err(wrong) => fits_a_terminal(&wrong.to_string()),
    }
}

fn fits_a_terminal(words: &str) {
    assert_eq!(words.chars().find(|c| c.is_control()), None, "{words:?}");
    assert!(words.len() < 4000, "{} bytes", words.len());
}
