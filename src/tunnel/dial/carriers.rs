//! The carriers of a control, for both openers: the dialling end opens them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::super::idle::keeping::Keeping;
use super::super::idle::waiting::Waiting;
use super::super::link::Link;
use super::super::pool::{CALM, MAX_IDLE, Openings};
use super::super::talk;
use super::attempt::{Entered, enter};
use super::back_off::BackOff;
use super::dice::dice;
use super::fault::{Fault, count};
use super::watched::Watched;
use super::way::{Reached, Way};

use crate::address::Address;
use crate::outcome::Cause;
use crate::transport::tunnel::carrier::Carrier;
use crate::transport::tunnel::identity::{Dialling, PublicKey};
use crate::transport::tunnel::message::{End, Hello, Token};

/// When to look again where more are missing than may be opened now.
const AGAIN: Duration = Duration::from_millis(50);

/// Dials in a row that fail while the control lives until that is told: something on the way may cap connections.
const FEW: u32 = 3;

/// For how many pings they must have failed: a control that is as dead as they are has ended by then, and that is told instead.
const FEW_FOR: u32 = 4;

/// What every carrier of a control has in common with it.
pub(crate) struct Carriers {
    pub(crate) link: Arc<Link>,
    /// How the control has come to the other end.
    pub(crate) way: Way,
    /// The address that the control has reached, of a proxy if there is one. Its name may mean another machine by now. (A
    /// proxy looks the name of the other end up itself; another machine there does not have the key.)
    pub(crate) peer: SocketAddr,
    /// The name that is asked for in TLS.
    pub(crate) host: String,
    /// The key that the other end of the control has proven: no other will do.
    pub(crate) key: PublicKey,
    pub(crate) session: Token,
    pub(crate) keeping: Arc<Keeping>,
    pub(crate) waiting: Arc<Waiting>,
    /// What they were made of.
    pub(crate) watched: Watched,
}

/// The course of the dials.
#[derive(Default)]
struct Course {
    openings: Openings,
    back_off: BackOff,
    failed: Option<Instant>,
    not_before: Option<Instant>,
    in_a_row: u32,
    /// When the first of them failed.
    row_began: Option<Instant>,
    is_told: bool,
}

impl Carriers {
    /// For the control that was let in, which has come by this way, and under this name of TLS.
    pub(crate) fn new(
        link: &Arc<Link>,
        (way, host): (Way, &str),
        control: &Entered,
        keeping: &Arc<Keeping>,
        waiting: &Arc<Waiting>,
    ) -> Carriers {
        Carriers {
            link: link.clone(),
            way,
            watched: Watched::new(control.peer, &control.link),
            peer: control.peer,
            host: host.to_owned(),
            key: control.key,
            session: control.welcome.session,
            keeping: keeping.clone(),
            waiting: waiting.clone(),
        }
    }

    /// Opens what is missing, for as long as it is polled. `wish` has how many idle ones the accepting end wants for
    /// sessions that it opens.
    pub(crate) async fn keep(self: Arc<Self>, mut wish: watch::Receiver<usize>) {
        let mut course = Course::default();
        let mut dials = JoinSet::new();
        let mut opening = [0; 2];
        let mut calm = Instant::now();
        loop {
            let now = Instant::now();
            let lost = self.waiting.take_lost_unused();
            if lost > 0 {
                course.failed(now);
            }
            course.openings.used(self.keeping.take_first_uses() + self.waiting.take_first_uses());
            let missing = self.missing(*wish.borrow_and_update(), opening);
            for opener in course.due(missing, opening[0] + opening[1], now) {
                opening[place(opener)] += 1;
                dials.spawn(self.clone().open(opener));
            }
            let again = course.again(missing, now);
            tokio::select! {
                Some(done) = dials.join_next() => {
                    // A dial that panics ends the tunnel's task: there is no way to tell which it was.
                    let Ok((opener, opened)) = done else { return };
                    opening[place(opener)] -= 1;
                    self.take(opener, opened, &mut course);
                }
                () = self.changed(calm) => calm = Instant::now() + CALM,
                Ok(()) = wish.changed() => {}
                () = sleep_until(again.into()) => {}
            }
        }
    }

