//! Gathers the facts about a TCP address: before the trace, the trace itself, after the trace.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::facts::{Life, Lookup, Outdated, ReachFacts};
use super::no_answer::Silence;
use super::options::Options;
use super::source_ports::source_ports;
use super::start::{MAX_EXAMINED, blank};
use super::{elsewhere, watch};
use crate::diagnosis::finding::Subject;
use crate::outcome::Holder;
use crate::probe::firewall::Firewall;
use crate::probe::network::Network;
use crate::probe::network::counters::Counters;
use crate::probe::network::resolver::Localhost;
use crate::probe::network::routing::{Route, RouteKind, Routing};
use crate::probe::process::holders::{self};
use crate::probe::process::process_stats::{self, Vitals};
use crate::probe::process::{self, is_proc_mounted, stale_files};
use crate::probe::sockets::namespaces;
use crate::probe::sockets::ports::PortRules;
use crate::probe::sockets::{self, Socket, TcpState};
use crate::probe::system::environment::Proxies;
use crate::probe::system::limits::{self};
use crate::probe::system::sysctl::Settings;
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::{self, Connection, Dial, Wish};

/// Gathers everything about a TCP address.
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

/// The same for a dial of the caller's that has failed: no connection is made.
pub(super) fn failed(address: SocketAddr, errno: i32, options: &Options) -> ReachFacts {
    let mut facts = blank(Subject::Tcp(address), options);
    facts.read_surroundings(address, options);
    facts.read_listener(address);
    facts.forget_own_listeners();
    facts.trace.connections.push(Connection::failed(errno));
    facts.read_after(address);
    if facts.is_refused() && facts.after == Lookup::Nobody {
        facts.absent = elsewhere::look(address, &others(&facts));
    }
    facts
}

impl ReachFacts {
    /// Reads the facts that every kind of address has in common.
    pub(super) fn read_surroundings(&mut self, address: SocketAddr, options: &Options) {
        // Count before this function opens descriptors itself.
        self.descriptors = limits::descriptors();
        if !is_proc_mounted() {
            self.unreadable("/proc, and so every process", "not mounted", "");
        }
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
        self.settings = Settings::read();
        self.routing = Some(routing);
        self.filter = Firewall::read();
    }

    /// Reads the listener, its holders and their activity, before anything is sent.
    fn read_listener(&mut self, address: SocketAddr) {
        self.before = self.look_up(address);
        self.rows = self.read_rows(address.port());
        let listening: Vec<Socket> = self.listening().cloned().collect();
        self.take_holders(holders::of(&listening));
        if let (Some(listener), true) = (self.listener().cloned(), self.holders().is_empty()) {
            self.candidates = likeliest(holders::candidates(&listener), address.port());
        }
        for pid in self.examined() {
            if let Ok(before) = Vitals::read(pid) {
                self.life.push(Life { after: before.clone(), before });
            }
        }
    }

    /// Drops the proxy's own listeners, which cannot be the intended target, however near their ports are.
    fn forget_own_listeners(&mut self) {
        let held = &self.held;
        self.rows.retain(|row| !held.iter().any(|held| held.inode == row.inode && held.holder.this_process));
    }

