//! A control of the dialling end, from WELCOME to its end, with all that belongs to it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout;

use super::super::control::{self, Control};
use super::super::datagrams::Hub;
use super::super::idle::keeping::Keeping;
use super::super::idle::waiting::Waiting;
use super::super::link::{Link, Pass};
use super::super::offers::fates::Fates;
use super::super::talk;
use super::attempt::Entered;
use super::by_quic::ByQuic;
use super::carriers::Carriers;
use super::fault::Fault;
use super::slowness::Slowness;
use super::way::Way;
use crate::address::TunnelName;
use crate::plan::Tunnel;
use crate::transport::tunnel::message::{Bye, ByeCode, End, Message, SameKey};
use crate::units::shown;

/// How long the goodbye of this end may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Clocks that differ by more are told of.
const CLOCKS: Duration = Duration::from_secs(120);

/// How often another machine with this machine's key is told of: it comes again and again.
const TWIN_EVERY: Duration = Duration::from_secs(600);

/// The most characters that are shown of an address that the other end names.
const MAX_ADDRESS: usize = 60;

/// Why a control ended.
pub(crate) enum Ended {
    /// By itself, or by the other end.
    Fault(Fault),
    /// The configuration has changed: the tunnel is dialled anew, at once.
    Changed,
    /// The program stops.
    Stopped,
}

/// What outlives a control.
#[derive(Default)]
pub(crate) struct Known {
    are_clocks_told: bool,
    twin: Twin,
    slowness: Slowness,
}

/// Another machine with this machine's key.
#[derive(Default)]
struct Twin {
    /// When it was told of last.
    told: Option<Instant>,
}

/// Lives until the control ends. `by` is the way that it has come by, and the name that is asked for in TLS; `nudges` changes when
/// the network may have.
///
/// Not cancel safe: a dropped control is closed without a goodbye.
pub(crate) async fn live(
    link: &Arc<Link>,
    entered: Entered,
    by: (Way, &str),
    mut nudges: watch::Receiver<u64>,
    known: &mut Known,
    elsewhere: impl Future<Output = ()>,
) -> Ended {
    let Some(pass) = link.pass(&entered.key) else { return Ended::Fault(Fault::Withdrawn) };
    known.compare_clocks(&link.name, &entered.welcome.time);
    let there: Option<TunnelName> = entered.welcome.name.parse().ok();
    let (control, inbox) = control::channel();
    let (hub, flows) = Hub::new(link.clone(), pass.clone(), End::Dialling);
    let (waiting, arrivals) = Waiting::new(link.clone(), pass.clone(), hub.clone());
    let keeping = Keeping::new(link.line.clone(), pass.clone());
    let (carry, wish) = watch::channel(0);
    let (offers, offered) = watch::channel(None);
    let by_quic = ByQuic::of(link, &entered, (&by.0, by.1), &hub, &control);
    let carriers = Arc::new(Carriers::new(link, by, &entered, &keeping, &waiting));
    let _up = Up::new(link, &keeping, &hub);
    let ping = ping(&link.terms().tunnel, entered.welcome.ping_s);
    // What was told before has ended with the control before: where routes listen is told anew.
    let mut fates = Fates::default();
    let Known { twin, slowness, .. } = known;
    let congestion = link.terms().tunnel.congestion.clone();
    let mut on_message = |message: Message| match message {
        Message::Carry { ready } => {
            carry.send_replace(ready.into());
        }
        Message::SameKey(other) => twin.tell(&link.name, &other),
        Message::Datagrams(offer) => drop(offers.send_replace(Some(offer))),
        message => talk::hear(link, there.as_ref(), &mut fates, message),
    };
    let mut running = pin!(control::run(entered.link, ping, inbox, &mut on_message));
    let (least, nudged) = (|| talk::least(link), nudges.clone());
    let why = tokio::select! {
        end = &mut running => return Ended::Fault(end.into()),
        () = waiting.run(arrivals) => Leave::Broken,
        () = keeping.clone().run(least) => Leave::Broken,
        () = carriers.clone().keep(wish) => Leave::Broken,
        () = carriers.watched.watch(&link.name, &congestion, slowness) => Leave::Broken,
        () = hub.clone().run(flows) => Leave::Broken,
        () = by_quic.run(offered, nudged) => Leave::Broken,
        () = talk::tell(link, &control) => Leave::Broken,
        () = probe(&control, &mut nudges) => Leave::Broken,
        why = leave(link, &pass) => why,
        () = elsewhere => Leave::Changed,
    };
    let said = async { tokio::join!(control.send(Message::Bye(why.bye())), running) };
    // It is closed either way.
    let _ = timeout(GOODBYE, said).await;
    why.ended()
}

