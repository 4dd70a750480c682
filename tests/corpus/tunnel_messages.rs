//! What holds of any bytes that are read as a message of a tunnel, or as the content of FAILED or FLOW_END.

use loopgate::transport::tunnel::flows::FlowEnded;
use loopgate::transport::tunnel::message::{Failed, FlowEnd, MAX_LONG, Message, decode, encode};

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    match decode(bytes) {
        Ok(Message::Unknown) => {}
        Ok(message) => {
            assert!(bytes.len() <= MAX_LONG);
            // What is ignored is not said again, but letters may have been escaped in another way.
            let again = encode(&message);
            if again.len() <= bytes.len() {
                assert_eq!(decode(&again), Ok(message), "{}", String::from_utf8_lossy(&again));
            }
        }
        Err(wrong) => fits_a_terminal(&wrong.to_string()),
    }
    match Failed::decode(bytes) {
        Ok(failed) => {
            fits_a_terminal(&failed.shown());
            assert_eq!(Failed::decode(&failed.encode()), Ok(failed));
        }
        Err(wrong) => fits_a_terminal(&wrong.to_string()),
    }
    match FlowEnd::decode(bytes) {
        Ok(end) => {
            assert_eq!(FlowEnd::decode(&end.encode()), Ok(end.clone()));
            if let FlowEnded::Refused(_, Some(words)) = end.ended() {
                fits_a_terminal(&words);
            }
        }
        Err(wrong) => fits_a_terminal(&wrong.to_string()),
    }
}

fn fits_a_terminal(words: &str) {
    assert_eq!(words.chars().find(|c| c.is_control()), None, "{words:?}");
    assert!(words.len() < 4000, "{} bytes", words.len());
}
