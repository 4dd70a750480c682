//! Clients of tunnels are carried along the declared UDP routes, whether or not these listen here.

use std::sync::Arc;

use super::Udp;
use super::context::UdpRouteRuntime;
use super::control::Command;
use super::declared::{FlowRefused, Known};
use super::inbox::NotTaken;
use super::mark::Mark;
use super::path::TunnelFlow;
use super::sink::Sink;
use super::visitor::{Newcomer, Visitor};
use crate::engine::api::Wanted;
use crate::ledger::Through;
use crate::outcome::Cause;
use crate::plan::RouteId;
use crate::transport::Visitor as Described;
use crate::transport::tunnel::flows::{FlowSink, IncomingFlow};

impl Udp {
    /// From now on these are the declared routes.
    pub(in crate::engine) fn list(&self, wanted: Vec<Wanted>) {
        let mut routes = self.declared.routes();
        let mut before = std::mem::take(&mut *routes);
        let mut withdrawn = Vec::new();
        for by in wanted {
            let id = by.id.clone();
            let known = before.remove(&id);
            let home = known.as_ref().map_or_else(|| self.next_home(), |known| known.home);
            let runtime = known.and_then(|known| known.runtime);
            let is_kept = |runtime: &Arc<UdpRouteRuntime>| Arc::ptr_eq(&runtime.route, &by.route);
            let (kept, old) = match runtime {
                Some(runtime) if is_kept(&runtime) => (Some(runtime), None),
                old => (None, old),
            };
            withdrawn.extend(old.map(|old| (home, old)));
            routes.insert(id, Known { home, by: Some(by), runtime: kept });
        }
        let gone = before.into_values().filter_map(|known| Some((known.home, known.runtime?)));
        withdrawn.extend(gone);
        drop(routes);
        for (home, runtime) in withdrawn {
            runtime.withdraw();
            if let Ok(control) = self.control(home) {
                control.send(Command::Withdrawn);
            }
        }
    }

    /// Carries the flow of a client in a tunnel along a route.
    pub(in crate::engine) fn carry(
        &self,
        route: &RouteId,
        flow: IncomingFlow,
    ) -> Result<Arc<dyn FlowSink>, FlowRefused> {
        let (home, runtime) = self.declared_runtime(route).ok_or(FlowRefused::NoRoute)?;
        let control = self.control(home).map_err(|_| FlowRefused::Full)?;
        let IncomingFlow { open, tunnel, trust_client, number, carrier } = flow;
        let through = Through { tunnel, id: open.id };
        let (described, client) = Described::of(open, trust_client);
        let mark = Arc::new(Mark::new(self.shared.next_mark()));
        let sink = Arc::new(Sink::new(mark.clone(), control.clone()));
        let flow = TunnelFlow::incoming(carrier, number, mark);
        let visitor = Box::new(Visitor::new(flow, client, through, described));
        match control.inbox.add(Newcomer { runtime, visitor }) {
            Ok(true) => control.wake_loop(),
            Ok(false) => {}
            Err((why, Newcomer { mut visitor, .. })) => {
                // The caller tells the other end.
                visitor.flow.is_over();
                return Err(match why {
                    NotTaken::Full => FlowRefused::Full,
                    NotTaken::Closed => FlowRefused::Stopped,
                });
            }
        }
        Ok(sink)
    }

    /// Why new flows of a route have no target, as far as is known; `None` also of a route that is not declared.
    pub(in crate::engine) fn down(&self, route: &RouteId) -> Option<Cause> {
        let (_, runtime) = self.declared_runtime(route)?;
        let mut causes = runtime.pool.open().map(|target| target.why_down());
        let first = causes.next()??;
        causes.all(|cause| cause.is_some()).then_some(first)
    }

    fn declared_runtime(&self, route: &RouteId) -> Option<(usize, Arc<UdpRouteRuntime>)> {
        let mut routes = self.declared.routes();
        let known = routes.get_mut(route)?;
        let by = known.by.as_ref()?;
        let runtime = known.runtime.get_or_insert_with(|| self.runtime(by));
        Some((known.home, runtime.clone()))
    }
}
