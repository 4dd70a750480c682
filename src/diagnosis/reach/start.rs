//! Empty facts, and the parts that are filled in the same way for every kind of address.

use rustix::process::{getegid, geteuid};

use super::facts::{Absent, Life, Lookup, ReachFacts, SourcePorts};
use super::options::Options;
use crate::diagnosis::finding::{NotReadable, Subject};
use crate::probe::firewall::Firewall;
use crate::probe::network::Network;
use crate::probe::network::counters::Changes;
use crate::probe::network::resolver::Localhost;
use crate::probe::process::holders::Search;
use crate::probe::process::process_stats::Vitals;
use crate::probe::sockets::ports::PortRules;
use crate::probe::system::environment::Proxies;
use crate::probe::system::limits::Descriptors;
use crate::probe::system::sysctl::Settings;
use crate::probe::trace::Trace;

/// At most this many processes are examined; the workers of a service that has more are all alike.
pub(super) const MAX_EXAMINED: usize = 8;

/// With more candidates than this, no conclusion is possible.
const FEW_CANDIDATES: usize = 3;

/// Facts about a subject that has not been examined yet.
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
        multiplied: 0,
        talks_elsewhere: None,
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

impl ReachFacts {
    pub(super) fn take_holders(&mut self, search: Search) {
        self.closed = self.closed.max(search.closed);
        self.maybe_others |= search.cut_short;
        self.held.extend(search.found);
    }

    /// The pids of the holders of the listener, or of the probable holders.
    pub(super) fn examined(&self) -> Vec<u32> {
        let holders = self.holders();
        let few = self.candidates.len() <= FEW_CANDIDATES;
        let candidates = if few { &self.candidates[..] } else { &[] };
        let all = if holders.is_empty() { candidates.iter().collect() } else { holders };
        all.iter().take(MAX_EXAMINED).map(|holder| holder.pid).collect()
    }

    /// Adds the activity of the same processes, and of others, at a later moment.
    pub(super) fn lived_on(&mut self, lives: Vec<Vitals>) {
        for after in lives {
            match self.life.iter_mut().find(|life| life.before.pid == after.pid) {
                Some(life) => life.after = after,
                None => self.life.push(Life { before: after.clone(), after }),
            }
        }
    }

    pub(super) fn unreadable(&mut self, what: &str, why: &str, how: &str) {
        if !self.not_readable.iter().any(|known| known.what == what) {
            let (what, why, how) = (what.to_owned(), why.to_owned(), how.to_owned());
            self.not_readable.push(NotReadable { what, why, how });
        }
    }
}
