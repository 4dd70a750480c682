//! Targets of an embedder's own: reached in its own way, as inside this process.

mod reached;
mod sessions;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use loopgate::address::TargetAddress;
use loopgate::engine::{Declared, Source};
use loopgate::plan::{self, Route, RouteName, Target as PlanTarget};
use loopgate::transport::{Custom, Origin, Reach, Reaching, Unopened};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::harness::Proxy;

/// A service inside this process; it hands each connection to the test, or echoes what it receives.
#[derive(Clone)]
struct Inside(Arc<State>);

struct State {
    /// Where connections go; an echo takes them where there is none.
    served: Option<mpsc::UnboundedSender<DuplexStream>>,
    refuses: AtomicBool,
    /// How many bytes a connection holds that its other end has not read.
    capacity: usize,
    resets: AtomicUsize,
    from: Mutex<Option<Origin>>,
}

impl Inside {
    fn new(served: Option<mpsc::UnboundedSender<DuplexStream>>, capacity: usize) -> Inside {
        let (refuses, resets, from) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(None));
        Inside(Arc::new(State { served, refuses, capacity, resets, from }))
    }

    fn echo() -> Inside {
        Inside::new(None, 4096)
    }

    fn manual() -> (Inside, mpsc::UnboundedReceiver<DuplexStream>) {
        Inside::narrow(4096)
    }

    fn narrow(capacity: usize) -> (Inside, mpsc::UnboundedReceiver<DuplexStream>) {
        let (sender, served) = mpsc::unbounded_channel();
        (Inside::new(Some(sender), capacity), served)
    }

    fn resets(&self) -> usize {
        self.0.resets.load(Relaxed)
    }

    fn connect(&self) -> io::Result<Unopened> {
        if self.0.refuses.load(Relaxed) {
            let error = io::Error::new(io::ErrorKind::ConnectionRefused, "the service inside is not started");
            return Err(error);
        }
        let (ours, theirs) = duplex(self.0.capacity);
        match &self.0.served {
            Some(served) => drop(served.send(theirs)),
            None => drop(Handle::current().spawn(echo(theirs))),
        }
        let state = self.0.clone();
        let counts = move || {
            state.resets.fetch_add(1, Relaxed);
        };
        Ok(Custom::new(ours, counts).into())
    }
}

async fn echo(stream: DuplexStream) {
    let (mut from, mut to) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

impl Reach for Inside {
    fn name(&self) -> &str {
        "inside"
    }

    fn reach<'r>(&'r self, from: &'r Origin, _: Instant) -> Reaching<'r> {
        *self.0.from.lock().unwrap() = Some(from.clone());
        Box::pin(async { self.connect() })
    }
}

/// What is answered by a future alone.
struct By<F>(F);

impl<F: Fn() -> Reaching<'static> + Send + Sync> Reach for By<F> {
    fn name(&self) -> &str {
        "own"
    }

    fn reach<'r>(&'r self, _: &'r Origin, _: Instant) -> Reaching<'r> {
        (self.0)()
    }
}

/// A route of the configuration, without its target.
fn route(more: &str) -> Route {
    let text = format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '1'\n{more}\n");
    let plan = plan::parse("", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    Route::clone(&plan.routes[&name()])
}

fn name() -> RouteName {
    RouteName("test".into())
}

/// A proxy with this route to these targets, and the address it listens on.
fn proxy_to(more: &str, targets: Vec<PlanTarget>) -> (Proxy, SocketAddr) {
    let proxy = Proxy::builder().with("routes.other = {listen = '127.0.0.1:0', target = '1'}");
    let address = declare(&proxy, route(more).with_targets(targets).unwrap()).listening[0].address.net();
    (proxy, address.unwrap())
}

fn declare(proxy: &Proxy, route: Route) -> Declared {
    let routes = [(name(), Arc::new(route))];
    proxy.declare_from(Source::file(), routes.into_iter().collect::<plan::Routes>()).unwrap()
}

fn to(inside: &Inside) -> Vec<PlanTarget> {
    vec![PlanTarget::custom(inside.clone())]
}

fn net(address: SocketAddr) -> PlanTarget {
    TargetAddress::from(address).into()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn taken(served: &mut mpsc::UnboundedReceiver<DuplexStream>) -> DuplexStream {
    block_on(served.recv()).unwrap()
}
