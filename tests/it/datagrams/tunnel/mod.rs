//! Flows of datagrams through a tunnel, which is in memory here: clients send to a listener of one engine, and the target is
//! beside another.

mod carried;
mod ends;
mod link;

use std::net::SocketAddr;
use std::sync::Arc;

use loopgate::address::{Run, TargetAddress};
use loopgate::engine::{RouteId, Source};
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

fn name(name: &str) -> RouteName {
    RouteName(name.into())
}

fn id(route: &str) -> RouteId {
    RouteId { source: Source::file(), name: name(route) }
}

/// Declares a route `test` to these targets, and returns where it listens.
fn declare(proxy: &Proxy, listen: &str, more: &str, targets: &[&str]) -> SocketAddr {
    let text = format!("[routes.test]\nlisten = '{listen}'\ntarget = '1'\nprotocol = 'udp'\n{more}\n");
    let plan = plan::parse("", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let target = |text: &&str| PlanTarget::from(text.parse::<Run<TargetAddress>>().unwrap().first().clone());
    let route = Route::clone(&plan.routes[&name("test")]);
    let route = route.with_targets(targets.iter().map(target).collect::<Vec<_>>()).unwrap();
    let routes: Routes = [(name("test"), Arc::new(route))].into_iter().collect();
    proxy.declare_from(Source::file(), routes).unwrap().listening[0].address.net().unwrap()
}