    /// Resolves once carriers of either opener have come or gone, but not before this. Cancel safe.
    async fn changed(&self, calm: Instant) {
        sleep_until(calm.into()).await;
        tokio::select! {
            () = self.keeping.changed() => {}
            () = self.waiting.changed() => {}
        }
    }

    /// How many each opener misses: this end, the other.
    fn missing(&self, wish: usize, opening: [usize; 2]) -> [usize; 2] {
        let own =
            self.keeping.wanted(talk::least(&self.link)).saturating_sub(self.keeping.idle() + opening[0]);
        let others = wish.min(MAX_IDLE).saturating_sub(self.waiting.idle() + opening[1]);
        [own, others]
    }

    async fn open(self: Arc<Self>, opener: End) -> (End, Result<Carrier, Fault>) {
        let numbers = self.link.line.numbers();
        numbers.carriers_opening.rise();
        let opened = self.try_open(opener).await;
        numbers.carriers_opening.fall();
        count(&self.link.line, opened.as_ref().err());
        (opener, opened)
    }

    async fn try_open(&self, opener: End) -> Result<Carrier, Fault> {
        let terms = self.link.terms();
        let tls = Dialling::new(&terms.tunnel.private_key, &[self.key]);
        let stream = self.way.connect(&[Address::Net(self.peer)], terms.tunnel.congestion()).await?;
        let hello = Hello::Carrier { session: self.session, opener };
        let entered = enter(stream, &tls, &self.host, hello).await?;
        let home = match opener {
            End::Dialling => self.keeping.home(),
            End::Accepting => self.waiting.home(),
        };
        self.watched.add(&entered.link);
        let link = entered.link.park().map_err(|error| Fault::Unreached(Cause::of_dial(&error)))?;
        Ok(Carrier { link: link.into(), peer: self.peer, carried: 0, home })
    }

    fn take(&self, opener: End, opened: Result<Carrier, Fault>, course: &mut Course) {
        match (opened, opener) {
            (Ok(carrier), End::Dialling) => self.keeping.add(carrier),
            (Ok(carrier), End::Accepting) => self.waiting.add(carrier),
            (Err(fault), _) => {
                course.failed(Instant::now());
                self.tell(&fault, course);
                return;
            }
        }
        course.in_a_row = 0;
    }

    fn tell(&self, fault: &Fault, course: &mut Course) {
        if !course.is_few(Instant::now(), self.link.terms().tunnel.ping * FEW_FOR) {
            return;
        }
        let (name, code) = (&self.link.name, fault.code());
        let why = why_few(fault, &self.way.reached(self.peer));
        tracing::warn!("tunnel" = %name, cause = code, "tunnel={name} has few connections: its control lives, but {why}");
    }
}

/// Why more connections fail while a control lives: this machine lacks something, or something on the way caps them.
fn why_few(fault: &Fault, reached: &Reached) -> String {
    let code = fault.code();
    match fault {
        Fault::Unreached(
            cause @ (Cause::NoDescriptor
            | Cause::NoMemory
            | Cause::NoSourcePort
            | Cause::NoThread
            | Cause::Denied),
        ) => {
            let verdict = if *cause == Cause::NoDescriptor { " [own-fd-limit]" } else { "" };
            format!(
                "this machine makes no more ({code}): {}. Clients that find none wait{verdict}",
                cause.remedy()
            )
        }
        _ => format!(
            "more connections to {reached} fail ({code}); a proxy or a firewall between may cap them. Clients that find none \
             wait [tunnel-few-carriers]"
        ),
    }
}

impl Course {
    /// A dial has failed, or a carrier was lost before it carried anything.
    fn failed(&mut self, now: Instant) {
        if let Some(before) = self.failed.replace(now) {
            self.back_off.was_up(now.saturating_duration_since(before));
        }
        if self.in_a_row == 0 {
            self.row_began = Some(now);
        }
        self.in_a_row += 1;
        self.not_before = Some(now + self.back_off.failed(dice()));
    }

