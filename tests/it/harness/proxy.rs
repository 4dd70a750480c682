//! Loopgate as a library in this process: on a port that the kernel chose, ready on return, stopped when dropped.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loopgate::engine::{self, CarryRefused, Declaration, Declared, Refused, RouteId, Settings, Source};
use loopgate::ledger::{Ledger, Live, OrderRefused, Record, Sink};
use loopgate::limits::Budget;
use loopgate::plan::{self, Routes};
use loopgate::transport::Incoming;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use super::{Connection, TIMEOUT, wait_until};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// A running engine with at least one route.
pub(crate) struct Proxy {
    /// The address of the first route with a port; [`NOWHERE`] if no route has one.
    pub(crate) address: SocketAddr,
    pub(crate) declared: Declared,
    engine: engine::Handle,
    ledger: Arc<Ledger>,
    records: Arc<Records>,
    runtime: Handle,
    stopped: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// The options of a proxy.
#[derive(Clone, Copy)]
pub(crate) struct ProxyBuilder {
    settings: Settings,
}

impl Proxy {
    /// A proxy with one route to `target` and default options.
    pub(crate) fn to(target: SocketAddr) -> Proxy {
        Proxy::builder().to(target)
    }

    pub(crate) fn builder() -> ProxyBuilder {
        let budget = Budget { connections: 5000, flows: 1000, pipes: 64, watches: 16 };
        ProxyBuilder { settings: Settings { workers: 1, budget } }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.address)
    }

    /// Declares the routes of a configuration.
    pub(crate) fn declare(&self, config: &str) -> Result<Declared, Refused> {
        let plan = plan::parse("test", config, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        self.runtime.block_on(self.engine.declare(Source::file(), plan.routes))
    }

    /// Declares the routes of a configuration under the source `source`; no routes if the configuration is empty.
    pub(crate) fn declare_as(&self, source: &str, config: &str) -> Result<Declared, Refused> {
        let routes = match config {
            "" => Routes::new(),
            _ => plan::parse("test", config, &[]).unwrap_or_else(|problems| panic!("{problems}")).routes,
        };
        self.declare_from(Source::named(source).unwrap(), routes)
    }

    /// Declares routes under this source.
    pub(crate) fn declare_from(
        &self,
        source: Source,
        declaration: impl Into<Declaration>,
    ) -> Result<Declared, Refused> {
        self.runtime.block_on(self.engine.declare(source, declaration))
    }

    /// The engine itself.
    pub(crate) fn engine(&self) -> &engine::Handle {
        &self.engine
    }

    /// The runtime beside the engine's workers.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Hands a connection that no listener accepted to a route.
    pub(crate) fn carry(&self, route: &RouteId, incoming: Incoming) -> Result<(), CarryRefused> {
        self.engine.carry(route, incoming)
    }

    /// The next record, in the order they were written.
    pub(crate) fn record(&self) -> Record {
        self.records.next()
    }

    /// Every record so far that was not yet taken.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.unread.lock().unwrap().drain(..).collect()
    }

    /// Every live session and flow, from the ledger.
    pub(crate) fn live(&self) -> Vec<Arc<Live>> {
        self.ledger.live()
    }

    /// Every live session and flow, from the engine.
    pub(crate) fn sessions(&self) -> Vec<Arc<Live>> {
        self.engine.sessions()
    }

    /// Ends one session or flow.
    pub(crate) fn kill(&self, id: u64) -> Result<(), OrderRefused> {
        self.engine.kill(id)
    }

    /// Waits until there is exactly one session, and returns it.
    pub(crate) fn only_session(&self) -> Arc<Live> {
        wait_until("one session lives", || match &self.ledger.live()[..] {
            [only] => Some(only.clone()),
            _ => None,
        })
    }

    pub(crate) fn wait_until_empty(&self) {
        wait_until("every session has ended", || self.ledger.live().is_empty().then_some(()));
    }

    /// Stops the engine as a signal would; returns how many sessions had to be reset.
    pub(crate) fn stop(&self, patience: Duration) -> usize {
        self.runtime.block_on(self.engine.stop(patience)).unwrap()
    }
}

impl ProxyBuilder {
    pub(crate) fn workers(mut self, workers: usize) -> ProxyBuilder {
        self.settings.workers = workers;
        self
    }

    /// The limit of pipes; with 0, bytes are only copied.
    pub(crate) fn pipes(mut self, pipes: usize) -> ProxyBuilder {
        self.settings.budget.pipes = pipes;
        self
    }

    /// The limit of simultaneous connections.
    pub(crate) fn connections(mut self, connections: usize) -> ProxyBuilder {
        self.settings.budget.connections = connections;
        self
    }

    /// The limit of simultaneous UDP flows.
    pub(crate) fn flows(mut self, flows: usize) -> ProxyBuilder {
        self.settings.budget.flows = flows;
        self
    }

    pub(crate) fn to(self, target: SocketAddr) -> Proxy {
        self.with(&format!("routes.test = {{listen = '127.0.0.1:0', target = '{target}'}}"))
    }

    /// A proxy with the routes of a configuration, of which at least one listens.
    pub(crate) fn with(self, config: &str) -> Proxy {
        let plan = plan::parse("test", config, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let records = Arc::new(Records::default());
        let ledger = Ledger::new(Box::new(RecordSink(records.clone())));
        let stopped = CancellationToken::new();
        let (runtime, thread) = runtime_until(stopped.clone());
        let (engine, declared) = runtime.block_on(async {
            let engine = engine::start(self.settings, ledger.clone()).unwrap();
            engine.limit_handshakes(plan.limits.handshakes);
            let declared = engine.declare(Source::file(), plan.routes).await;
            (engine, declared.unwrap_or_else(|refused| panic!("{refused}")))
        });
        let address = declared.listening.iter().find_map(|it| it.address.net()).unwrap_or(NOWHERE);
        Proxy { address, declared, engine, ledger, records, runtime, stopped, thread: Some(thread) }
    }
}

fn runtime_until(stopped: CancellationToken) -> (Handle, JoinHandle<()>) {
    let (sender, handle) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        sender.send(runtime.handle().clone()).unwrap();
        runtime.block_on(stopped.cancelled());
    });
    (handle.recv().unwrap(), thread)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A test may already have stopped it.
        let _ = self.runtime.block_on(self.engine.stop(Duration::ZERO));
        self.stopped.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The records, in the order they were written.
#[derive(Default)]
struct Records {
    unread: Mutex<VecDeque<Record>>,
    written: Condvar,
}

struct RecordSink(Arc<Records>);

impl Sink for RecordSink {
    fn record(&self, record: &Record) {
        self.0.unread.lock().unwrap().push_back(record.clone());
        self.0.written.notify_all();
    }
}

impl Records {
    fn next(&self) -> Record {
        let deadline = Instant::now() + TIMEOUT;
        let mut unread = self.unread.lock().unwrap();
        loop {
            if let Some(record) = unread.pop_front() {
                return record;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no record came");
            unread = self.written.wait_timeout(unread, left).unwrap().0;
        }
    }
}