/// Why this end leaves.
#[derive(Clone, Copy)]
enum Leave {
    Stopping,
    Changed,
    Revoked,
    /// A task of the control's has ended, which none does.
    Broken,
}

impl Leave {
    fn bye(self) -> Bye {
        let code = match self {
            Leave::Stopping | Leave::Changed | Leave::Broken => ByeCode::Stopping,
            Leave::Revoked => ByeCode::Revoked,
        };
        Bye { code, words: String::new(), retry_ms: None }
    }

    fn ended(self) -> Ended {
        match self {
            Leave::Stopping => Ended::Stopped,
            Leave::Changed => Ended::Changed,
            Leave::Revoked => Ended::Fault(Fault::Withdrawn),
            Leave::Broken => Ended::Fault(Fault::Protocol("a task of this end has failed".into())),
        }
    }
}

/// Resolves once the control is to end.
async fn leave(link: &Link, pass: &Pass) -> Leave {
    let mut changes = link.changes();
    let begun = changes.borrow_and_update().clone();
    loop {
        tokio::select! {
            () = link.over.cancelled() => return Leave::Stopping,
            () = pass.revoked.cancelled() => return Leave::Revoked,
            Ok(()) = changes.changed() => {}
        }
        if !is_same_way(&begun.tunnel, &changes.borrow_and_update().tunnel) {
            return Leave::Changed;
        }
    }
}

/// Whether a control made for the one may stay for the other.
fn is_same_way(one: &Tunnel, other: &Tunnel) -> bool {
    let of = |it: &Tunnel| {
        let way = (it.connect.clone(), it.proxy.clone(), it.congestion.clone(), it.loopback.clone());
        (way, it.private_key.clone(), it.ping)
    };
    of(one) == of(other)
}

/// Asks whether the other end still answers whenever the network may have changed.
async fn probe(control: &Control, nudges: &mut watch::Receiver<u64>) {
    while nudges.changed().await.is_ok() {
        // If it does not answer, the control ends.
        control.probe().await;
    }
    std::future::pending().await
}

/// The shorter of what either end wants; bounded where it is used.
fn ping(tunnel: &Tunnel, theirs_s: u16) -> Duration {
    tunnel.ping.min(Duration::from_secs(theirs_s.into()))
}

impl Twin {
    /// Tells that another machine has tried to connect with this machine's key.
    fn tell(&mut self, name: &TunnelName, other: &SameKey) {
        let now = Instant::now();
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TWIN_EVERY) {
            return;
        }
        self.told = Some(now);
        let from = shown(&other.from, MAX_ADDRESS);
        tracing::warn!(
            "tunnel" = %name,
            "tunnel={name}: another machine, at {from}, has this machine's key and was refused: two machines must not share \
             a key. If it is none of yours, make a new key at once [tunnel-in-use]"
        );
    }
}

impl Known {
    /// Tells once of clocks that differ: the times of the two logs cannot be compared then.
    fn compare_clocks(&mut self, name: &TunnelName, there: &str) {
        let Ok(there) = humantime::parse_rfc3339(there) else { return };
        let now = SystemTime::now();
        let differ = now.duration_since(there).or_else(|_| there.duration_since(now)).unwrap_or_default();
        if differ > CLOCKS && !std::mem::replace(&mut self.are_clocks_told, true) {
            let differ = differ.as_secs();
            tracing::warn!("tunnel" = %name, "tunnel={name}: the clocks of the two machines differ by {differ} s");
        }
    }
}

/// The tunnel is up for as long as this lives.
struct Up<'l> {
    link: &'l Link,
    keeping: Arc<Keeping>,
    hub: Arc<Hub>,
}

impl<'l> Up<'l> {
    fn new(link: &'l Link, keeping: &Arc<Keeping>, hub: &Arc<Hub>) -> Up<'l> {
        link.line.set_flows(Some(hub.clone()));
        link.line.set_up();
        Up { link, keeping: keeping.clone(), hub: hub.clone() }
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.keeping.end();
        self.link.line.set_flows(None);
        self.link.line.set_down();
        self.hub.end_all();
        self.link.asked.lose();
    }
}
