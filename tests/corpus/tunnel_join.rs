//! What holds of any bytes that are read as the message of a connection that joins, as the answer to it, as an invite of a file
//! or as the file itself.

use loopgate::transport::tunnel::identity::PublicKey;
use loopgate::transport::tunnel::pairing::message::{
    MAX_JOIN, decode_answer, decode_join, encode_answer, encode_join,
};
use loopgate::transport::tunnel::pairing::written::joined;
use loopgate::transport::tunnel::pairing::{Invite, Ticket};

const KEY: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    match decode_join(bytes) {
        Ok(ticket) => {
            assert!(bytes.len() <= MAX_JOIN);
            assert_eq!(decode_join(&encode_join(&ticket)), Ok(ticket));
        }
        Err(wrong) => fits_a_terminal(&wrong.to_string()),
    }
    match decode_answer(bytes) {
        Ok(answer) => {
            assert!(bytes.len() <= MAX_JOIN);
            let again = encode_answer(&answer);
            // Letters may be escaped in a longer way than they came.
            if again.len() <= MAX_JOIN {
                assert_eq!(decode_answer(&again), Ok(answer));
            }
        }
        Err(wrong) => fits_a_terminal(&wrong.to_string()),
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.letters(), text);
    }
    file(text);
}

/// A file that is taken has the key once, no invite, and what else it had.
fn file(text: &str) {
    let invites = text.lines().filter_map(|line| line.strip_prefix("invite = \"")?.strip_suffix('"'));
    for invite in invites.filter_map(|text| text.parse::<Invite>().ok()) {
        let key: PublicKey = KEY.parse().unwrap();
        if let Ok(new) = joined(text, &invite, &key) {
            assert_eq!(new.matches(KEY).count(), 1 + text.matches(KEY).count());
            assert!(!new.contains(&invite.to_string()) && new.contains("[tunnels."), "{new}");
        }
        // The name of the month and the like have more forms than one; what was read reads back.
        assert_eq!(invite.to_string().parse::<Invite>().map(|it| it.id), Ok(invite.id));
    }
}

fn fits_a_terminal(words: &str) {
    assert_eq!(words.chars().find(|c| c.is_control()), None, "{words:?}");
    assert!(words.len() < 400, "{} bytes", words.len());
}
