//! Gathers the facts about a TCP address: what stands before the trace, the trace, what stands after it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use rustix::process::{getegid, geteuid};

use super::facts::{Absent, Life, Lookup, Outdated, ReachFacts, SourcePorts};
use super::{Options, absent, ring, watch};
use crate::diagnosis::finding::{NotReadable, Subject};
use crate::outcome::Holder;
use crate::probe::counters::{Changes, Counters};
use crate::probe::environment::Proxies;
use crate::probe::firewall::Firewall;
use crate::probe::holders::{self, Search};
use crate::probe::limits::{self, Descriptors};
use crate::probe::network::Network;
use crate::probe::ports::PortRules;
use crate::probe::resolver::Localhost;
use crate::probe::routing::{Route, RouteKind, Routing};
use crate::probe::settings::Settings;
use crate::probe::sockets::{self, Socket, TcpState};
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::{self, Connection, Dial, Trace, Wish};
use crate::probe::vitals::{self, Vitals};
use crate::probe::{freshness, namespaces};

/// More processes than this are not examined; a service of more workers is alike in all of them.
const MAX_EXAMINED: usize = 8;

/// What nothing has been asked about yet.
pub(super) fn blank(subject: Subject, options: &Options) -> ReachFacts {
    ReachFacts {
        subject,
        name: options.name.clone(),
        expect: options.expect,
        timeout: options.timeout,
        local: false,
        trace: Trace::default(),
        before: Lookup::Unknown,
        after: Lookup::Unknown,
        rows: Vec::new(),
        held: Vec::new(),
        served_by: Vec::new(),
        candidates: Vec::new(),
        closed: 0,
        maybe_others: false,
        life: Vec::new(),
        process_room: None,
        left_open: 0,
        source_ports: SourcePorts::default(),
        beyond: None,
        ring: Vec::new(),
        absent: Absent::default(),
        watch: None,
        outdated: Vec::new(),
        changes: Changes::default(),
        settings: Settings::default(),
        filter: Firewall::default(),
        filter_after: None,
        user: (geteuid().as_raw(), getegid().as_raw()),
        routing: None,
        network: Network::default(),
        ports: PortRules::default(),
        descriptors: Descriptors::default(),
        localhost: Localhost::default(),
        proxies: Proxies::default(),
        udp: None,
        unix: None,
        not_readable: Vec::new(),
    }
}

/// Everything about a TCP address.
pub(super) fn tcp(address: SocketAddr, options: &Options) -> ReachFacts {
    let mut facts = blank(Subject::Tcp(address), options);
    facts.read_surroundings(address, options);
    facts.read_listener(address);
    facts.trace_it(address, options);
    if facts.is_refused() {
        facts.look_elsewhere(address, options);
    } else if facts.lacks_source_port() {
        facts.source_ports = source_ports(address, &facts.ports);
    } else if facts.just_started() {
        facts.watch = Some(watch::watch(address, watch::YOUNG));
    }
    facts
}

/// The same where somebody else's dial has failed: nothing is connected to.
pub(super) fn failed(address: SocketAddr, errno: i32, options: &Options) -> ReachFacts {
    let mut facts = blank(Subject::Tcp(address), options);
    facts.read_surroundings(address, options);
    facts.read_listener(address);
    facts.forget_own_listeners();
    facts.trace.connections.push(Connection::failed(errno));
    facts.read_after(address);
    if facts.is_refused() && facts.after == Lookup::Nobody {
        facts.absent = absent::look(address, &others(&facts));
    }
    facts
}

impl ReachFacts {
    /// What surrounds the address, whatever it is.
    pub(super) fn read_surroundings(&mut self, address: SocketAddr, options: &Options) {
        // Counted before this function opens anything itself.
        self.descriptors = limits::descriptors();
        self.ports = PortRules::read();
        self.network = Network::read();
        self.localhost = options.localhost.clone().unwrap_or_else(Localhost::read);
        self.proxies = Proxies::read();
        let routing = Routing::read(address);
        let here = matches!(&routing.route, Route::Way(path) if path.kind == RouteKind::Local);
        self.local =
            here || address.ip().to_canonical().is_loopback() || self.network.has(address.ip()) == Some(true);
        for what in &routing.not_readable {
            self.unreadable(what, "refused by the kernel", "");
        }
        let names: Vec<&str> = routing.links.iter().map(|link| link.name.as_str()).collect();
        self.settings = Settings::read(&names);
        self.routing = Some(routing);
        self.filter = Firewall::read();
    }

