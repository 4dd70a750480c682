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
        // Two halves, as forty bits are one word and eight letters.
        let [high, low] = self.halves();
        std::array::from_fn(|n| {
            let half = if n < 8 { high } else { low };
            LETTERS[(half >> (35 - 5 * (n % 8)) & 31) as usize]
        })
    }

    fn halves(&self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, i, j] = self.0;
        [[0, 0, 0, a, b, c, d, e], [0, 0, 0, f, g, h, i, j]].map(u64::from_be_bytes)
    }

    /// Writes its letters.
    ///
    /// # Errors
    /// As of the writer.
    pub(crate) fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        // They are ASCII, so this does not fail.
        out.write_str(str::from_utf8(&self.letters()).unwrap_or_default())
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
        assert_eq!(SessionId([0, 1, 2, 3, 4, 0xf0, 0x5a, 0x10, 0xc3, 0x7e]).to_string(), "000g40r4y1d11gvy");
    }
}
