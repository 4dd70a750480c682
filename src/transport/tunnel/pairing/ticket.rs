//! What whoever is invited has: the public id of the invite, and its secret.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::aws_lc_rs::default_provider;
use zeroize::Zeroizing;

use super::Sha256;
use crate::units::base64;

/// The public id of an invite: 64 random bits, as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InviteId(pub(super) [u8; 8]);

/// The secret of an invite: 128 random bits. Its `Debug` is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret(Zeroizing<[u8; 16]>);

/// Both, printed as 32 letters of base64url (RFC 4648, section 5). Its `Debug` is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Which invite it is for.
    pub id: InviteId,
    /// What whoever has the invite knows.
    pub secret: TicketSecret,
}

/// The letters of a ticket.
const LETTERS: usize = 32;

/// What precedes the secret where it is hashed, so that its hash is that of nothing else.
const PURPOSE: &[u8] = b"loopgate invite ";

impl Ticket {
    /// A new one; `None` if the system gives no random numbers.
    pub fn random() -> Option<Ticket> {
        let mut bytes = Zeroizing::new([0; 24]);
        default_provider().secure_random.fill(&mut *bytes).ok()?;
        Ticket::of(&*bytes)
    }

    fn of(bytes: &[u8]) -> Option<Ticket> {
        let (id, secret) = bytes.split_first_chunk::<8>()?;
        let secret = Zeroizing::new(secret.try_into().ok()?);
        Some(Ticket { id: InviteId(*id), secret: TicketSecret(secret) })
    }

    /// The letters that are passed on. They hold the secret.
    pub fn letters(&self) -> String {
        let bytes = Zeroizing::new([&self.id.0[..], &*self.secret.0].concat());
        base64::encode(&bytes).replace('+', "-").replace('/', "_")
    }
}

impl TicketSecret {
    /// Its hash, which is all that is kept of it; the id is in it, so that two invites never have the same.
    pub fn hash(&self, id: InviteId) -> Option<Sha256> {
        Sha256::of(&Zeroizing::new([PURPOSE, &id.0, &*self.0].concat()))
    }
}

impl FromStr for Ticket {
    type Err = ();

    /// No error has anything of the text.
    fn from_str(text: &str) -> Result<Ticket, ()> {
        if text.len() != LETTERS || text.contains(['+', '/', '=']) {
            return Err(());
        }
        let bytes = base64::decode(&text.replace('-', "+").replace('_', "/")).map(Zeroizing::new);
        bytes.and_then(|bytes| Ticket::of(&bytes)).ok_or(())
    }
}

impl FromStr for InviteId {
    type Err = ();

    fn from_str(text: &str) -> Result<InviteId, ()> {
        let is_digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_digits).ok_or(())?;
        Ok(InviteId(number.to_be_bytes()))
    }
}

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_thirty_two_letters_and_reads_back() {
        for _ in 0..200 {
            let ticket = Ticket::random().unwrap();
            let letters = ticket.letters();

            assert_eq!(letters.len(), LETTERS);
            assert_eq!(letters.parse(), Ok(ticket.clone()));
            assert_eq!(ticket.id.to_string().parse(), Ok(ticket.id));
            assert_eq!(format!("{ticket:?} {:?}", ticket.secret), "*** ***");
        }
        for wrong in [
            "",
            "a",
            &"a".repeat(31),
            &"a".repeat(33),
            &"=".repeat(32),
            &"\u{e9}".repeat(16),
            &"+".repeat(32),
        ] {
            assert_eq!(wrong.parse::<Ticket>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_secret_of_another_invite_has_another_hash() {
        let (one, other) = (Ticket::random().unwrap(), Ticket::random().unwrap());

        assert_eq!(one.secret.hash(one.id), one.secret.hash(one.id));
        assert_ne!(one.secret.hash(one.id), one.secret.hash(other.id));
        assert_ne!(one.secret.hash(one.id), other.secret.hash(one.id));
    }
}
