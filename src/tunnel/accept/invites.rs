//! The invites of a plan, and what has become of each: open, closed by wrong secrets, or used.
//!
//! Pure: the clocks are arguments.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_seconds;

use crate::address::TunnelName;
use crate::limits::{Allowance, Pace};
use crate::plan::Invited;
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::pairing::{InviteId, Ticket};
use crate::units::{Frequency, Unit, shown_path};

/// So many wrong secrets close an invite.
pub(super) const MAX_WRONG: u32 = 5;

/// The most connections that join at one time.
const MAX_AT_ONCE: usize = 4;

/// How often one may begin.
const PACE: Frequency = Frequency { count: 1, per: Unit::Second };

/// The invites, and those that join.
#[derive(Debug, Default)]
pub(super) struct Invites {
    known: Vec<(TunnelName, Invited)>,
    /// What has become of those that are known.
    fates: BTreeMap<InviteId, Fate>,
    /// The keys that have joined, or are about to, since the configuration was read: the tunnels do not have them yet.
    joined: Vec<PublicKey>,
    here: usize,
    pace: Pace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open { wrong: u32 },
    Closed,
    Used,
}

/// The time, by both clocks that an invite expires by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// The time of day.
    pub(super) clock: SystemTime,
    /// The time since the machine started.
    pub(super) uptime: Duration,
}

/// What a ticket is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is that of this tunnel's invite, which nobody else can use from now on.
    Right(TunnelName, Invited),
    /// It is of no open invite.
    Nothing,
    /// Its secret is wrong, so many times by now.
    Wrong(TunnelName, u32),
}

impl Invites {
    /// From now on these are the invites, and no others. Returns a line about each that was not known before.
    pub(super) fn follow(&mut self, known: Vec<(TunnelName, Invited)>, now: Now) -> Vec<String> {
        self.fates.retain(|id, _| known.iter().any(|(_, invited)| invited.invite.id == *id));
        let mut lines = Vec::new();
        for (name, invited) in &known {
            if let Entry::Vacant(fate) = self.fates.entry(invited.invite.id) {
                fate.insert(Fate::Open { wrong: 0 });
                lines.push(line(name, invited, now));
            }
        }
        self.known = known;
        self.joined.clear();
        lines
    }

    /// Whether any invite is open.
    pub(super) fn is_any_open(&self, now: Now) -> bool {
        self.known.iter().any(|(_, invited)| self.is_open(invited, now))
    }

    /// Takes a place for a connection that joins, which [`Invites::leave`] gives back; whether there is one.
    pub(super) fn enter(&mut self, now: Instant) -> bool {
        let pace = Allowance::from(PACE);
        let may = self.here < MAX_AT_ONCE && self.pace.admits(now, pace);
        if may {
            self.pace.take(now, pace);
            self.here += 1;
        }
        may
    }

    /// Gives it back.
    pub(super) fn leave(&mut self) {
        self.here = self.here.saturating_sub(1);
    }

    /// Looks a ticket up. Only the right secret uses its invite up; [`MAX_WRONG`] wrong ones close it.
    pub(super) fn show(&mut self, ticket: &Ticket, now: Now) -> Shown {
        let known = self.known.iter().find(|(_, invited)| invited.invite.id == ticket.id);
        let Some((name, invited)) = known.filter(|(_, invited)| self.is_open(invited, now)) else {
            return Shown::Nothing;
        };
        let Some(Fate::Open { wrong }) = self.fates.get(&ticket.id).copied() else { return Shown::Nothing };
        if invited.invite.has(&ticket.secret) {
            self.fates.insert(ticket.id, Fate::Used);
            return Shown::Right(name.clone(), invited.clone());
        }
        let wrong = wrong + 1;
        let fate = if wrong < MAX_WRONG { Fate::Open { wrong } } else { Fate::Closed };
        self.fates.insert(ticket.id, fate);
        Shown::Wrong(name.clone(), wrong)
    }

    /// Claims a key for the one who joins with it; false if another has.
    pub(super) fn claim(&mut self, key: PublicKey) -> bool {
        let is_free = !self.joined.contains(&key);
        if is_free {
            self.joined.push(key);
        }
        is_free
    }

    /// Whoever claimed it was not let in.
    pub(super) fn disclaim(&mut self, key: &PublicKey) {
        self.joined.retain(|it| it != key);
    }

    /// Whoever had the right secret was not let in after all: nothing was written.
    pub(super) fn give_back(&mut self, id: InviteId) {
        if let Some(fate) = self.fates.get_mut(&id) {
            *fate = Fate::Open { wrong: 0 };
        }
    }

    fn is_open(&self, invited: &Invited, now: Now) -> bool {
        let fate = self.fates.get(&invited.invite.id);
        matches!(fate, Some(Fate::Open { .. })) && invited.invite.is_open(now.clock, now.uptime)
    }
}