    /// Whether it is to be told now, once, that there are few carriers.
    fn is_few(&mut self, now: Instant, proof: Duration) -> bool {
        let has_lasted = self.row_began.is_some_and(|began| now.saturating_duration_since(began) >= proof);
        self.in_a_row >= FEW && has_lasted && !std::mem::replace(&mut self.is_told, true)
    }

    /// For whom to open carriers now.
    fn due(&mut self, missing: [usize; 2], opening: usize, now: Instant) -> Vec<End> {
        if self.not_before.is_some_and(|at| now < at) {
            return Vec::new();
        }
        let [own, others] = self.openings.take(missing, opening, now);
        let mut due = vec![End::Dialling; own];
        due.extend(vec![End::Accepting; others]);
        due
    }

    /// When to look again, if nothing happens before.
    fn again(&self, missing: [usize; 2], now: Instant) -> Instant {
        match (missing, self.not_before.filter(|at| *at > now)) {
            ([0, 0], _) => now + LONG,
            (_, Some(at)) => at,
            (_, None) => now + AGAIN,
        }
    }
}

/// When to look again where nothing is missing: every change is told.
const LONG: Duration = Duration::from_secs(3600);

fn place(opener: End) -> usize {
    match opener {
        End::Dialling => 0,
        End::Accepting => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_that_fail_wait_longer_and_longer_and_are_told_once() {
        let mut now = Instant::now();
        let mut course = Course::default();
        let mut told = Vec::new();
        for _ in 0..6 {
            course.failed(now);
            told.push(course.is_few(now, Duration::from_secs(20)));
            let again = course.again([1, 0], now);
            assert!(course.due([1, 0], 0, now).is_empty() || again <= now + AGAIN);
            // The longest wait that the dice could give.
            now += Duration::from_secs(7);
            assert_eq!(course.due([0, 1], 0, now), [End::Accepting]);
        }

        assert_eq!(told, [false, false, false, true, false, false]);
    }

    #[test]
    fn what_this_machine_lacks_is_not_blamed_on_the_way() {
        let peer = Reached { to: "192.0.2.1:4433".into(), proxy: None };
        let why = |cause| why_few(&Fault::Unreached(cause), &peer);

        for cause in [Cause::NoDescriptor, Cause::NoMemory, Cause::NoSourcePort, Cause::Denied] {
            let why = why(cause);
            assert!(why.contains(&format!("this machine makes no more ({})", cause.code())), "{why}");
            assert!(!why.contains("firewall between"), "{why}");
        }
        assert!(why(Cause::NoDescriptor).ends_with(
            "raise `ulimit -n`, or lower `limits.connections`. Clients that find none \
             wait [own-fd-limit]"
        ));
        for cause in [Cause::Refused, Cause::TimedOut, Cause::Unreachable] {
            assert!(why(cause).contains("a firewall between may cap them"), "{}", why(cause));
        }
        let cut = why_few(&Fault::Unshaken, &peer);
        assert!(cut.ends_with("[tunnel-few-carriers]") && cut.contains("192.0.2.1:4433"), "{cut}");
    }

    #[test]
    fn dials_that_fail_at_one_time_are_no_sign_that_connections_are_capped() {
        let now = Instant::now();
        let mut course = Course::default();
        for _ in 0..10 {
            course.failed(now);
            assert!(!course.is_few(now + Duration::from_secs(19), Duration::from_secs(20)));
        }
        assert!(course.is_few(now + Duration::from_secs(20), Duration::from_secs(20)));
    }

    #[test]
    fn where_nothing_is_missing_nothing_is_looked_at_until_something_changes() {
        let now = Instant::now();

        assert_eq!(Course::default().again([0, 0], now), now + LONG);
        assert_eq!(Course::default().again([0, 1], now), now + AGAIN);
        assert_eq!(Course::default().due([2, 1], 0, now), [End::Dialling, End::Dialling, End::Accepting]);
    }
}
