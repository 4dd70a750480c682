//! A tunnel of the plan, while it runs.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::asked::{self, Asked};
use super::beginning::Beginning;
use super::offers::Offers;
use super::quic::{By, Quic};
use crate::address::{ListenAddress, NetListen, TunnelName};
use crate::engine::Handle;
use crate::plan::{Plan, Source, Tunnel};
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::line::Line;

/// A tunnel that runs. It outlives its connections, and each plan that has it; both ends have one.
pub(crate) struct Link {
    /// `[tunnels.NAME]`.
    pub(crate) name: TunnelName,
    /// What carries the sessions.
    pub(crate) engine: Handle,
    /// The idle carriers of sessions that this end opens, and the visitors that wait for one.
    pub(crate) line: Arc<Line>,
    /// What the other end asks of this one.
    pub(crate) asked: Asked,
    /// By what its datagrams go, as it was told last.
    pub(crate) datagrams_by: Arc<Mutex<By>>,
    /// QUIC of this process.
    pub(crate) quic: Arc<Quic>,
    /// What becomes of what this end asks of the other, at first.
    pub(crate) beginning: Beginning,
    /// Whose routes those are that the other end asks for.
    pub(crate) source: Source,
    /// Cancelled once the program stops: each control says so and ends, sessions drain.
    pub(crate) stopping: CancellationToken,
    /// Cancelled with it, and once the plan no longer has this tunnel.
    pub(crate) over: CancellationToken,
    /// The sessions that the other end has opened here.
    pub(crate) sessions: AtomicUsize,
    terms: watch::Sender<Arc<Terms>>,
    /// One for each key of the other end. A reload that takes a key away and whoever registers something under a key
    /// hold this lock, so that nothing is registered behind the sweep.
    passes: Mutex<BTreeMap<PublicKey, Pass>>,
    /// The key of the control that asked for routes last: what it asked for goes with it.
    asker: Mutex<Option<PublicKey>>,
}

/// What the newest plan says of a tunnel.
pub(crate) struct Terms {
    /// The whole plan: its routes are what may be offered.
    pub(crate) plan: Arc<Plan>,
    /// This tunnel of it.
    pub(crate) tunnel: Arc<Tunnel>,
    offers: OnceLock<Offers>,
}

/// The permission of a key to hold anything. Whatever a key holds (a handshake, a control, a carrier, a waiting visitor)
/// ends once its pass is cancelled; a clone is the same pass.
#[derive(Clone)]
pub(crate) struct Pass {
    /// The key.
    pub(crate) key: PublicKey,
    /// Cancelled once the key was withdrawn.
    pub(crate) revoked: CancellationToken,
    /// Counts the clones.
    held: Arc<()>,
}

impl Link {
    /// A tunnel that has no connection yet, and what [`super::asked::keep`] needs of it.
    pub(crate) fn new(
        engine: Handle,
        line: Arc<Line>,
        stopping: CancellationToken,
        terms: Terms,
        quic: Arc<Quic>,
    ) -> (Link, asked::Inbox) {
        let (asked, inbox) = asked::channel();
        let link = Link {
            source: Source::tunnel(&terms.tunnel.name),
            asked,
            datagrams_by: Arc::default(),
            quic,
            beginning: Beginning::default(),
            name: terms.tunnel.name.clone(),
            engine,
            line,
            over: stopping.child_token(),
            stopping,
            sessions: AtomicUsize::new(0),
            passes: Mutex::default(),
            asker: Mutex::default(),
            terms: watch::Sender::new(Arc::new(terms)),
        };
        link.admit(&link.terms().tunnel.public_keys);
        (link, inbox)
    }

    /// What the newest plan says.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.borrow().clone()
    }

    /// Resolves at each newer plan.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Terms>> {
        self.terms.subscribe()
    }

    /// Takes over what a newer plan says. What a key holds that it no longer has ends at once.
    pub(crate) fn follow(&self, terms: Terms) {
        let gone = self.admit(&terms.tunnel.public_keys);
        self.terms.send_replace(Arc::new(terms));
        self.revoke(&gone);
    }

    /// The plan no longer has this tunnel: everything ends that any key holds.
    pub(crate) fn retire(&self) {
        self.revoke(&self.admit(&[]));
        self.over.cancel();
    }

    /// Ends what these passes hold that is not told by themselves: clients that wait for a carrier, and sessions. Sessions
    /// do not know their key but their tunnel: those of another key end as well, if both have some.
    fn revoke(&self, gone: &[Pass]) {
        let mut asker = self.asker.lock().unwrap_or_else(PoisonError::into_inner);
        if asker.is_some_and(|key| gone.iter().any(|pass| pass.key == key)) {
            *asker = None;
            self.asked.want(Vec::new());
        }
        if gone.iter().any(Pass::holds_anything) {
            self.line.set_down();
            let ended = self.engine.revoke(&self.name);
            let name = &self.name;
            tracing::warn!("tunnel={name}: a key of it was withdrawn; sessions that ended with it: {ended}");
        }
    }

    /// From now on it is a control of this key that asks for routes.
    pub(crate) fn is_asked_by(&self, key: PublicKey) {
        *self.asker.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// The pass of a key; `None` if the tunnel does not have it, or no longer.
    pub(crate) fn pass(&self, key: &PublicKey) -> Option<Pass> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Gives passes to these keys alone; returns those that were taken away.
    fn admit(&self, keys: &[PublicKey]) -> Vec<Pass> {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> =
            passes.extract_if(.., |key, _| !keys.contains(key)).map(|(_, pass)| pass).collect();
        gone.iter().for_each(|pass| pass.revoked.cancel());
        for key in keys {
            passes.entry(*key).or_insert_with(|| Pass::new(*key));
        }
        gone
    }
}

impl Pass {
    fn new(key: PublicKey) -> Pass {
        Pass { key, revoked: CancellationToken::new(), held: Arc::default() }
    }

    /// Whether anything else has it: a connection, a control, or a carrier with a session.
    fn holds_anything(&self) -> bool {
        Arc::strong_count(&self.held) > 1
    }
}

impl Terms {
    /// What this plan says of this tunnel of it.
    pub(crate) fn new(plan: Arc<Plan>, tunnel: Arc<Tunnel>) -> Terms {
        Terms { plan, tunnel, offers: OnceLock::new() }
    }

    /// Whether a route may have sessions to open at the other end.
    pub(crate) fn dials_there(&self) -> bool {
        let mut targets = self.plan.routes.values().flat_map(|route| &route.targets);
        targets.any(|target| target.address.first().there().is_some_and(|it| it.tunnel == self.tunnel.name))
    }

    /// The routes that are offered to the other end.
    pub(crate) fn offers(&self) -> &Offers {
        self.offers.get_or_init(|| Offers::of(&self.plan, &self.tunnel.name))
    }

    /// Whether an address to listen on is one of those where other Loopgates connect to this machine.
    pub(crate) fn is_own_listener(&self, address: &ListenAddress) -> bool {
        self.plan.tunnels.listen.iter().any(|own| overlaps(own, address))
    }
}

/// Whether two listeners could not both have their address.
pub(crate) fn overlaps(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Net(one), ListenAddress::Net(other)) => {
            let covers = |one: &NetListen, other: &NetListen| one.covers(other.ip.to_canonical());
            one.port == other.port && (covers(one, other) || covers(other, one))
        }
        (one, other) => one == other,
    }
}
