//! A tunnel for datagrams in memory, between two engines of this process: the first opens flows, the second carries them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use loopgate::engine::{self, CarryRefused, RouteId};
use loopgate::outcome::{Cause, Way};
use loopgate::transport::tunnel::flows::{FlowCarrier, FlowEnded, FlowNumber, FlowSink, IncomingFlow};
use loopgate::transport::tunnel::frame::Reason;
use loopgate::transport::tunnel::line::Line;
use loopgate::transport::tunnel::open::Open;

/// Which end of the tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Here,
    There,
}

/// Both ends of it.
pub(super) struct Link {
    line: Arc<Line>,
    there: engine::Handle,
    route: RouteId,
    pub(super) trust_client: bool,
    flows: Mutex<HashMap<u64, Both>>,
    next: AtomicU64,
    /// The most flows.
    pub(super) most: AtomicUsize,
    /// How many of the next datagrams are not taken.
    pub(super) full: AtomicUsize,
    /// How many of the next datagrams are taken and then dropped.
    pub(super) lossy: AtomicUsize,
    /// Every OPEN so far.
    pub(super) opened: Mutex<Vec<Open>>,
    /// Every reason that an end has told the other.
    pub(super) told: Mutex<Vec<FlowEnded>>,
}

#[derive(Clone, Default)]
struct Both {
    here: Option<Arc<dyn FlowSink>>,
    there: Option<Arc<dyn FlowSink>>,
}

impl Both {
    fn other(&self, at: At) -> Option<&Arc<dyn FlowSink>> {
        if at == At::Here { self.there.as_ref() } else { self.here.as_ref() }
    }

    fn own(&self, at: At) -> Option<&Arc<dyn FlowSink>> {
        if at == At::Here { self.here.as_ref() } else { self.there.as_ref() }
    }
}

struct End(Arc<Link>, At);

impl Link {
    /// A tunnel `home` of the engine `here`, to the route of the engine `there`; it is up.
    pub(super) fn between(
        here: &engine::Handle,
        there: &engine::Handle,
        route: RouteId,
        trust_client: bool,
    ) -> Arc<Link> {
        let link = Arc::new(Link {
            line: here.lines().get(&"home".parse().unwrap()),
            there: there.clone(),
            route,
            trust_client,
            flows: Mutex::default(),
            next: AtomicU64::new(0),
            most: AtomicUsize::new(usize::MAX),
            full: AtomicUsize::new(0),
            lossy: AtomicUsize::new(0),
            opened: Mutex::default(),
            told: Mutex::default(),
        });
        link.set_up();
        link
    }

    pub(super) fn set_up(self: &Arc<Self>) {
        self.line.set_flows(Some(Arc::new(End(self.clone(), At::Here))));
        self.line.set_up();
    }

    /// The tunnel breaks, and stays down.
    pub(super) fn cut(&self, why: &FlowEnded) {
        self.line.set_flows(None);
        self.line.set_down();
        let flows = std::mem::take(&mut *self.flows.lock().unwrap());
        for both in flows.into_values() {
            for sink in [both.here, both.there].into_iter().flatten() {
                sink.ended(why.clone());
            }
        }
    }

    /// What the other end says of its target.
    pub(super) fn state(&self, service: &str, cause: Option<Cause>) {
        self.line.set_state(service, cause);
    }

    /// How many flows there are.
    pub(super) fn count(&self) -> usize {
        self.flows.lock().unwrap().len()
    }

    fn of(&self, flow: FlowNumber) -> Both {
        self.flows.lock().unwrap().get(&flow.0).cloned().unwrap_or_default()
    }

    fn over(&self, flow: FlowNumber, at: At, why: FlowEnded) {
        self.told.lock().unwrap().push(why.clone());
        let both = self.flows.lock().unwrap().remove(&flow.0).unwrap_or_default();
        both.other(at).into_iter().for_each(|sink| sink.ended(why.clone()));
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    count.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1)).is_ok()
}

impl FlowCarrier for End {
    fn open(&self, open: Open, sink: Arc<dyn FlowSink>) -> Result<FlowNumber, Cause> {
        let End(link, _) = self;
        if link.count() >= link.most.load(SeqCst) {
            return Err(Cause::TunnelBusy);
        }
        let number = FlowNumber(link.next.fetch_add(2, SeqCst));
        // As it would arrive.
        let open = Open::decode(&open.encode()).unwrap();
        link.opened.lock().unwrap().push(open.clone());
        link.flows.lock().unwrap().insert(number.0, Both { here: Some(sink.clone()), there: None });
        let incoming = IncomingFlow {
            open,
            tunnel: "office".parse().unwrap(),
            trust_client: link.trust_client,
            number,
            carrier: Arc::new(End(link.clone(), At::There)),
        };
        match link.there.carry_flow(&link.route, incoming) {
            Ok(there) => link.flows.lock().unwrap().get_mut(&number.0).unwrap().there = Some(there),
            Err(why) => {
                link.flows.lock().unwrap().remove(&number.0);
                sink.ended(match why {
                    CarryRefused::NoRoute(_) => FlowEnded::Refused(Cause::TunnelRefused, None),
                    CarryRefused::Stopped => FlowEnded::Ended(Reason::Drained),
                    CarryRefused::Full => FlowEnded::Ended(Reason::Limited),
                });
            }
        }
        Ok(number)
    }

    fn send(&self, flow: FlowNumber, datagram: Bytes) -> bool {
        let End(link, at) = self;
        if take_one(&link.full) {
            return false;
        }
        let both = link.of(flow);
        if take_one(&link.lossy) {
            both.own(*at).into_iter().for_each(|sink| sink.dropped(1));
        } else {
            both.other(*at).into_iter().for_each(|sink| sink.arrived(datagram.clone()));
        }
        true
    }

    fn end(&self, flow: FlowNumber, why: Reason) {
        self.0.over(flow, self.1, FlowEnded::Ended(why));
    }

    fn refuse(&self, flow: FlowNumber, why: Cause, words: Option<String>) {
        self.0.over(flow, self.1, FlowEnded::Refused(why, words));
    }

    fn way(&self) -> Way {
        Way::Quic
    }
}