    /// The listener, its holders and their signs of life, before anything is sent.
    fn read_listener(&mut self, address: SocketAddr) {
        self.before = self.look_up(address);
        self.rows = sockets::on_port(address.port()).rows;
        let listening: Vec<Socket> = self.listening().cloned().collect();
        self.take_holders(holders::of(&listening));
        if let (Some(listener), true) = (self.listener().cloned(), self.holders().is_empty()) {
            self.candidates = holders::candidates(&listener);
        }
        for pid in self.examined() {
            if let Ok(before) = Vitals::read(pid) {
                self.life.push(Life { after: before.clone(), before });
            }
        }
    }

    /// A proxy's own listeners are not what its target was meant to be, however near they lie.
    fn forget_own_listeners(&mut self) {
        let held = &self.held;
        self.rows.retain(|row| !held.iter().any(|held| held.inode == row.inode && held.holder.this_process));
    }

    pub(super) fn take_holders(&mut self, search: Search) {
        self.closed = self.closed.max(search.closed);
        self.maybe_others |= search.cut_short;
        self.held.extend(search.found);
    }

    /// The holders of the listener, or those who probably are, by pid.
    fn examined(&self) -> Vec<u32> {
        let holders = self.holders();
        let candidates = if self.candidates.len() == 1 { &self.candidates[..] } else { &[] };
        let all = if holders.is_empty() { candidates.iter().collect() } else { holders };
        all.iter().take(MAX_EXAMINED).map(|holder| holder.pid).collect()
    }

    fn look_up(&mut self, address: SocketAddr) -> Lookup {
        if !self.local {
            return Lookup::Unknown;
        }
        match sockets::listener(address) {
            Ok(Some(socket)) => Lookup::Found(socket),
            Ok(None) => Lookup::Nobody,
            Err(error) => {
                self.unreadable("the kernel's socket table (sock_diag)", &error.to_string(), "");
                Lookup::Unknown
            }
        }
    }

    /// The trace, and what changed across it.
    fn trace_it(&mut self, address: SocketAddr, options: &Options) {
        let wish = self.wish(address, options);
        let leaving = self.left_open_by_others();
        self.beyond = if self.local { None } else { namespaces::beyond(address).map(|beyond| (beyond, 0)) };
        let counters = Counters::read();
        let mut silent = Silence::default();
        self.trace = trace::tcp(address, &wish, &mut |connection| silent.look(self, address, connection));
        self.changes = Counters::read().since(&counters);
        self.read_network_after(address);
        if let Some((beyond, martians)) = &mut self.beyond {
            *martians = namespaces::martians(beyond.pid);
        }
        self.read_after(address);
        let Silence { search, lives, ring } = silent;
        self.served_by = search.found;
        self.lived_on(lives);
        self.ring = ring;
        let still = self.left_open_by_others();
        self.left_open = leaving.intersection(&still).count();
        self.process_room = self.examined().into_iter().find_map(vitals::process_room);
        self.outdated = self.outdated();
    }

    /// What a failed trace left behind: counters of rules, a neighbour that did not answer.
    fn read_network_after(&mut self, address: SocketAddr) {
        if self.first().is_none_or(Connection::connected) {
            return;
        }
        self.routing = Some(Routing::read(address));
        if !self.filter.ruleset.chains.is_empty() {
            self.filter_after = Some(Firewall::read());
        }
    }

    /// Signs of life of the same processes, and of others, at a later moment.
    pub(super) fn lived_on(&mut self, lives: Vec<Vitals>) {
        for after in lives {
            match self.life.iter_mut().find(|life| life.before.pid == after.pid) {
                Some(life) => life.after = after,
                None => self.life.push(Life { before: after.clone(), after }),
            }
        }
    }

    fn wish(&self, address: SocketAddr, options: &Options) -> Wish {
        let program = self.holders().first().map(|holder| holder.comm.clone());
        Wish {
            timeout: options.timeout,
            first: options.expect.unwrap_or_else(|| Protocol::suggested(program.as_deref(), address.port())),
            other_hosts: self.examined().into_iter().flat_map(vitals::host_names).collect(),
            host: options
                .name
                .as_ref()
                .map_or(address.to_string(), |name| format!("{name}:{}", address.port())),
        }
    }

    fn read_after(&mut self, address: SocketAddr) {
        self.after = self.look_up(address);
        self.rows = sockets::on_port(address.port()).rows;
        // A listener that came or changed meanwhile has other holders.
        let unknown = self.listener().filter(|socket| self.holders_of(socket.inode).is_empty()).cloned();
        if self.before != self.after
            && let Some(socket) = unknown
        {
            self.take_holders(holders::of(&[socket]));
        }
    }

    /// Connections of the service that the other end has closed.
    fn left_open_by_others(&self) -> BTreeSet<u32> {
        let left = |row: &&Socket| row.state == TcpState::CloseWait && row.inode != 0;
        self.rows.iter().filter(left).map(|row| row.inode).collect()
    }

