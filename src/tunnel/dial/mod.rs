//! The end of a tunnel that opens its connections: it dials until it is let in, lives, and dials again.

pub(super) mod addresses;
pub(super) mod attempt;
mod back_off;
mod by_quic;
mod carriers;
pub(crate) mod changes;
mod dice;
pub(super) mod fault;
pub(super) mod hints;
mod join;
mod live;
mod order;
pub(super) mod proxy_fault;
mod slowness;
mod told;
mod ups;
mod watched;
pub(super) mod way;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::sleep;

use super::link::{Link, Terms};
use crate::address::TargetAddress;
use crate::transport::tunnel::identity::{Dialling, HandshakeFault};
use crate::transport::tunnel::message::{Hello, Token};
use addresses::LookUps;
use attempt::{Entered, enter};
use back_off::BackOff;
use dice::dice;
use fault::Fault;
pub use join::{JoinFault, Joined, join};
use live::{Ended, Known, live};
use order::{BACK_TO_FIRST, Order};
use told::Told;
use ups::Ups;
use way::Way;

/// Dials a tunnel until it is stopped. `nudges` changes when the network may have, and when the configuration was read
/// anew: then it is dialled at once, and a control that stands is asked whether it lives.
///
/// Not cancel safe: a dropped control is closed without a goodbye.
pub(crate) async fn run(link: Arc<Link>, nudges: watch::Receiver<u64>) {
    let mut dialler = Dialler {
        nudges,
        order: Order::default(),
        back_off: BackOff::default(),
        look_ups: LookUps::default(),
        is_round: false,
        tried: String::new(),
        told: Told::default(),
        known: Known::default(),
        ups: Ups::default(),
        instance: None,
        link,
    };
    let over = dialler.link.over.clone();
    loop {
        let entered = tokio::select! {
            entered = dialler.attempt() => entered,
            () = over.cancelled() => return,
        };
        let ended = match entered {
            Ok(arrival) => dialler.live(arrival).await,
            Err(fault) => Ended::Fault(fault),
        };
        let fault = match ended {
            Ended::Fault(fault) => fault,
            Ended::Changed => continue,
            Ended::Stopped => return,
        };
        tokio::select! {
            () = dialler.wait(fault) => {}
            () = over.cancelled() => return,
        }
    }
}

/// A control that was let in, and how it was come by.
struct Arrival {
    entered: Entered,
    way: Way,
    /// The name that was asked for in TLS.
    host: String,
}

struct Dialler {
    link: Arc<Link>,
    nudges: watch::Receiver<u64>,
    order: Order,
    back_off: BackOff,
    look_ups: LookUps,
    /// Whether the whole list was tried since it last worked.
    is_round: bool,
    /// The address of the list that was tried last, as written.
    tried: String,
    told: Told,
    known: Known,
    /// When it came up lately.
    ups: Ups,
    /// The secret of this process towards the other end.
    instance: Option<Token>,
}

impl Dialler {
    /// Tries the address whose turn it is.
    async fn attempt(&mut self) -> Result<Arrival, Fault> {
        let terms = self.link.terms();
        let place = self.order.now(terms.tunnel.connect.len());
        let instance = self.instance()?;
        self.tried = terms.tunnel.connect.get(place).map(ToString::to_string).unwrap_or_default();
        let entered = match terms.tunnel.connect.get(place) {
            Some(target) => dial(&terms, target, instance, &mut self.look_ups).await,
            None => Err(Fault::Withdrawn),
        };
        fault::count(&self.link.line, entered.as_ref().err());
        self.is_round = entered.is_ok() || self.order.failed(terms.tunnel.connect.len());
        entered
    }

    fn instance(&mut self) -> Result<Token, Fault> {
        if self.instance.is_none() {
            self.instance = Some(Token::random().ok_or(Fault::NoDice)?);
        }
        self.instance.ok_or(Fault::NoDice)
    }

    async fn live(&mut self, arrival: Arrival) -> Ended {
        let Arrival { entered, way, host } = arrival;
        let begun = Instant::now();
        let terms = self.link.terms();
        let is_first = self.order.now(terms.tunnel.connect.len()) == 0;
        self.order.worked();
        let reached = way.reached(entered.peer);
        if self.told.is_up(&reached) {
            told::up(&self.link.name, &reached, entered.rtt);
        }
        if let Some((times, causes)) = self.ups.up(begun) {
            told::flaps(&self.link.name, times, &causes);
        }
        let look_ups = &mut self.look_ups;
        let elsewhere = async {
            match terms.tunnel.connect.first() {
                Some(first) if !is_first => until_back(&terms, first, look_ups).await,
                _ => std::future::pending().await,
            }
        };
        let ended =
            live(&self.link, entered, (way, &host), self.nudges.clone(), &mut self.known, elsewhere).await;
        self.back_off.was_up(begun.elapsed());
        match &ended {
            Ended::Fault(fault) => self.ups.down(fault.code(), fault.is_announced()),
            // By this end's own choice.
            Ended::Changed | Ended::Stopped => self.ups.down("changed", true),
        }
        ended
    }

    /// Tells why the tunnel is down, and waits until it is to be dialled again: at once while there is an address of the
    /// list that was not tried.
    async fn wait(&mut self, fault: Fault) {
        if !self.is_round {
            return;
        }
        // An end that starts anew, and says so, is no end that comes and goes.
        if fault.is_announced() {
            self.back_off.reset();
        }
        let pause = match fault.retry_ms() {
            Some(asked) => back_off::asked(asked),
            None => self.back_off.failed(dice()),
        };
        if self.told.is_down(fault.code()) {
            told::down(&self.link.name, &self.tried, &fault, pause);
            if let Fault::Handshake(HandshakeFault::UnknownThere) = fault {
                hints::key_unknown_there(&self.link.terms());
                self.link.beginning.is_unknown_there();
            }
        }
        let mut changes = self.link.changes();
        changes.mark_unchanged();
        self.nudges.mark_unchanged();
        tokio::select! {
            () = sleep(pause) => {}
            // An error means that nobody nudges any more; the pause goes on.
            Ok(()) = self.nudges.changed() => {}
            Ok(()) = changes.changed() => {}
        }
    }
}

/// Looks up, connects, and asks to be let in.
async fn dial(
    terms: &Terms,
    target: &TargetAddress,
    instance: Token,
    look_ups: &mut LookUps,
) -> Result<Arrival, Fault> {
    let tunnel = &terms.tunnel;
    let way = Way::to(target, &tunnel.proxy);
    let addresses = way.addresses(look_ups).await?;
    let stream = way.connect(&addresses, tunnel.congestion()).await?;
    let tls = Dialling::new(&tunnel.private_key, &tunnel.public_keys);
    let host = way::host(target);
    let hello = Hello::Control { software: software(), instance, features: Vec::new() };
    Ok(Arrival { entered: enter(stream, &tls, &host, hello).await?, way, host })
}

/// Resolves once the first address of the list answers again.
async fn until_back(terms: &Terms, first: &TargetAddress, look_ups: &mut LookUps) {
    loop {
        sleep(BACK_TO_FIRST).await;
        let way = Way::to(first, &terms.tunnel.proxy);
        let answers = async {
            let addresses = way.addresses(look_ups).await.ok()?;
            way.connect(&addresses, terms.tunnel.congestion()).await.ok()
        };
        if answers.await.is_some() {
            return;
        }
    }
}

fn software() -> String {
    concat!("loopgate ", env!("CARGO_PKG_VERSION")).to_owned()
}
