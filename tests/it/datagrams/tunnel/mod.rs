//! Flows of datagrams through a tunnel, which is in memory here: clients send to a listener of one engine, and the target is
//! beside another.

mod carried;
mod ends;
mod link;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;

use loopgate::address::{Run, TargetAddress};
use loopgate::engine::{Declared, RouteId, Source};
use loopgate::plan::{self, Route, RouteName, Routes, Target as PlanTarget};

use crate::harness::Proxy;
use link::Link;

/// Two ends of a tunnel called `home` at one and `office` at the other.
struct Ends {
    /// Where clients send.
    here: Proxy,
    address: SocketAddr,
    link: Arc<Link>,
    /// Where the target is.
    there: Proxy,
}

impl Ends {
    fn to(target: SocketAddr) -> Ends {
        Ends::with("", "", target)
    }

    /// The same with more keys for the route here, and for the one there.
    fn with(here: &str, there: &str, target: SocketAddr) -> Ends {
        Ends::at("127.0.0.1:0", here, there, target, true)
    }

    fn at(listen: &str, here: &str, there: &str, target: SocketAddr, trust_client: bool) -> Ends {
        let there = Proxy::builder().with(&far_route(target, there));
        let here_proxy = Proxy::builder().with("routes.other = {listen = '127.0.0.1:0', target = '1'}");
        let address = declare(&here_proxy, listen, here, &["tunnel:home/game"]);
        let link = Link::between(here_proxy.engine(), there.engine(), id("game"), trust_client);
        Ends { here: here_proxy, address, link, there }
    }
}

/// The route `game` there, which dials `target`.
fn far_route(target: SocketAddr, more: &str) -> String {
    format!("[routes.game]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\nprotocol = 'udp'\n{more}\n")
}

fn id(route: &str) -> RouteId {
    RouteId { source: Source::file(), name: RouteName(route.into()) }
}

/// Declares a route `test` to these targets, and returns where it listens.
fn declare(proxy: &Proxy, listen: &str, more: &str, targets: &[&str]) -> SocketAddr {
    let text = format!("[routes.test]\nlisten = '{listen}'\ntarget = '1'\nprotocol = 'udp'\n{more}\n");
    let declared = declare_to(proxy, &text, &[("test", targets)]);
    declared.listening[0].address.net().unwrap()
}

/// Declares the routes of a configuration, some of them to other targets than are written: a configuration without the tunnel
/// cannot have any in one.
fn declare_to(proxy: &Proxy, text: &str, targets: &[(&str, &[&str])]) -> Declared {
    let plan = plan::parse("", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let target = |text: &&str| PlanTarget::from(text.parse::<Run<TargetAddress>>().unwrap().first().clone());
    let of = |route: &Route| {
        let of_it = targets.iter().find(|(name, _)| *name == &*route.name.0);
        let to = of_it.map(|(_, targets)| targets.iter().map(target).collect::<Vec<_>>());
        to.map_or_else(|| route.clone(), |to| route.with_targets(to).unwrap())
    };
    let routes: Routes =
        plan.routes.values().map(|route| (route.name.clone(), Arc::new(of(route)))).collect();
    proxy.declare_from(Source::file(), routes).unwrap()
}
