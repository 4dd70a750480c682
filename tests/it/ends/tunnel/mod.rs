//! Sessions that go through a tunnel, whose connections are over loopback: two engines in this process, or one and a test that
//! speaks frames with it.

mod cut;
mod entry;
mod first_bytes;
mod links;
mod proxied;
mod reached;
mod target_tls;
mod tls;
mod whole;

use std::net::SocketAddr;
use std::sync::Arc;

use loopgate::address::{Run, TargetAddress};
use loopgate::engine::{Declared, RouteId, Source};
use loopgate::plan::{self, Route, RouteName, Routes, Target as PlanTarget};

use crate::harness::{Connection, Proxy};
use links::{OtherEnd, Pool};

/// Two ends of a tunnel called `home` at one and `office` at the other: clients connect at the first, and the service is
/// beside the second.
struct Ends {
    /// Where a session is opened.
    here: Proxy,
    /// Where it listens.
    address: SocketAddr,
    pool: Pool,
    /// Where it is carried to its target.
    there: Proxy,
    other: OtherEnd,
}

impl Ends {
    /// A tunnel with one connection to the route `web` there, which dials `target`.
    fn to(target: SocketAddr) -> Ends {
        Ends::with("", "", target)
    }

    /// The same with more keys for the route here, and for the one there.
    fn with(here: &str, there: &str, target: SocketAddr) -> Ends {
        let ends = Ends::without_carriers(here, there, target);
        ends.add_carrier();
        ends
    }

    fn without_carriers(here: &str, there: &str, target: SocketAddr) -> Ends {
        let there = Proxy::builder()
            .with(&format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\n{there}\n"));
        let here_proxy = Proxy::builder().with("routes.other = {listen = '127.0.0.1:0', target = '1'}");
        let address = declare(&here_proxy, here, &["tunnel:home/web"]);
        let pool = Pool::of(&here_proxy, "home");
        let other = OtherEnd::of(&there, "office", true);
        Ends { here: here_proxy, address, pool, there, other }
    }

    fn add_carrier(&self) {
        links::join(&self.pool, &self.other);
    }

    /// A client of the route.
    fn connect(&self) -> Connection {
        Connection::to(self.address)
    }
}

fn name(name: &str) -> RouteName {
    RouteName(name.into())
}

fn id(route: &str) -> RouteId {
    RouteId { source: Source::file(), name: name(route) }
}

/// Declares a route `test` to these targets, and returns where it listens.
fn declare(proxy: &Proxy, more: &str, targets: &[&str]) -> SocketAddr {
    declare_at(proxy, "127.0.0.1:0", more, targets).listening[0].address.net().unwrap()
}

/// The same for a route that listens here.
fn declare_at(proxy: &Proxy, listen: &str, more: &str, targets: &[&str]) -> Declared {
    let text = format!("[routes.test]\nlisten = '{listen}'\ntarget = '1'\n{more}\n");
    let plan = plan::parse("", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let target = |text: &&str| PlanTarget::from(text.parse::<Run<TargetAddress>>().unwrap().first().clone());
    let route = Route::clone(&plan.routes[&name("test")]);
    let route = route.with_targets(targets.iter().map(target).collect::<Vec<_>>()).unwrap();
    let routes: Routes = [(name("test"), Arc::new(route))].into_iter().collect();
    proxy.declare_from(Source::file(), routes).unwrap()
}
