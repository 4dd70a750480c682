//! An invite as the configuration has it, in place of a key.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use humantime::{format_rfc3339_seconds, parse_rfc3339};
use serde::Deserialize;

use super::{InviteId, Sha256, TicketSecret};

/// An invite that is open, or was: `id=… secret=sha256:… until=2026-01-31T12:00:00Z uptime=86400 seal=sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Which one it is.
    pub id: InviteId,
    /// The hash of its secret.
    pub secret: Sha256,
    /// The time at which it expires, in whole seconds.
    pub until: SystemTime,
    /// The time since the machine started at which it expires as well (clock_gettime(2), CLOCK_BOOTTIME), in whole seconds: a
    /// clock that is set back makes it live no longer.
    pub uptime: Duration,
    /// The hash of the file that it stands in, as it was written: see [`super::written`].
    pub seal: Sha256,
}

impl Invite {
    /// Whether it has not expired, at this time and this time since the machine started.
    pub fn is_open(&self, now: SystemTime, uptime: Duration) -> bool {
        now < self.until && uptime < self.uptime
    }

    /// Whether this is its secret.
    pub fn has(&self, secret: &TicketSecret) -> bool {
        secret.hash(self.id).is_some_and(|hash| hash == self.secret)
    }
}

impl FromStr for Invite {
    type Err = ();

    fn from_str(text: &str) -> Result<Invite, ()> {
        let parts: Vec<&str> = text.split(' ').collect();
        let &[id, secret, until, uptime, seal] = &parts[..] else { return Err(()) };
        let part = |text: &str, name: &str| text.strip_prefix(name).map(str::to_owned).ok_or(());
        let seconds: u64 = part(uptime, "uptime=")?.parse().map_err(|_| ())?;
        Ok(Invite {
            id: part(id, "id=")?.parse()?,
            secret: part(secret, "secret=")?.parse()?,
            until: parse_rfc3339(&part(until, "until=")?).map_err(|_| ())?,
            uptime: Duration::from_secs(seconds),
            seal: part(seal, "seal=")?.parse()?,
        })
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Invite { id, secret, until, uptime, seal } = self;
        let (until, uptime) = (format_rfc3339_seconds(*until), uptime.as_secs());
        write!(f, "id={id} secret={secret} until={until} uptime={uptime} seal={seal}")
    }
}

impl<'de> Deserialize<'de> for Invite {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| {
            serde::de::Error::custom(
                "this is no invite, which is written by a command\nremove it, and run: loopgate tunnel invite",
            )
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Ticket;
    use super::*;

    pub(crate) fn invite(ticket: &Ticket) -> Invite {
        Invite {
            id: ticket.id,
            secret: ticket.secret.hash(ticket.id).unwrap(),
            until: SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000),
            uptime: Duration::from_secs(5000),
            seal: Sha256::of(b"").unwrap(),
        }
    }

    #[test]
    fn an_invite_reads_back_and_has_one_form() {
        let invite = invite(&Ticket::random().unwrap());
        let text = invite.to_string();

        assert_eq!(text.parse(), Ok(invite.clone()));
        assert!(text.contains(" until=2033-05-18T03:33:20Z uptime=5000 "), "{text}");
        for wrong in [
            String::new(),
            format!("{text} "),
            format!(" {text}"),
            text.replace("id=", "id"),
            text.replace("uptime=5000", "uptime=-1"),
            text.replace("until=2033", "until=x"),
            text.replace("seal=", "secret="),
        ] {
            assert_eq!(wrong.parse::<Invite>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn an_invite_expires_by_the_clock_and_by_the_time_since_the_start() {
        let invite = invite(&Ticket::random().unwrap());
        let (until, uptime, second) = (invite.until, invite.uptime, Duration::from_secs(1));

        assert!(invite.is_open(until - second, uptime - second));
        assert!(!invite.is_open(until, uptime - second));
        assert!(!invite.is_open(until - second, uptime), "the clock was set back");
    }

    #[test]
    fn only_its_own_secret_fits() {
        let (ticket, other) = (Ticket::random().unwrap(), Ticket::random().unwrap());

        assert!(invite(&ticket).has(&ticket.secret));
        assert!(!invite(&ticket).has(&other.secret));
    }
}