    /// The sockets of the port. Connections matter only if something listens, and reading them takes milliseconds.
    fn read_rows(&self, port: u16) -> Vec<Socket> {
        let unused = self.before == Lookup::Nobody && matches!(self.after, Lookup::Nobody | Lookup::Unknown);
        let sockets = if unused { sockets::listeners_on_port(port) } else { sockets::on_port(port) };
        sockets.rows
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

    /// Runs the trace, and records what changed during it.
    fn trace_it(&mut self, address: SocketAddr, options: &Options) {
        let wish = self.wish(address, options);
        let leaving = self.left_open_by_others();
        self.beyond = if self.local { None } else { namespaces::beyond(address).map(|beyond| (beyond, 0)) };
        let counters = Counters::read();
        let mut silent = Silence::default();
        self.trace = trace::tcp(address, &wish, &mut |connection| silent.look(self, connection));
        self.changes = Counters::read().since(&counters);
        self.read_network_after(address);
        if let Some((beyond, martians)) = &mut self.beyond {
            *martians = namespaces::martians(beyond.pid);
        }
        self.read_after(address);
        self.take_silence(silent);
        let still = self.left_open_by_others();
        self.left_open = leaving.intersection(&still).count();
        self.process_room = self.examined().into_iter().find_map(process_stats::process_room);
        self.outdated = self.outdated();
    }

    /// Reads the traces that a failure leaves: counters of rules, a neighbour that did not answer.
    fn read_network_after(&mut self, address: SocketAddr) {
        if self.first().is_none_or(Connection::connected) {
            return;
        }
        self.routing = Some(Routing::read(address));
        if !self.filter.ruleset.chains.is_empty() {
            self.filter_after = Some(Firewall::read());
        }
    }

    fn wish(&self, address: SocketAddr, options: &Options) -> Wish {
        let program = self.holders().first().map(|holder| holder.comm.clone());
        Wish {
            timeout: options.timeout,
            first: options.expect.unwrap_or_else(|| Protocol::suggested(program.as_deref(), address.port())),
            other_hosts: self.examined().into_iter().flat_map(process_stats::host_names).collect(),
            host: options
                .name
                .as_ref()
                .map_or(address.to_string(), |name| format!("{name}:{}", address.port())),
        }
    }

    fn read_after(&mut self, address: SocketAddr) {
        self.after = self.look_up(address);
        self.rows = self.read_rows(address.port());
        // A listener that appeared or changed during the trace has other holders.
        let unknown = self.listener().filter(|socket| self.holders_of(socket.inode).is_empty()).cloned();
        if self.before != self.after
            && let Some(socket) = unknown
        {
            self.take_holders(holders::of(&[socket]));
        }
    }

    /// The connections of the service that the other end has closed.
    fn left_open_by_others(&self) -> BTreeSet<u32> {
        let left = |row: &&Socket| row.state == TcpState::CloseWait && row.inode != 0;
        self.rows.iter().filter(left).map(|row| row.inode).collect()
    }

    fn outdated(&self) -> Vec<Outdated> {
        let of = |holder: &&Holder| {
            let changed = stale_files::changed(holder)?;
            let (pid, comm) = (holder.pid, holder.comm.clone());
            Some(Outdated { pid, comm, file: changed.file, deleted: changed.deleted })
        };
        self.holders().iter().take(MAX_EXAMINED).filter_map(of).collect()
    }

    /// Whether the first dial was refused.
    fn is_refused(&self) -> bool {
        self.first().is_some_and(|first| matches!(first.dial, Dial::Failed(libc::ECONNREFUSED, _)))
    }

    fn lacks_source_port(&self) -> bool {
        self.first().is_some_and(|first| matches!(first.dial, Dial::Failed(libc::EADDRNOTAVAIL, _)))
    }

    /// If nothing listens, searches for the service elsewhere. If a process that is related to the port has only just
    /// started, it may be about to listen.
    fn look_elsewhere(&mut self, address: SocketAddr, options: &Options) {
        if !self.local {
            return;
        }
        let came = self.before == Lookup::Nobody && matches!(self.after, Lookup::Found(_));
        if self.after == Lookup::Nobody {
            self.absent = elsewhere::look(address, &others(self));
        }
        let hopeless = self.after == Lookup::Nobody && !self.found_elsewhere();
        let went = matches!(self.before, Lookup::Found(_)) && self.after == Lookup::Nobody;
        if came || went || hopeless && watch::may_come(address.port()) {
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

    /// Whether the youngest of the holders is so young that it may be in a crash loop.
    fn just_started(&self) -> bool {
        let holders = self.holders();
        let all: Vec<&Holder> = if holders.is_empty() { self.candidates.iter().collect() } else { holders };
        // Among many candidates some are always young.
        let few = all.len() <= MAX_EXAMINED;
        few && self.local && all.iter().any(|holder| holder.age.is_some_and(|age| age < watch::YOUNG))
    }
}

/// The likeliest of the processes that match what is public about a socket: those that mention its port, or else all
/// except the ancestors of this very command.
fn likeliest(mut candidates: Vec<Holder>, port: u16) -> Vec<Holder> {
    let ours: Vec<u32> = process::identify(std::process::id())
        .map(|me| me.chain.iter().map(|ancestor| ancestor.pid).collect())
        .unwrap_or_default();
    candidates.retain(|holder| !ours.contains(&holder.pid));
    let naming: Vec<Holder> =
        candidates.iter().filter(|holder| process::names_number(holder.pid, port)).cloned().collect();
    if naming.is_empty() { candidates } else { naming }
}

/// The listeners on the port that do not answer at the address.
fn others(facts: &ReachFacts) -> Vec<Socket> {
    facts.listening().cloned().collect()
}
