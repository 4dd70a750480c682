//! The number of a session, which both ends of a tunnel write into their records.

use std::fmt;

/// Crockford's base 32: no letter that looks like a digit.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Ten bytes: five of the process, and five that count its sessions. Printed as 16 letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 10]);

impl SessionId {
    /// The session of this number, of a process with this number. Numbers repeat after 2^40 sessions.
    pub fn new(process: [u8; 5], number: u64) -> SessionId {
        let mut id = [0; 10];
        id[..5].copy_from_slice(&process);
        id[5..].copy_from_slice(&number.to_be_bytes()[3..]);
        SessionId(id)
    }

    /// Its letters.
    pub fn letters(&self) -> [u8; 16] {
        let bits = self.0.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        std::array::from_fn(|n| LETTERS[(bits >> (75 - 5 * n) & 31) as usize])
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(str::from_utf8(&self.letters()).unwrap_or_default())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sixteen_letters_that_name_the_process_and_count() {
        let id = |number| SessionId::new([0xff; 5], number).to_string();

        assert_eq!(id(0), "zzzzzzzz00000000");
        assert_eq!(id(33), "zzzzzzzz00000011");
        assert_eq!(id(1 << 40), id(0));
    }
}