    fn outdated(&self) -> Vec<Outdated> {
        let of = |holder: &&Holder| {
            let changed = freshness::changed(holder)?;
            let (pid, comm) = (holder.pid, holder.comm.clone());
            Some(Outdated { pid, comm, file: changed.file, deleted: changed.deleted })
        };
        self.holders().iter().take(MAX_EXAMINED).filter_map(of).collect()
    }

    /// Whether the first dial was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.first().is_some_and(|first| matches!(first.dial, Dial::Failed(libc::ECONNREFUSED, _)))
    }

    fn lacks_source_port(&self) -> bool {
        self.first().is_some_and(|first| matches!(first.dial, Dial::Failed(libc::EADDRNOTAVAIL, _)))
    }

    /// Nobody listens: where is it? Where something has only just started, it may be about to listen.
    fn look_elsewhere(&mut self, address: SocketAddr, options: &Options) {
        if !self.local {
            return;
        }
        let came = self.before == Lookup::Nobody && matches!(self.after, Lookup::Found(_));
        if self.after == Lookup::Nobody {
            self.absent = absent::look(address, &others(self));
        }
        let hopeless = self.after == Lookup::Nobody && !self.found_elsewhere();
        let went = matches!(self.before, Lookup::Found(_)) && self.after == Lookup::Nobody;
        if came || went || hopeless && watch::something_started() {
            let seen = watch::watch(address, watch::YOUNG);
            let stays = seen.up && seen.went == 0;
            self.watch = Some(seen);
            if stays {
                self.read_listener(address);
                self.trace_it(address, options);
            }
        }
    }

    /// Whether the search found the service in another place.
    fn found_elsewhere(&self) -> bool {
        let absent = &self.absent;
        self.listening().next().is_some()
            || !absent.udp.is_empty()
            || !absent.elsewhere.listeners.is_empty()
            || !absent.unix.is_empty()
    }

    /// Whether the youngest of the holders is so young that it may be one of a crash loop.
    fn just_started(&self) -> bool {
        let holders = self.holders();
        let all: Vec<&Holder> = if holders.is_empty() { self.candidates.iter().collect() } else { holders };
        // Of many candidates some are always young.
        let few = all.len() <= MAX_EXAMINED;
        few && self.local && all.iter().any(|holder| holder.age.is_some_and(|age| age < watch::YOUNG))
    }

    pub(super) fn unreadable(&mut self, what: &str, why: &str, how: &str) {
        if !self.not_readable.iter().any(|known| known.what == what) {
            let (what, why, how) = (what.to_owned(), why.to_owned(), how.to_owned());
            self.not_readable.push(NotReadable { what, why, how });
        }
    }
}

/// The listeners of the port that do not answer at the address.
fn others(facts: &ReachFacts) -> Vec<Socket> {
    facts.listening().cloned().collect()
}

/// Who has the source ports towards an address.
fn source_ports(address: SocketAddr, rules: &PortRules) -> SourcePorts {
    let (first, last) = rules.outgoing;
    let mut found = SourcePorts {
        range: (first..=last).filter(|port| rules.may_be_drawn(*port)).count(),
        ..SourcePorts::default()
    };
    let (rows, _) = sockets::towards_port(address.port()).unwrap_or_default();
    let ours: Vec<Socket> = rows
        .into_iter()
        .filter(|row| row.remote.ip().to_canonical() == address.ip().to_canonical())
        .collect();
    for row in &ours {
        match found.states.iter_mut().find(|(state, _)| *state == row.state) {
            Some((_, count)) => *count += 1,
            None => found.states.push((row.state, 1)),
        }
    }
    for held in holders::of(&ours).found {
        match found.owners.iter_mut().find(|(_, pid, _)| *pid == held.holder.pid) {
            Some((_, _, count)) => *count += 1,
            None => found.owners.push((held.holder.comm.clone(), held.holder.pid, 1)),
        }
    }
    found.owners.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    found
}

/// What is seen while a connection stands and nothing comes back.
#[derive(Default)]
struct Silence {
    search: Search,
    lives: Vec<Vitals>,
    ring: Vec<super::facts::Hop>,
}

impl Silence {
    fn look(&mut self, facts: &ReachFacts, address: SocketAddr, connection: &Connection) {
        if !self.lives.is_empty() {
            return;
        }
        let inode = connection.server.map_or(0, |side| side.inode);
        if inode != 0 {
            self.search = holders::of_inodes(&BTreeSet::from([inode]));
        }
        self.ring = ring::find(address.port());
        let serving = self.search.found.iter().map(|held| held.holder.pid);
        let pids: BTreeSet<u32> = facts.examined().into_iter().chain(serving).collect();
        self.lives =
            pids.into_iter().take(2 * MAX_EXAMINED).filter_map(|pid| Vitals::read(pid).ok()).collect();
    }
}