fn line(name: &TunnelName, Invited { invite, file }: &Invited, now: Now) -> String {
    let (until, file) = (format_rfc3339_seconds(invite.until), shown_path(file));
    match invite.is_open(now.clock, now.uptime) {
        true => format!("tunnel={name}: who has its invite may join until {until}"),
        false => format!("tunnel={name}: its invite was good until {until}: invite again, or remove {file}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tunnel::pairing::{Invite, Sha256};

    const HOUR: Duration = Duration::from_hours(1);

    fn now() -> Now {
        Now { clock: SystemTime::UNIX_EPOCH + HOUR, uptime: HOUR }
    }

    fn later(by: Duration) -> Now {
        Now { clock: now().clock + by, uptime: now().uptime + by }
    }

    /// An invite that is open for an hour, and its ticket.
    fn invited(name: &str) -> (Ticket, (TunnelName, Invited)) {
        let ticket = Ticket::random().unwrap();
        let invite = Invite {
            id: ticket.id,
            secret: ticket.secret.hash(ticket.id).unwrap(),
            until: later(HOUR).clock,
            uptime: later(HOUR).uptime,
            seal: Sha256::of(b"").unwrap(),
        };
        (ticket, (name.parse().unwrap(), Invited { invite, file: "tunnels.d/x.toml".into() }))
    }

    #[test]
    fn a_key_joins_once_until_the_tunnels_have_it() {
        let key = PublicKey::of_bytes([9; 32]).unwrap();
        let mut invites = Invites::default();

        assert!(invites.claim(key) && !invites.claim(key));
        invites.disclaim(&key);
        assert!(invites.claim(key), "whoever was not let in may try again");
        invites.follow(Vec::new(), now());
        assert!(invites.claim(key), "from then on the tunnels say who is known");
    }

    /// The same invite with another secret.
    fn wrong(of: &Ticket) -> Ticket {
        Ticket { id: of.id, secret: Ticket::random().unwrap().secret }
    }

    #[test]
    fn an_invite_is_good_for_one_machine() {
        let (ticket, home) = invited("home");
        let mut invites = Invites::default();
        let lines = invites.follow(vec![home.clone()], now());
        assert_eq!(lines, ["tunnel=home: who has its invite may join until 1970-01-01T02:00:00Z"]);
        assert!(invites.is_any_open(now()));

        assert_eq!(invites.show(&ticket, now()), Shown::Right(home.0.clone(), home.1.clone()));
        assert_eq!(invites.show(&ticket, now()), Shown::Nothing);
        assert!(!invites.is_any_open(now()));
        assert!(invites.follow(vec![home.clone()], now()).is_empty());
        assert_eq!(invites.show(&ticket, now()), Shown::Nothing, "a reload opens it no more");

        invites.give_back(ticket.id);
        assert_eq!(invites.show(&ticket, now()), Shown::Right(home.0, home.1), "nothing had come of it");
    }

    #[test]
    fn five_wrong_secrets_close_an_invite_and_only_that_one() {
        let ((ticket, home), (other, office)) = (invited("home"), invited("office"));
        let mut invites = Invites::default();
        let _ = invites.follow(vec![home.clone(), office.clone()], now());

        for n in 1..=MAX_WRONG {
            assert_eq!(invites.show(&wrong(&ticket), now()), Shown::Wrong(home.0.clone(), n));
        }
        assert_eq!(invites.show(&ticket, now()), Shown::Nothing);
        assert_eq!(invites.show(&Ticket::random().unwrap(), now()), Shown::Nothing);
        assert_eq!(invites.show(&other, now()), Shown::Right(office.0, office.1));
        assert!(!invites.is_any_open(now()));
    }

    #[test]
    fn four_wrong_secrets_and_the_right_one_are_good_enough() {
        let (ticket, home) = invited("home");
        let mut invites = Invites::default();
        let _ = invites.follow(vec![home], now());
        for _ in 1..MAX_WRONG {
            assert!(matches!(invites.show(&wrong(&ticket), now()), Shown::Wrong(..)));
        }

        assert!(matches!(invites.show(&ticket, now()), Shown::Right(..)));
    }

    #[test]
    fn an_invite_that_has_expired_or_that_the_plan_no_longer_has_is_nothing() {
        let (ticket, home) = invited("home");
        let mut invites = Invites::default();
        let lines = invites.follow(vec![home], later(HOUR));

        assert!(lines[0].contains("invite again, or remove tunnels.d/x.toml"), "{lines:?}");
        assert!(!invites.is_any_open(later(HOUR)));
        assert_eq!(invites.show(&ticket, later(HOUR)), Shown::Nothing);
        let set_back = Now { clock: now().clock, ..later(HOUR) };
        assert_eq!(invites.show(&ticket, set_back), Shown::Nothing);
        let _ = invites.follow(Vec::new(), now());
        assert_eq!(invites.show(&ticket, now()), Shown::Nothing);
    }

    #[test]
    fn four_join_at_one_time_and_one_a_second() {
        let (mut invites, mut now) = (Invites::default(), Instant::now());
        for _ in 0..MAX_AT_ONCE {
            assert!(invites.enter(now));
            assert!(!invites.enter(now), "one a second");
            now += Duration::from_secs(1);
        }

        assert!(!invites.enter(now), "four at one time");
        invites.leave();
        assert!(invites.enter(now));
    }
}
